"""The JSON API: versions of it, each with its contract and a page that shows it.

``contract.py`` tells how a view is written; a resource is one of your blueprints, with ``url_prefix="/api/v1"``.
"""

from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, send_from_directory
from flask.typing import ResponseReturnValue

from ...core.server import serving
from . import cli
from .contract import JSON
from .openapi import check

if TYPE_CHECKING:
    from ...core.settings import Env

#: For the page only. https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
STATIC = Path(__file__).parent / "static"
#: The package brings a page as well, with a script in it, which the policy forbids.
SWAGGER = str(files("flask_swagger_ui") / "dist")


def config(env: "Env") -> dict[str, Any]:
    return {
        # Your config.py may say otherwise, and more: the versions by their prefixes, and what all documents say.
        # "API_VERSIONS": {"/api/v1": "1.4.0", "/api/v2": "2.0.0"}
        # "API_DOCUMENT": {"info": {"description": "Orders."}, "servers": [{"url": "https://api.example.com"}]}
        "API_VERSIONS": {"/api/v1": "1.0.0"},
        "API_DOCUMENT": {},
        "API_DOCS": env.flag("API_DOCS", not env.production),
    }


def init_app(app: Flask) -> None:
    #: What extensions add: errors that every operation may answer, and security schemes.
    app.extensions["api_errors"] = set()
    app.extensions["api_security"] = {}
    app.extensions["openapi"] = {}
    app.cli.add_command(cli.openapi)
    serving.connect(lambda sender, **_: check(sender), app, weak=False)
    for prefix in app.config["API_VERSIONS"]:
        app.add_url_rule(f"{prefix}/openapi.json", f"openapi {prefix}", partial(contract, prefix))
        if app.config["API_DOCS"]:
            app.add_url_rule(f"{prefix}/docs", f"docs {prefix}", page)
            app.add_url_rule(f"{prefix}/docs/<name>", f"docs {prefix} file", file)


def contract(prefix: str) -> ResponseReturnValue:
    """Answer the contract: the same as its file."""
    app: Any = current_app
    made: dict[str, str] = app.extensions["openapi"]
    if prefix not in made:
        made[prefix] = cli.text(app, prefix)
    return app.response_class(made[prefix], mimetype=JSON)  # type: ignore[no-any-return]


def page() -> ResponseReturnValue:
    """Show the contract to people, by Swagger UI."""
    return (STATIC / "docs.html").read_text(), {"Content-Security-Policy": PAGE_POLICY}


def file(name: str) -> ResponseReturnValue:
    """Send a file of the page."""
    return send_from_directory(SWAGGER if name.startswith("swagger-ui") else STATIC, name)
