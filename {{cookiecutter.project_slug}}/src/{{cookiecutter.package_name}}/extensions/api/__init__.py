"""The JSON API: its operations below ``/api/v1``, their contract, and a page to read it.

A resource is a blueprint of its own with ``url_prefix=PREFIX``, beside ``contract.py``; a first view
can go below. ``contract.py`` tells how a view is written.
"""

from typing import Any

from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue

from . import cli
from . import openapi as document
from .contract import JSON, PREFIX

#: For the page and its own files only. https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

bp = Blueprint("api", __name__, url_prefix=PREFIX)
documentation = Blueprint("documentation", __name__, static_folder="static", static_url_path="/docs/static")


def init_app(app: Flask) -> None:
    app.cli.add_command(cli.openapi)


@documentation.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Answer the contract: the same as the file openapi.json."""
    kept: dict[str, Any] = current_app.extensions
    if "openapi" not in kept:
        kept["openapi"] = cli.text(document.make(current_app))
    return current_app.response_class(kept["openapi"], mimetype=JSON)


@documentation.get("/docs")
def docs() -> ResponseReturnValue:
    """Show the contract to people."""
    with documentation.open_resource("static/docs.html") as page:
        return page.read(), {"Content-Security-Policy": PAGE_POLICY, "Content-Type": "text/html; charset=utf-8"}


bp.register_blueprint(documentation)

# The next operation goes here.
