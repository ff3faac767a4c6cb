"""The sign-in of development and tests, where anybody is who they say. Production never imports it."""

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from ...i18n import lazy_gettext as _l
from ...pages import next_page
from ...pages.forms import Form
from ..embedded import ISSUER
from ..provider import now
from . import Identity

bp = Blueprint("oidc_development", __name__, url_prefix="/oidc/development")


class WhoForm(Form):
    subject = StringField(_l("Who are you?"), [InputRequired(), Length(max=255)], default="ada")
    email = StringField(_l("E-mail, verified"), [Length(max=254)], default="ada@example.com")


@bp.route("", methods=["GET", "POST"])
def choose() -> ResponseReturnValue:
    """Ask for a name, and believe it."""
    form = WhoForm()
    if not form.validate_on_submit():
        return render_template("oidc/development.html", form=form), 422 if form.errors else 200
    identity = Identity(ISSUER, form.subject.data, form.email.data, form.subject.data.capitalize(), now())
    answer: ResponseReturnValue = current_app.extensions["oidc_people"].arrive(identity, next_page())
    return answer
