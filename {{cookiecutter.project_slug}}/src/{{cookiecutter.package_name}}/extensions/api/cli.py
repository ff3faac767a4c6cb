"""``flask openapi``: the contract as files, one for each version of the API."""

import json
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from . import openapi as document
from .contract import ContractError

openapi = AppGroup("openapi", help="The contract of the API: openapi.json.")


def text(app: Flask, prefix: str) -> str:
    return json.dumps(document.make(app, prefix), indent=2, ensure_ascii=False) + "\n"


def _files(folder: str) -> dict[Path, str]:
    """The contents of the files: ``openapi.json`` for the first version, ``openapi-v2.json`` for another, say."""
    app: Any = current_app
    made: dict[Path, str] = {}
    try:
        for prefix in app.config["API_VERSIONS"]:
            name = f"openapi-{prefix.rpartition('/')[2]}.json" if made else "openapi.json"
            made[Path(folder, name)] = text(app, prefix)
    except ContractError as error:
        raise click.ClickException(str(error)) from None
    return made


@openapi.command()
@click.argument("folder", default=".")
@click.option("--missing", is_flag=True, help="Leave a file that exists alone.")
def write(folder: str, missing: bool) -> None:
    """Write the contract of each version into FOLDER."""
    for path, content in _files(folder).items():
        if not (missing and path.exists()):
            path.write_text(content, encoding="utf-8")


@openapi.command()
@click.argument("folder", default=".")
def check(folder: str) -> None:
    """Fail if the files in FOLDER are not the contract that the views make."""
    for path, content in _files(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            raise click.ClickException(f"{path.name} is not what the views say. If they are right: make openapi")
