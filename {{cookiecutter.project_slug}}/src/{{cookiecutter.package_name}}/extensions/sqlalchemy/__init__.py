"""The relational database: SQLAlchemy through Flask-SQLAlchemy, migrations by Alembic through Flask-Migrate.

Models subclass ``Base`` and live in a module beside what uses them. Write with ``db.session``, in a
transaction that ends with ``commit()``. Read with ``db.find(Model, key)`` and ``db.reader``, which
have connections of their own without transactions: each statement is one round trip. Both sessions
end with the request. https://docs.sqlalchemy.org/en/21/orm/quickstart.html

What differs between databases is in ``lite.py``, and for a server in the extension of its name:
``SCHEMES``, how its URLs begin; ``options(url, config, read_only)``, what ``create_engine`` is given;
``listen(engine, config, read_only)``; and ``unavailable(error)``, whether it is away or the statement wrong.
"""

import select
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
import structlog
from blinker import Namespace
from flask import Flask, current_app
from flask.globals import app_ctx
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event, orm
from sqlalchemy.engine import URL, Engine
from werkzeug.exceptions import ServiceUnavailable

from ... import modules
from ...core.logs import request_id
from . import lite, migrations

if TYPE_CHECKING:
    from ...core.settings import Env

#: Seconds after which who was answered 503 may try again.
RETRY_AFTER = 5

#: Sent when a request is answered 503 because of the database, with the application as the sender and
#: ``reason`` (str): ``away``, or ``busy`` if no connection was free.
database_unavailable = Namespace().signal("database_unavailable")

Model = TypeVar("Model")


class Base(orm.DeclarativeBase):
    """What every model subclasses."""

    # With names, a migration can drop what another made.
    # https://alembic.sqlalchemy.org/en/latest/naming.html
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Moment(sa.TypeDecorator[datetime]):
    """A point in time, in UTC: most databases keep none of the zone that a ``datetime`` comes with."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Reader(orm.Session):
    """A session that only reads."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | sa.Connection:
        return db.engines["read"]

    def flush(self, objects: Any = None) -> None:
        if self.new or self.dirty or self.deleted:
            raise TypeError("db.reader only reads: write with db.session")


class Database(SQLAlchemy):
    """Flask-SQLAlchemy's object, and a second session, for reads."""

    def __init__(self) -> None:
        super().__init__(model_class=Base)
        # Of a connection that is in a transaction already, as in tests, it is no reader's to end it.
        factory = orm.sessionmaker(class_=Reader, autoflush=False, join_transaction_mode="rollback_only")
        self.reader = orm.scoped_session(factory, lambda: id(app_ctx._get_current_object()))  # type: ignore[attr-defined]
        self._by_key: dict[type[Any], sa.Select[Any]] = {}

    def find(self, model: type[Model], key: object) -> Model | None:
        """Read an object by its primary key, or None. To change it, take ``db.session.get``."""
        statement = self._by_key.get(model)
        if statement is None:  # ``Session.get`` makes one each time, which costs more than running it.
            (column,) = sa.inspect(model, raiseerr=True).primary_key
            statement = self._by_key[model] = sa.select(model).where(column == sa.bindparam("key"))
        found: Model | None = self.reader.scalar(statement, {"key": key})
        return found

    def _teardown_session(self, error: BaseException | None) -> None:
        # Most requests that a service answers often have asked no database: what there is not is not ended.
        for session in (self.session, self.reader):
            if session.registry.has():
                session.remove()

    def migrating(self) -> Engine:
        """An engine for migrations, which wait for no lock, but take as long as they take, and may break foreign keys."""
        if lite.in_memory(self.engine.url):
            return self.engine
        return sa.create_engine(**_options({**current_app.config, "DATABASE_TIMEOUT": None}), poolclass=sa.NullPool)


db = Database()


def config(env: "Env") -> dict[str, Any]:
    url = env.text("DATABASE_URL", "")
    if not url and env.production:
        env.refuse("DATABASE_URL", f"Set it to the address of the database: {_example()}")
    elif not url:
        url = "sqlite:///development.sqlite" if env.name == "development" else "sqlite://"
    elif problem := _problem(url):
        env.refuse("DATABASE_URL", problem)
    return {
        "DATABASE_URL": url,
        # Of a statement, the wait for a lock included.
        "DATABASE_TIMEOUT": env.number("DATABASE_TIMEOUT", 5.0, minimum=0.1, maximum=3600),
        # Of a connection, the wait for a free one included.
        "DATABASE_CONNECT_TIMEOUT": env.number("DATABASE_CONNECT_TIMEOUT", 2.0, minimum=0.1, maximum=3600),
        "DATABASE_QUERY_TAGS": env.flag("DATABASE_QUERY_TAGS", False),
    }


