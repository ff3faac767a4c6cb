"""The relational database: SQLAlchemy through Flask-SQLAlchemy-Lite, migrations by Alembic through Flask-Alembic.

Models subclass ``Base`` and live in a module beside what uses them. ``db.session`` reads and writes, in a transaction
that ends with ``commit()``; what is not committed when the request ends is rolled back.
https://docs.sqlalchemy.org/en/21/orm/quickstart.html

What differs between databases is in ``pysqlite.py``, and for a server in the extension of its name: ``SCHEMES``, how
its URLs begin; ``EXAMPLE``, one of them; ``options(url, config)``, arguments of ``create_engine``;
``listen(engine, config)``; ``unavailable(error)`` and ``conflicting(error)``; ``WRITABLE``, a statement that is false
or fails where one cannot write.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from blinker import Namespace
from flask import Flask, abort, current_app
from flask.typing import ResponseReturnValue
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy import event, orm
from werkzeug.exceptions import ServiceUnavailable

from ... import modules
from ...core.errors import problem
from ...core.logs import request_id
from . import migrations, pysqlite

if TYPE_CHECKING:
    from ...core.settings import Env

#: Sent when a request is answered 503 because of the database, with the application as the sender and
#: ``reason`` (str): ``away``, or ``busy`` if no connection was free.
database_unavailable = Namespace().signal("database_unavailable")

db = SQLAlchemy()


class Base(orm.DeclarativeBase):
    """The base class of every model."""

    # A migration can only drop a constraint that has a name. https://alembic.sqlalchemy.org/en/latest/naming.html
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A ``datetime`` with a time zone, which comes back in UTC, also from a database that stores no time zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


@contextmanager
def conflict(message: str) -> Iterator[None]:
    """Answer 409 if a statement inside collides with other rows: a value that must be unique is taken, or a row is
    still referenced. ``with conflict("A customer has this name."): db.session.commit()``
    """
    try:
        yield
    except sa.exc.IntegrityError as error:
        db.session.rollback()
        if not current_app.extensions["database"].conflicting(error.orig):
            raise
        abort(409, message)


def config(env: "Env") -> dict[str, Any]:
    url = env.text("DATABASE_URL", "" if env.production else f"sqlite:///{env.name}.sqlite")
    if wrong := _problem(url):
        env.refuse("DATABASE_URL", wrong)
    return {
        "DATABASE_URL": url,
        # Seconds of a statement, its wait for locks included.
        "DATABASE_STATEMENT_TIMEOUT": env.number("DATABASE_STATEMENT_TIMEOUT", 5.0, minimum=0.1, maximum=3600),
        # Seconds of connecting, and of the wait for a free connection.
        "DATABASE_CONNECT_TIMEOUT": env.number("DATABASE_CONNECT_TIMEOUT", 2.0, minimum=0.1, maximum=3600),
        "DATABASE_QUERY_TAGS": env.flag("DATABASE_QUERY_TAGS", False),
    }


def init_app(app: Flask) -> None:
    database = _databases()[sa.make_url(app.config["DATABASE_URL"]).drivername]
    if app.config["APP_ENV"] == "production" and database is not next(iter(_databases().values())):
        structlog.get_logger().warning("embedded_database", expected=_example())
    app.extensions["database"] = database
    pool = {
        # A connection for every thread that answers requests; the overflow is for readiness checks.
        "pool_size": app.config["WEB_THREADS"],
        "max_overflow": 2,
        "pool_timeout": app.config["DATABASE_CONNECT_TIMEOUT"],
        # Connections that the load does not need stay idle, and are closed when they are old.
        "pool_use_lifo": True,
        "pool_recycle": 1800,
    }
    app.config["SQLALCHEMY_ENGINES"] = {"default": options(database, app.config) | pool}
    db.init_app(app)
    # Flask-SQLAlchemy-Lite ends async sessions in an event loop in every request, though nobody opens one.
    app.teardown_appcontext_funcs = [end for end in app.teardown_appcontext_funcs if not iscoroutinefunction(end)]
    with app.app_context():
        database.listen(db.engine, app.config)
        if app.config["DATABASE_QUERY_TAGS"]:
            event.listen(db.engine, "before_cursor_execute", _tag, retval=True)
    migrations.init_app(app)
    app.register_error_handler(sa.exc.DBAPIError, _answer)
    app.register_error_handler(sa.exc.TimeoutError, _answer)


def ready() -> None:
    """Raise while the database is away, cannot be written, or is older than the models."""
    with db.engine.connect() as connection:
        answer = connection.execute(sa.text(current_app.extensions["database"].WRITABLE))
        if answer.returns_rows and not answer.scalar():
            raise ServiceUnavailable("The database is read-only.")
        migrations.check(connection)


def options(database: ModuleType, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``create_engine`` that reach the database.

    :raises ConfigError: if the URL has an option that the driver does not know.
    """
    given: dict[str, Any] = database.options(sa.make_url(config["DATABASE_URL"]), config)
    # Values of parameters are often personal: errors do not quote them.
    return given | {"hide_parameters": config["APP_ENV"] != "development"}


def _tag(_: sa.Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> tuple[str, Any]:
    """Append the request id as a comment: ``core`` accepts no request id that could end a comment.

    https://google.github.io/sqlcommenter/spec/
    """
    return f"{statement} /*request_id='{request_id()}'*/" if request_id() else statement, parameters


def _answer(error: Any) -> ResponseReturnValue:
    """Answer 503 while the database is away or too busy; a wrong statement is a bug, and is answered 500."""
    reason = "busy" if isinstance(error, sa.exc.TimeoutError) else "away"
    away = current_app.extensions["database"].unavailable
    if reason == "away" and not error.connection_invalidated and not away(error.orig):
        raise error
    structlog.get_logger().warning("database_unavailable", reason=str(error).partition("\n")[0])
    database_unavailable.send(current_app._get_current_object(), reason=reason)  # type: ignore[attr-defined]
    with suppress(Exception):  # The connection may be broken, and the session still has to end.
        db.session.rollback()
    # Clients may try again in five seconds.
    return problem(ServiceUnavailable("The database is unavailable.", retry_after=5))


def _databases() -> dict[str, ModuleType]:
    """The modules of databases, by the schemes of their URLs; modules of servers come first."""
    return {scheme: module for module in [*modules.load(), pysqlite] for scheme in getattr(module, "SCHEMES", [])}


def _example() -> str:
    return str(next(iter(_databases().values())).EXAMPLE)


def _problem(text: str) -> str:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return f"Set it to the address of the database, such as {_example()}"
    if url.drivername not in _databases() or not url.database or (url.query and url.drivername in pysqlite.SCHEMES):
        return f"This service needs a database such as {_example()}"
    # What stands after the first @ may be a part of the password, wherever it has ended up.
    return "Write %40 for an @ in the password." if url.username and text.count("@") > 1 else ""
