"""The base of every form. Its fields are those of WTForms: https://wtforms.readthedocs.io/

The macro ``fields`` of ``pages/forms.html`` shows a form, each mistake at its field.
"""

from typing import Any

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import CombinedMultiDict
from wtforms import Field, FileField, MultipleFileField, StringField, ValidationError

from ..i18n import gettext as _


class Form(FlaskForm):  # type: ignore[misc]
    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def bind_field(self, form: Any, unbound_field: Any, options: dict[str, Any]) -> Field:
            if issubclass(unbound_field.field_class, StringField):
                # A text that the client leaves out is empty, and not None, which no column takes that needs a value.
                options["default"] = unbound_field.kwargs.get("default", "")
                options["filters"] = [*unbound_field.kwargs.get("filters", []), read_newlines]
            return super().bind_field(form, unbound_field, options)

        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """Read what forms of HTML send. Flask-WTF would read JSON, and take files for texts, too."""
            if request.is_json:
                return None
            found = super().wrap_formdata(form, formdata)
            with_files = any(isinstance(field, FileField | MultipleFileField) for field in form)
            return request.form if isinstance(found, CombinedMultiDict) and not with_files else found

    def validate(self, extra_validators: dict[str, Any] | None = None) -> bool:
        checks = {field.name: [refuse_nul, *(extra_validators or {}).get(field.name, [])] for field in self}
        return bool(super().validate(extra_validators=checks))


def read_newlines(text: Any) -> Any:
    """Browsers send two characters for each newline, and count one."""
    return text.replace("\r\n", "\n") if isinstance(text, str) else text


def refuse_nul(form: FlaskForm, field: Field) -> None:
    """Databases store no such character."""
    if isinstance(field.data, str) and "\0" in field.data:
        raise ValidationError(_("This has a character that cannot be stored."))