def init_app(app: Flask) -> None:
    url = sa.make_url(app.config["DATABASE_URL"])
    if _database(url) is lite and _servers() and app.config["APP_ENV"] not in ("development", "testing"):
        structlog.get_logger().warning("embedded_database", servers=[*_servers()])
    write = _options(app.config) | _pool(app.config)
    binds = {}
    # A database in memory is its one connection.
    if not lite.in_memory(url):
        # With AUTOCOMMIT there is nothing to begin, and so nothing to roll back.
        autocommit = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True, "pool_reset_on_return": None}
        binds["read"] = _options(app.config, read_only=True) | _pool(app.config) | autocommit
    app.config |= {"SQLALCHEMY_DATABASE_URI": write["url"], "SQLALCHEMY_ENGINE_OPTIONS": write}
    app.config |= {"SQLALCHEMY_BINDS": binds}
    db.init_app(app)
    migrations.init_app(app, db)
    with app.app_context():
        engines: Any = db.engines
        for key, engine in engines.items():
            _listen(engine, app.config, key == "read")
        engines.setdefault("read", db.engine)
    app.register_error_handler(sa.exc.DBAPIError, _answer)
    app.register_error_handler(sa.exc.TimeoutError, _answer)


def ready() -> None:
    """Raise while the database is away, or is older than the models."""
    with db.engines["read"].connect() as connection:
        connection.execute(sa.select(1))
        migrations.check(connection)


def _options(config: Mapping[str, Any], read_only: bool = False) -> dict[str, Any]:
    """What ``create_engine`` is given to reach the database.

    :param config: with a ``DATABASE_TIMEOUT`` of None, a statement takes as long as it takes, but waits for a
        table no longer than two seconds.
    :raises ConfigError: if the driver is not installed.
    """
    url = sa.make_url(config["DATABASE_URL"])
    options: dict[str, Any] = _database(url).options(url, config, read_only)
    # Values of parameters are often personal.
    return options | {"hide_parameters": config["APP_ENV"] != "development"}


def _pool(config: Mapping[str, Any]) -> dict[str, Any]:
    if lite.in_memory(sa.make_url(config["DATABASE_URL"])):
        return {"poolclass": sa.StaticPool}
    return {
        "poolclass": sa.QueuePool,
        # A connection for every thread that answers a request; over these, for checks of readiness.
        "pool_size": config["WEB_THREADS"],
        "max_overflow": 2,
        # Those that are not needed become old, and are closed by whoever is between.
        "pool_use_lifo": True,
        "pool_recycle": 1800,
        "pool_timeout": config["DATABASE_CONNECT_TIMEOUT"],
    }


def _listen(engine: Engine, config: Mapping[str, Any], read_only: bool) -> None:
    _database(engine.url).listen(engine, config, read_only)
    if _database(engine.url) is not lite:
        event.listen(engine, "checkout", _check_idle)
    if config["DATABASE_QUERY_TAGS"]:
        event.listen(engine, "before_cursor_execute", _tag, retval=True)


def _check_idle(connection: Any, record: Any, proxy: Any) -> None:
    """Replace a connection that the server has closed while it was idle, without asking the server.

    Nothing is to be read from an idle connection but its end.
    """
    poll = select.poll()
    poll.register(connection.fileno() if hasattr(connection, "fileno") else connection._sock, select.POLLIN)
    if poll.poll(0):
        raise sa.exc.DisconnectionError


def _tag(
    connection: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Append the request id as a comment. https://google.github.io/sqlcommenter/spec/"""
    if identity := quote(request_id(), safe=":="):
        if connection.dialect.paramstyle in ("format", "pyformat"):
            identity = identity.replace("%", "%%")
        statement = f"{statement} /*request_id='{identity}'*/"
    return statement, parameters


def _answer(error: Exception) -> ResponseReturnValue:
    """Answer 503 while the database is away or too busy; what is wrong with a statement is a bug."""
    if isinstance(error, sa.exc.DBAPIError):
        if not (error.connection_invalidated or _database(db.engine.url).unavailable(error.orig)):
            raise error
        kind, reason = "away", str(error.orig)
    else:
        kind, reason = "busy", "no connection was free"
    structlog.get_logger().warning("database_unavailable", reason=reason)
    database_unavailable.send(current_app._get_current_object(), reason=kind)  # type: ignore[attr-defined]
    with suppress(Exception):  # What is left of the transaction is of no use to teardown either.
        db.session.rollback()
    answer = ServiceUnavailable("The database is unavailable.", retry_after=RETRY_AFTER)
    return current_app.handle_http_exception(answer)


def _servers() -> dict[str, ModuleType]:
    """The modules of servers, by the schemes of their URLs."""
    return {scheme: module for module in modules.load() for scheme in getattr(module, "SCHEMES", [])}


def _database(url: URL) -> ModuleType:
    return _servers().get(url.drivername, lite)


def _example() -> str:
    server = next(iter(_servers()), None)
    return f"{server}://user:password@host/name" if server else "sqlite:////folder/name.sqlite"


def _problem(text: str) -> str:
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return f"Must be a URL, such as {_example()}"
    if url.drivername not in [*_servers(), *lite.SCHEMES]:
        return f"This service was not made for {url.drivername}. For example: {_example()}"
    return ""
