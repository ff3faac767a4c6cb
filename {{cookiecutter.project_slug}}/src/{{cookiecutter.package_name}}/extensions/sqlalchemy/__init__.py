"""The relational database: SQLAlchemy through Flask-SQLAlchemy-Lite, migrations by Alembic through Flask-Alembic.

Models subclass ``Base`` and live in a module beside what uses them. ``db.session`` reads and writes, in a transaction
that ends with ``commit()``; what is not committed when the request ends is rolled back.
https://docs.sqlalchemy.org/en/21/orm/quickstart.html

A module whose ``config(env)`` returns ``{"SQLALCHEMY_ENGINES": {"name": url}}`` gets a further engine, with the same
time-outs and a pool of the same size: ``db.get_engine("name")``.

What differs between databases is in ``pysqlite.py``, and for a server in the extension of its name: ``SCHEMES``, how
its URLs begin; ``EXAMPLE``, one of them; ``options(url, config)``, arguments of ``create_engine``;
``listen(engine, config)``; ``unavailable(error)`` and ``conflicting(error)``, which are asked about errors of other
drivers, too; ``WRITABLE``, a statement that is false or fails where one cannot write; ``LOCK``, a statement that waits
until nobody else migrates, and keeps others from it while the connection is open; empty if there is none.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any

import sqlalchemy as sa
import structlog
from blinker import Namespace
from flask import Flask, abort, current_app
from flask.typing import ResponseReturnValue
from flask_sqlalchemy_lite import SQLAlchemy
from sqlalchemy import event, orm
from werkzeug.exceptions import ServiceUnavailable

from ... import modules
from ...core.logs import request_id
from ...core.settings import ConfigError, Env
from . import migrations, pysqlite

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
        if not any(module.conflicting(error.orig) for module in _databases().values()):
            raise
        abort(409, message)


def config(env: Env) -> dict[str, Any]:
    return {
        "DATABASE_URL": read_url(env, "DATABASE_URL", f"{env.name}.sqlite"),
        # Seconds of a statement, its wait for locks included.
        "DATABASE_STATEMENT_TIMEOUT": env.number("DATABASE_STATEMENT_TIMEOUT", 5.0, minimum=0.1, maximum=3600),
        # Seconds of connecting, and of the wait for a free connection.
        "DATABASE_CONNECT_TIMEOUT": env.number("DATABASE_CONNECT_TIMEOUT", 2.0, minimum=0.1, maximum=3600),
        "DATABASE_QUERY_TAGS": env.flag("DATABASE_QUERY_TAGS", False),
    }


def read_url(env: Env, name: str, file: str) -> str:
    """Read the URL of a database. Unset, it is that SQLite file, which production refuses."""
    text = env.text(name, "" if env.production else f"sqlite:///{file}")
    try:
        url = sa.make_url(text)
        wrong = (url.query and url.drivername in pysqlite.SCHEMES) or (url.port or 1) > 65535
        if wrong or url.drivername not in _databases() or not url.database:
            raise ValueError
        # After a password with an @, the rest of the URL may be parsed into any part of it.
        if url.username and text.count("@") > 1:
            raise ConfigError("Write %40 for an @ in the password.")
        database(url).options(url, {"DATABASE_STATEMENT_TIMEOUT": 1, "DATABASE_CONNECT_TIMEOUT": 1})
    except ConfigError as error:
        env.refuse(name, error.message)
    except (sa.exc.ArgumentError, ValueError):
        env.refuse(name, f"Set it to the address of a database such as {_first().EXAMPLE}")
    return text


def init_app(app: Flask) -> None:
    if app.config["APP_ENV"] == "production" and database(app.config["DATABASE_URL"]) is not _first():
        structlog.get_logger().warning("embedded_database", expected=_first().EXAMPLE)
    pool = {
        # A connection for every thread that answers requests; the overflow is for readiness checks.
        "pool_size": app.config["WEB_THREADS"],
        "max_overflow": 2,
        "pool_timeout": app.config["DATABASE_CONNECT_TIMEOUT"],
        # LIFO: connections that the load does not need stay idle, and are replaced when they are old.
        "pool_use_lifo": True,
        "pool_recycle": 1800,
    }
    urls = {"default": app.config["DATABASE_URL"], **app.config.get("SQLALCHEMY_ENGINES", {})}
    app.config["SQLALCHEMY_ENGINES"] = {name: options(url, app.config) | pool for name, url in urls.items()}
    db.init_app(app)
    # Flask-SQLAlchemy-Lite would start an event loop in every request, to close async sessions that nobody opens.
    app.teardown_appcontext_funcs = [end for end in app.teardown_appcontext_funcs if not iscoroutinefunction(end)]
    with app.app_context():
        for engine in db.engines.values():
            database(engine.url).listen(engine, app.config)
            if app.config["DATABASE_QUERY_TAGS"]:
                event.listen(engine, "before_cursor_execute", _tag, retval=True)
    migrations.init_app(app)
    app.register_error_handler(sa.exc.DBAPIError, _answer)
    app.register_error_handler(sa.exc.TimeoutError, _answer)


def ready(command: str = "db") -> None:
    """Raise while the database is away, cannot be written, or is older than the models.

    :param command: that of its migrations.
    """
    name, _, folder = current_app.extensions["migrations"][command]
    with db.get_engine(name).connect() as connection:
        answer = connection.execute(sa.text(database(connection.engine.url).WRITABLE))
        if answer.returns_rows and not answer.scalar():
            raise ServiceUnavailable("The database is read-only.")
        migrations.check(connection, command, folder)


def database(url: str | sa.URL) -> ModuleType:
    """The module of the kind of database that has this URL."""
    return _databases()[sa.make_url(url).drivername]


def options(url: str | sa.URL, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``create_engine`` that reach the database."""
    # Values of parameters are often personal: errors do not quote them.
    return {**database(url).options(sa.make_url(url), config), "hide_parameters": config["APP_ENV"] != "development"}


def _tag(_: sa.Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> tuple[str, Any]:
    """Append the request id as a comment: ``core`` accepts no request id that could end a comment.

    https://google.github.io/sqlcommenter/spec/
    """
    return f"{statement} /*request_id='{request_id()}'*/" if request_id() else statement, parameters


def _answer(error: Any) -> ResponseReturnValue:
    """Answer 503 while the database is away or too busy; a wrong statement is a bug, and is answered 500."""
    reason = "busy" if isinstance(error, sa.exc.TimeoutError) else "away"
    # An error does not name its engine, and each module knows the errors of its own driver.
    away = [module.unavailable for module in _databases().values()]
    if reason == "away" and not error.connection_invalidated and not any(ask(error.orig) for ask in away):
        raise error
    structlog.get_logger().warning("database_unavailable", reason=str(error).partition("\n")[0])
    database_unavailable.send(current_app._get_current_object(), reason=reason)  # type: ignore[attr-defined]
    with suppress(Exception):  # The connection may be broken, and the session still has to end.
        db.session.rollback()
    # Clients may try again in five seconds.
    return current_app.handle_http_exception(ServiceUnavailable("The database is unavailable.", retry_after=5))


def _databases() -> dict[str, ModuleType]:
    """The modules of databases, by the schemes of their URLs; modules of servers come first."""
    return {scheme: module for module in [*modules.load(), pysqlite] for scheme in getattr(module, "SCHEMES", [])}


def _first() -> ModuleType:
    """The kind of database that was chosen."""
    return next(iter(_databases().values()))
