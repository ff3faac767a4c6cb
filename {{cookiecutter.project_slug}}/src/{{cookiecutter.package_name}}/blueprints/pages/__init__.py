"""The pages of this service. README.md, "Pages", has an example with a form."""

from flask import Blueprint, Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue

from ...extensions.i18n import lazy_gettext as _l
from ...extensions.pages import wants_page

bp = Blueprint("pages", __name__)


def init_app(app: Flask) -> None:
    # The navigation: your next page goes here, as its label and its endpoint.
    app.extensions["navigation"] += [(_l("Home"), "pages.index")]


@bp.get("/")
def index() -> ResponseReturnValue:
    """Show the first page. Programs are answered by the other view of this path, if there is one: that of ``main.py``."""
    rules = current_app.url_map.iter_rules()
    other = next((rule.endpoint for rule in rules if rule.rule == "/" and rule.endpoint != request.endpoint), None)
    if wants_page() or not other:
        return render_template("pages/index.html")
    answer: ResponseReturnValue = current_app.ensure_sync(current_app.view_functions[other])()
    return answer


# Your next page goes here.
