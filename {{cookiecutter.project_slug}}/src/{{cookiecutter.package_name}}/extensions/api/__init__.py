"""The JSON API. Each of its versions has a contract, which is also written to a file, and a page that shows it.

``contract.py`` says how to write a view; a resource is one of your blueprints, with ``url_prefix="/api/v1"``.
"""

from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app, send_from_directory
from flask.cli import AppGroup
from flask.typing import ResponseReturnValue

from ...core.server import serving
from ...core.settings import Env
from . import openapi
from .contract import JSON

STATIC = Path(__file__).parent / "static"
#: For the page only. https://developer.mozilla.org/docs/Web/HTTP/Guides/CSP
PAGE_POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

commands = AppGroup("openapi", help="The contract of the API: openapi.json.")


def config(env: Env) -> dict[str, Any]:
    return {
        # Your config.py may replace these: the versions by their prefixes, and members of all documents.
        # "API_VERSIONS": {"/api/v1": "1.4.0", "/api/v2": "2.0.0"}
        # "API_DOCUMENT": {"info": {"description": "Orders."}, "servers": [{"url": "https://api.example.com"}]}
        "API_VERSIONS": {"/api/v1": "1.0.0"},
        "API_DOCUMENT": {},
        "API_DOCS": env.flag("API_DOCS", not env.production),
    }


def init_app(app: Flask) -> None:
    # Extensions add errors that every operation may answer, and security schemes.
    app.extensions |= {"api_errors": set(), "api_security": {}, "openapi": {}}
    app.cli.add_command(commands)
    serving.connect(lambda sender, **_: openapi.check(sender), app, weak=False)
    for prefix in app.config["API_VERSIONS"]:
        app.add_url_rule(f"{prefix}/openapi.json", f"openapi {prefix}", partial(contract, prefix))
        if app.config["API_DOCS"]:
            app.add_url_rule(f"{prefix}/docs", f"docs {prefix}", page)
            app.add_url_rule(f"{prefix}/docs/<name>", f"docs {prefix} file", file)


def contract(prefix: str) -> ResponseReturnValue:
    """Answer the contract: the same as its file."""
    made = current_app.extensions["openapi"]
    if prefix not in made:
        made[prefix] = openapi.make(current_app, prefix)
    return current_app.response_class(made[prefix], mimetype=JSON)


def page() -> ResponseReturnValue:
    """Show the contract to people, by Swagger UI."""
    return (STATIC / "docs.html").read_text(), {"Content-Security-Policy": PAGE_POLICY}


def file(name: str) -> ResponseReturnValue:
    """Send a file of the page."""
    # Looked up here, because that imports the package. Its own page is not used: the policy forbids its inline script.
    folder = files("flask_swagger_ui") / "dist" if name.startswith("swagger-ui") else STATIC
    return send_from_directory(str(folder), name)


@commands.command()
@click.argument("folder", default=".")
@click.option("--missing", is_flag=True, help="Leave a file that exists alone.")
def write(folder: str, missing: bool) -> None:
    """Write the contract of each version into FOLDER."""
    for path, text in _files(folder).items():
        if not (missing and path.exists()):
            path.write_text(text, encoding="utf-8")


@commands.command()
@click.argument("folder", default=".")
def check(folder: str) -> None:
    """Fail if the files in FOLDER are not the contract that the views make."""
    for path, text in _files(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            raise click.ClickException(f"{path.name} is not what the views say. If they are right: make openapi")


def _files(folder: str) -> dict[Path, str]:
    """The contents of the files: ``openapi.json`` for the first version, ``openapi-v2.json`` for ``/api/v2``."""
    made: dict[Path, str] = {}
    for prefix in current_app.config["API_VERSIONS"]:
        name = f"openapi-{prefix.rpartition('/')[2]}.json" if made else "openapi.json"
        made[Path(folder, name)] = openapi.make(current_app, prefix)
    return made
