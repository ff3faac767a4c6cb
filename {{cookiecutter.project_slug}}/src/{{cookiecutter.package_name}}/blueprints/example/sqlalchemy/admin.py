"""The example in the administration: notes, by the rules of their pages and of the API."""

from flask import Flask
from wtforms import TextAreaField
from wtforms.validators import Length

from ....extensions.pages.forms import Form
from ...admin import add
from ...admin.sections import Section
from . import NoteRow


class NoteForm(Form):
    # A text may be empty here, which the administration takes for a mistake unless it is told.
    text = TextAreaField("Text", [Length(max=10_000)])


def init_app(app: Flask) -> None:
    add(app, Section(NoteRow, ["title", "created"], ["title", "text"], search=["title", "text"], form=NoteForm))
