"""PostgreSQL, through psycopg 3. https://www.psycopg.org/psycopg3/docs/"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import PGconn, Ping, TransactionStatus
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, ExceptionContext
from werkzeug.exceptions import BadRequest

from ..core.settings import ConfigError

#: The spellings of hosting services and libraries; the last one is SQLAlchemy's.
SCHEMES = ["postgresql", "postgres", "postgresql+psycopg"]
EXAMPLE = "postgresql://user:password@host/name"
#: A host that never answers. Without a user, libpq looks up that of the process, who has no name in some containers.
NOWHERE = {"host": "/dev/null", "hostaddr": "", "port": "", "user": "nobody"}
#: Until the end of the transaction: a pooler may give the next one another connection to the server.
LOCK = "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(hashtext('migrations'))"
WRITABLE = "SELECT current_setting('transaction_read_only') = 'off'"


class Connection(psycopg.Connection[Any]):
    """A connection that waits for the server for at most ``limit`` seconds.

    The server's own time-outs do not help if it is paused, or if the network drops packets.
    """

    limit: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # It has still not answered.
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {self.limit} seconds") from error
            raise


def options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        info = psycopg.conninfo.make_conninfo(**{name: str(value) for name, value in url.query.items()} | NOWHERE)
        # libpq looks at the values of options first.
        if PGconn.ping(info.encode()) == Ping.NO_ATTEMPT:
            raise psycopg.ProgrammingError("an option has a wrong value, here or in a variable such as PGSSLMODE")
    except psycopg.ProgrammingError as error:
        raise ConfigError(str(error)) from None
    arguments = {
        "connect_timeout": max(round(config["DATABASE_CONNECT_TIMEOUT"]), 1),
        # Transactions are begun below.
        "autocommit": True,
        # A pooler, such as PgBouncer, gives each transaction another connection to the server, which does not know
        # the statements that were prepared over the last one.
        "prepare_threshold": None,
    }
    return {"url": url.set(drivername="postgresql+psycopg"), "connect_args": arguments, "pool_pre_ping": True}


def listen(engine: Engine, config: Mapping[str, Any]) -> None:
    seconds = config["DATABASE_STATEMENT_TIMEOUT"]
    # The server should give up before this side does, which has to throw the connection away. A migration may take
    # its time, but all requests wait behind it while it waits for the lock of a table.
    limit = f"statement_timeout = {int(seconds * 900)}" if seconds else "lock_timeout = 2000"

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, kwargs: Any) -> Connection:
        connection = Connection.connect(*args, **kwargs)
        connection.limit = seconds
        return connection

    @event.listens_for(engine, "handle_error")
    def refuse(context: ExceptionContext) -> None:
        # Only PostgreSQL refuses U+0000, which any client can send: in JSON the server does, and else psycopg.
        error = context.original_exception
        unsent = isinstance(error, psycopg.DataError) and error.sqlstate is None and "NUL" in str(error)
        if unsent or isinstance(error, errors.UntranslatableCharacter):
            raise BadRequest("A text contains the character U+0000, which cannot be stored.") from error

    # In one round trip. LOCAL, because poolers lend the connection to others after the transaction.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(f"BEGIN; SET LOCAL {limit}"))


def unavailable(error: Exception) -> bool:
    """Whether the server is away, shutting down, full, slow or read-only, or another transaction was in the way."""
    return isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction)


def conflicting(error: Exception) -> bool:
    return isinstance(error, errors.UniqueViolation | errors.ForeignKeyViolation)
