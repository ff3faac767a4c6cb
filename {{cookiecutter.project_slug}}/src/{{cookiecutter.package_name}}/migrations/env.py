"""What ``flask db`` runs: migrations over a connection of their own, on which no statement is too slow.

https://alembic.sqlalchemy.org/en/latest/tutorial.html
"""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import TypeDecorator
from sqlalchemy.exc import OperationalError


def render(kind: str, item: object, autogenerate: AutogenContext) -> str | Literal[False]:
    """Write the column of a type of our own as what it is in the database."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


extension = current_app.extensions["migrate"]
settings = {"target_metadata": extension.db.metadata, "render_item": render, **extension.configure_args}
engine = extension.db.migrating()

if context.is_offline_mode():  # flask db upgrade --sql
    context.configure(url=engine.url, literal_binds=True, **settings)
    with context.begin_transaction():
        context.run_migrations()
else:
    try:
        connection = engine.connect()
    except OperationalError as error:  # As a line, and not as a traceback.
        raise CommandError(f"The database cannot be reached: {error.orig}") from error
    with connection:
        context.configure(connection=connection, **settings)
        with context.begin_transaction():
            context.run_migrations()
