"""Migrations: ``flask db``, which is Flask-Migrate's, and the first one, made from the models.

Alembic takes half as long to import as SQLAlchemy and answers no request, so whatever needs it
imports it late. https://flask-migrate.readthedocs.io/
"""

import logging
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_sqlalchemy import SQLAlchemy
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.local import LocalProxy


def init_app(app: Flask, db: SQLAlchemy) -> None:
    # Alembic tells what it has, whenever it is imported, and what it looks at, whenever readiness is asked.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    logging.getLogger("alembic.runtime.migration").addFilter(_is_step)

    @cache
    def extension() -> Any:
        import flask_migrate

        flask_migrate.Migrate(app, db, directory=str(Path(app.root_path, "migrations")))
        app.cli.add_command(commands)  # In place of its own.
        return app.extensions["migrate"]

    app.extensions["migrate"] = LocalProxy(extension)
    app.cli.add_command(commands)
    app.cli.add_command(first_migration)


@click.command(
    "db", add_help_option=False, context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True}
)
@click.argument("arguments", nargs=-1)
@click.pass_context
@with_appcontext
def commands(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Perform database migrations."""
    from flask_migrate.cli import db

    migrate = current_app.extensions["migrate"]
    if arguments[:1] == ("upgrade",) and migrate.db.metadata.tables and not _revisions(migrate.directory)[0]:
        raise click.ClickException("There are models and no migration: run `first-migration`, and commit it.")
    # Where each release upgrades before it starts, so does the one that a deployment goes back to.
    if arguments in (("upgrade",), ("upgrade", "head"), ("upgrade", "heads")) and _is_newer():
        click.echo("The database is newer than this release: nothing to do.")
        return
    db.main(arguments, prog_name=context.command_path, obj=context.obj)


@click.command("first-migration")
@with_appcontext
def first_migration() -> None:
    """Make the first migration from the models, if there are models and no migration."""
    import flask_migrate

    from ... import create_app

    directory = current_app.extensions["migrate"].directory
    versions = Path(directory, "versions")
    if current_app.extensions["sqlalchemy"].metadata.tables and not any(versions.glob("*.py")):
        versions.mkdir(exist_ok=True)
        # Compared with a database that is certainly empty.
        with create_app({**current_app.config, "DATABASE_URL": "sqlite://"}).app_context():
            flask_migrate.migrate(directory, message="first")


def check(connection: sa.Connection) -> None:
    """Raise if the database is older than the models."""
    heads, known = _revisions(current_app.extensions["migrate"].directory)
    if heads:
        current = _current(connection)
        # What this process does not know is newer, and was made to get along with it.
        if current != heads and current <= known:
            raise ServiceUnavailable("The database is not migrated: run `db upgrade`")


def _is_step(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or "Running" in record.getMessage()


def _is_newer() -> bool:
    """Whether the database has revisions that this release does not know."""
    migrate = current_app.extensions["migrate"]
    with suppress(sa.exc.OperationalError), migrate.db.migrating().connect() as connection:
        return not _current(connection) <= _revisions(migrate.directory)[1]
    return False  # It is away, which the upgrade itself will say.


def _current(connection: sa.Connection) -> set[str]:
    from alembic.migration import MigrationContext

    return set(MigrationContext.configure(connection).get_current_heads())


@cache
def _revisions(directory: str) -> tuple[set[str], set[str]]:
    """The revisions that the database should have, and all that are known."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(directory)
    return set(script.get_heads()), {revision.revision for revision in script.walk_revisions()}
