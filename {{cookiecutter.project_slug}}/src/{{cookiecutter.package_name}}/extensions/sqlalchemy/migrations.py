"""Migrations: ``flask db``, which is Flask-Alembic's, and the first one, made from the models.

``add(app, "name", metadata, folder)`` brings ``flask name``: the same for a further engine of this name.

Alembic takes half as long to import as SQLAlchemy and answers no request, so only commands import it.
https://flask-alembic.readthedocs.io/
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import event
from werkzeug.exceptions import ServiceUnavailable

from .. import sqlalchemy as extension

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from flask_alembic import Alembic

FOLDER = Path(__file__).parents[2] / "migrations"
#: What is done to a new migration. https://alembic.sqlalchemy.org/en/latest/autogenerate.html#auto-formatting
HOOKS = {"hooks": "check, format"}
for _key, _run in (("check", "check --fix --quiet"), ("format", "format --quiet")):
    HOOKS |= {f"{_key}.type": "module", f"{_key}.module": "ruff", f"{_key}.options": f"{_run} REVISION_SCRIPT_FILENAME"}


def init_app(app: Flask) -> None:
    # Before Alembic is imported, which logs a line for each of its plugins.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    app.config.setdefault("ALEMBIC", {"post_write_hooks": HOOKS})
    app.config["ALEMBIC_CONTEXT"] = {"render_item": _render, "compare_server_default": _compare}
    app.cli.add_command(first_migration)
    add(app, "db", extension.Base.metadata, FOLDER, "default")


def add(app: Flask, command: str, metadata: sa.MetaData, folder: Path, engine: str = "") -> None:
    """Add the command for the migrations of an engine, which has the same name unless told otherwise."""
    app.extensions.setdefault("migrations", {})[command] = engine or command, metadata, folder
    app.cli.add_command(commands, command)


@click.command("db", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@with_appcontext
def commands(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Perform database migrations."""
    from alembic.util import CommandError
    from flask_alembic.cli import cli

    name, metadata, folder = current_app.extensions["migrations"][context.info_name]
    # A statement of a migration may take any time, but waits for a lock no longer than two seconds.
    config = {**current_app.config, "DATABASE_STATEMENT_TIMEOUT": None}
    engine = sa.create_engine(**extension.options(extension.db.get_engine(name).url, config), poolclass=sa.NullPool)
    database = extension.database(engine.url)
    database.listen(engine, config)
    _alembic(engine, metadata, folder)
    try:
        if database.LOCK and arguments[:1] in (("upgrade",), ("downgrade",), ("stamp",)):
            # A second release waits for the first, and then has nothing to do.
            context.with_resource(engine.connect()).exec_driver_sql(database.LOCK)
        if arguments in (("upgrade",), ("upgrade", "head"), ("upgrade", "heads")):
            if metadata.tables and not _revisions(folder):
                raise click.ClickException("There are models and no migration: run `first-migration`, and commit it.")
            # Every release upgrades before it starts, and so does the one that a deployment goes back to.
            with engine.connect() as connection:
                if not _current(connection) <= {*_revisions(folder)}:
                    return click.echo("The database is newer than this release: nothing to do.")
        cli.main(arguments, prog_name=context.command_path)
    except (CommandError, sa.exc.OperationalError, sa.exc.InternalError) as error:
        raise click.ClickException(error.args[0]) from error


@click.command("first-migration")
@with_appcontext
def first_migration() -> None:
    """Make the first migration from the models, if there are models and no migration."""
    for _, metadata, folder in current_app.extensions["migrations"].values():
        if metadata.tables and not _revisions(folder):
            # Alembic compares the models with a database that is certainly empty.
            _alembic(sa.create_engine("sqlite://"), metadata, folder).revision("first")


def check(connection: sa.Connection, command: str, folder: Path) -> None:
    """Raise if the database is older than the models."""
    known, current = _revisions(folder), _current(connection)
    # A revision that this process does not know is newer: its migration keeps the code of this process working.
    if known and known[-1] not in current and current <= {*known}:
        raise ServiceUnavailable(f"The database is not migrated: run `{command} upgrade`")


def _alembic(engine: sa.Engine, metadata: sa.MetaData, folder: Path) -> "Alembic":
    from flask_alembic import Alembic

    current_app.config["ALEMBIC"] |= {"script_location": str(folder)}
    alembic = Alembic(run_mkdir=False, command_name="", metadatas=metadata, engines=engine)
    alembic.init_app(current_app._get_current_object())  # type: ignore[attr-defined]
    # With microseconds, because two migrations may be made in one second.
    alembic.rev_id = lambda: f"{datetime.now(UTC):%Y%m%d%H%M%S%f}"  # type: ignore[method-assign]
    return alembic


def _revisions(folder: Path) -> list[str]:
    """The revisions that this release knows, in the order in which they were made: their files begin with them."""
    return sorted(path.name.partition("_")[0] for path in folder.glob("[0-9]*.py"))


def _current(connection: sa.Connection) -> set[str]:
    """The revisions that the database has: one, unless branches were not merged."""
    exists = sa.inspect(connection).has_table("alembic_version")
    return {*connection.scalars(sa.text("SELECT version_num FROM alembic_version"))} if exists else set()


def _render(kind: str, item: Any, context: "AutogenContext") -> str | bool:
    """Import the module of a type of our own into the migration, and write boolean defaults for any database.

    Alembic itself writes the type; it would write the defaults as 0 and 1, as SQLite does, which PostgreSQL refuses.
    """
    if kind == "type" and isinstance(item, sa.TypeDecorator):
        context.imports.add(f"import {type(item).__module__}")
    return f"sa.{item.arg}()" if isinstance(getattr(item, "arg", None), sa.False_ | sa.True_) else False


def _compare(*arguments: Any) -> bool | None:
    """Find no difference between an empty default in the database and in the model: on SQLite, Alembic finds one."""
    return False if arguments[3] in ("''", "('')") and arguments[5] == "" else None


@event.listens_for(sa.Table, "column_reflect")
def _make_generic(inspector: sa.Inspector, table: sa.Table, column: Any) -> None:
    """Write types of SQLite as generic types: ``downgrade`` then restores a dropped column on any database."""
    if inspector.dialect.name == "sqlite" and not isinstance(column["type"], sa.CHAR):
        generic = column["type"].as_generic(allow_nulltype=True)
        column["type"] = sa.DateTime(timezone=True) if isinstance(generic, sa.DateTime) else generic
