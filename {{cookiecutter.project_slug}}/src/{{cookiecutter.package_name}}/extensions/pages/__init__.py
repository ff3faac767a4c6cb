"""HTML pages: forms that no other site can send, static files, a navigation, and errors that people can read.

A page is a view that returns ``render_template``; README.md, "Pages", shows one with a form.
https://flask.palletsprojects.com/en/stable/templating/
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, after_this_request, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from ...core.errors import problem
from ...core.logs import request_id
from ..i18n import gettext as _
from . import assets

if TYPE_CHECKING:
    from ...core.settings import Env

#: Of every response; ``RESPONSE_HEADERS`` in ``config.py`` and what a view sets come before these.
HEADERS = {
    # Scripts and styles in files of this service alone. https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    # Over TLS, a form is refused without a referrer: that tells it from a form of another site.
    "Referrer-Policy": "same-origin",
    # A page may be about whoever asks, and has their token in its forms.
    "Cache-Control": "private, no-cache",
}

bp = Blueprint("page_templates", __name__, template_folder="templates")


class Protection(CSRFProtect):  # type: ignore[misc]
    def protect(self, apply_exemptions: bool = False) -> None:
        """Refuse what is sent without the token of a form. What has no cookie acts for nobody: programs need none."""
        if "HTTP_COOKIE" in request.environ and request.method in current_app.config["WTF_CSRF_METHODS"]:
            super().protect(apply_exemptions)


csrf = Protection()


def config(env: "Env") -> dict[str, Any]:
    return {"WTF_CSRF_TIME_LIMIT": None}  # as long as the session


@bp.app_template_filter("datetime")
def write_time(moment: datetime) -> str:
    """Write a moment as people read it: the filter ``datetime`` of templates."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def init_app(app: Flask) -> None:
    app.config.setdefault("SITE_NAME", app.name.replace("_", " ").capitalize())
    # Labels and endpoints: a module with pages appends its own.
    app.extensions["navigation"] = app.jinja_env.globals["navigation"] = []
    if app.config["APP_ENV"] != "production":  # There, a page with a gap is better than none.
        app.jinja_env.undefined = StrictUndefined
    layer = app.extensions["middleware"]
    own = {name.lower() for name in app.config.get("RESPONSE_HEADERS", {})}
    layer.headers |= {name.lower(): (name, text) for name, text in HEADERS.items() if name.lower() not in own}
    csrf.init_app(app)
    app.register_error_handler(HTTPException, answer)
    assets.init_app(app)


def wants_page() -> bool:
    """Whether the client would rather have a page than JSON, as browsers would. The response varies by it."""

    @after_this_request
    def vary(response: Response) -> Response:
        response.vary.add("Accept")
        return response

    known = ["application/problem+json", "application/json", "text/html"]
    return request.accept_mimetypes.best_match(known) == "text/html"


def next_page(otherwise: str = "") -> str:
    """Return ``next`` of the query string if it is a path of this site, and else the URL of the endpoint ``otherwise``.

    Browsers read a backslash as a slash, and ignore tabs.
    """
    target = request.args.get("next", "")
    if target.startswith("/") and not target.startswith("//") and target.isprintable() and "\\" not in target:
        return target
    return url_for(otherwise) if otherwise else ""


def no_store(response: Response) -> Response:
    """Forbid browsers to keep a page: the back button shows nothing after a sign-out."""
    response.headers["Cache-Control"] = "no-store"
    return response


def answer(error: HTTPException) -> ResponseReturnValue:
    """Answer an error with a page, or programs with a problem document."""
    if error.response is not None:
        return error
    if not wants_page():
        return problem(error)
    context = {"name": _(error.name), "description": _(error.description or error.name)}
    page = render_template("pages/error.html", error=error, request_id=request_id(), **context)
    return Response(page, error.code, error.get_headers())
