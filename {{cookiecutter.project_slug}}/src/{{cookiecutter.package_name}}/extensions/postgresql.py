"""PostgreSQL, through psycopg 3. https://www.psycopg.org/psycopg3/docs/"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

from ..core.settings import ConfigError

if TYPE_CHECKING:
    import psycopg

#: What hosting services and libraries call it; the last is what SQLAlchemy does.
SCHEMES = ["postgresql", "postgres", "postgresql+psycopg"]


def init_app(app: Flask) -> None:
    """The engines are made by ``sqlalchemy``."""


def options(url: URL, config: Mapping[str, Any], read_only: bool) -> dict[str, Any]:
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(f"DATABASE_URL needs psycopg: pip install 'psycopg[binary]' ({error})") from error
    try:
        psycopg.conninfo.make_conninfo(**{name: value for name, value in url.query.items() if isinstance(value, str)})
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"DATABASE_URL: {error}") from None
    settings = {"default_transaction_read_only": "on"} if read_only else {}
    if config["DATABASE_TIMEOUT"] is None:
        # What waits for the lock of a table, as a migration does, has all others wait that come after it.
        settings["lock_timeout"] = "2s"
    else:
        # The server should give up before this side does, which has to throw the connection away.
        settings["statement_timeout"] = str(int(config["DATABASE_TIMEOUT"] * 900))
    given = url.query.get("options", "")
    written = [f"-c {name}={value}" for name, value in settings.items()]
    return {
        "url": url.set(drivername="postgresql+psycopg"),
        "connect_args": {
            "connect_timeout": max(round(config["DATABASE_CONNECT_TIMEOUT"]), 1),
            "options": " ".join([*([given] if isinstance(given, str) else given), *written]),
        },
    }


def listen(engine: Engine, config: Mapping[str, Any], read_only: bool) -> None:
    connection_class = _with_timeout(config["DATABASE_TIMEOUT"])

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, kwargs: Any) -> "psycopg.Connection[Any]":
        return connection_class.connect(*args, **kwargs)


def unavailable(error: Exception) -> bool:
    """Whether the server is away, shutting down, full or too slow, or another transaction was in the way."""
    import psycopg

    return isinstance(error, psycopg.OperationalError)


def _with_timeout(seconds: float) -> "type[psycopg.Connection[Any]]":
    """A connection that waits for the server so long and no longer.

    A server that is paused, or behind a network that swallows packets, keeps no time-out of its own.
    """
    import psycopg
    from psycopg.pq import TransactionStatus

    class Connection(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, seconds if timeout is None else timeout)
            except psycopg.OperationalError as error:
                if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # It has still not answered.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {seconds} seconds") from error
                raise

    return Connection
