"""The forms of accounts. ``autocomplete`` tells password managers what a field is for."""

from typing import Any

from wtforms import BooleanField, EmailField, PasswordField, StringField, ValidationError
from wtforms.validators import InputRequired, Length, Regexp

from ...extensions.email import ADDRESS
from ...extensions.i18n import gettext as _
from ...extensions.i18n import lazy_gettext as _l
from ...extensions.pages.forms import Form
from .users import check, current_user, normal_email


def password(label: str, autocomplete: str, shortest: int = 1, **more: Any) -> PasswordField:
    # The longest protects from texts that take long to hash.
    rules = [InputRequired(), Length(shortest, 200)]
    return PasswordField(label, rules, render_kw={"autocomplete": autocomplete}, **more)


class EmailForm(Form):
    email = EmailField(
        _l("E-mail"),
        [InputRequired(), Length(max=254), Regexp(rf"{ADDRESS}\Z", message=_l("This is no e-mail address."))],
        filters=[normal_email],
        render_kw={"autocomplete": "username"},
    )


class SignInForm(EmailForm):
    password = password(_l("Password"), "current-password")
    remember = BooleanField(_l("Keep me signed in on this device"))


class NewPasswordForm(Form):
    password = password(_l("New password"), "new-password", shortest=12, description=_l("12 characters or more."))


class ConfirmForm(Form):
    password = password(_l("Password"), "current-password")

    def validate_password(self, field: PasswordField) -> None:
        if not check(current_user.email, field.data or ""):
            raise ValidationError(_("This is not your password."))


class CodeForm(Form):
    code = StringField(
        _l("Code"),
        [InputRequired(), Length(max=40)],
        render_kw={"autocomplete": "one-time-code", "inputmode": "text", "spellcheck": "false"},
    )


class ButtonForm(Form):
    """Nothing but the token that every form needs."""
