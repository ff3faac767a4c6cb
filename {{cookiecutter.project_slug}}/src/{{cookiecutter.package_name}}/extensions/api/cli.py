"""``flask openapi``: the contract as a file, and what it is good for."""

import json
from pathlib import Path
from typing import Any, TextIO

import click
from flask import current_app
from flask.cli import AppGroup

from . import openapi as document
from .contract import ContractError

openapi = AppGroup("openapi", help="The contract of the API: openapi.json.")

#: What documents raise that are not what they should be.
MALFORMED = (AttributeError, KeyError, RecursionError, TypeError, ValueError)

# click.Path would read the environment, for its messages, when this module is imported.


def text(contract: dict[str, Any]) -> str:
    return json.dumps(contract, indent=2, ensure_ascii=False) + "\n"


def _made() -> str:
    try:
        return text(document.make(current_app._get_current_object()))  # type: ignore[attr-defined]
    except ContractError as error:
        raise click.ClickException(str(error)) from None


def _read(file: TextIO) -> dict[str, Any]:
    try:
        contract = json.load(file)
        if isinstance(contract["paths"], dict) and "openapi" in contract:
            return contract  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError):
        pass
    raise click.ClickException(f"{file.name} is not an OpenAPI document in JSON.")


@openapi.command()
@click.argument("file", type=click.File("w", encoding="utf-8"), default="openapi.json")
@click.option("--missing", is_flag=True, help="Only if there is no FILE yet.")
def write(file: TextIO, missing: bool) -> None:
    """Write the contract to FILE; - is standard output."""
    if missing and Path(file.name).exists():
        return
    contract = _made()
    # The file is opened by what is written, so that what fails before leaves it alone.
    file.write(contract)


@openapi.command()
@click.argument("file", default="openapi.json")
def check(file: str) -> None:
    """Fail if FILE is not the contract that the views make."""
    if not Path(file).exists() or Path(file).read_text(encoding="utf-8") != _made():
        raise click.ClickException(f"{file} is not what the views say. If they are right: make openapi")


@openapi.command()
@click.argument("old", type=click.File(encoding="utf-8"))
@click.argument("new", type=click.File(encoding="utf-8"), required=False)
def diff(old: TextIO, new: TextIO | None) -> None:
    """Name what breaks clients of OLD in NEW, or in the contract of this service; - is standard input."""
    # Imported here, as below, because no request needs it.
    from . import changes

    before, after = _read(old), _read(new) if new else json.loads(_made())
    try:
        found = list(changes.breaking(before, after))
    except MALFORMED as error:
        raise click.ClickException(f"One of them is not valid OpenAPI: {error!r}") from None
    for change in found:
        click.echo(change)
    if found:
        raise click.ClickException(f"{len(found)} breaking change{'s' if len(found) > 1 else ''}.")
    click.echo("Nothing breaks.")


@openapi.command("stubs")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.argument("folder", required=False)
def make_stubs(file: TextIO, folder: str | None) -> None:
    """Write typed views and schemas of the contract in FILE as a blueprint to FOLDER.

    FOLDER is a new one beside this blueprint, called after FILE, unless it is given.
    """
    from . import stubs

    name = stubs.identifier(Path(file.name).name.partition(".")[0])
    path = Path(folder) if folder else Path(__file__).parents[1] / name
    if path.exists():
        raise click.ClickException(f"{path} exists: name another folder.")
    try:
        stubs.write(_read(file), Path(file.name), path)
    except MALFORMED as error:
        raise click.ClickException(f"{file.name} is not valid OpenAPI: {error!r}") from None
    click.echo(f"Wrote {path}. Next: its name into extensions/__init__.py, as blueprints.{path.name}")
