"""MySQL and MariaDB, through PyMySQL. https://pymysql.readthedocs.io/"""

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from inspect import signature
from typing import Any

import pymysql
from sqlalchemy import LargeBinary, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from ..core.settings import ConfigError

#: What it is called everywhere; the last two are what SQLAlchemy calls it.
SCHEMES = ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"]
#: Error numbers that are no fault of the statement: too many connections, access refused, unknown
#: database, shutting down, lock waits, deadlocks, interrupted, read-only, and the time-outs of both servers.
#: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
UNAVAILABLE = {1040, 1042, 1043, 1044, 1045, 1049, 1053, 1129, 1130, 1158, 1159, 1160, 1161, 1203, 1205, 1213}
UNAVAILABLE |= {1226, 1290, 1317, 1698, 1792, 1836, 1927, 1969, 3024, 3572, 4031}
#: The client's own numbers, about its connection.
CLIENT = range(2000, 2100)
#: A unique value, a row that is referenced, and a reference to no row.
CONFLICTS = {1062, 1451, 1452}
#: Of binary columns, by the length that they are below; https://mariadb.com/docs/server/reference/data-types
SIZES = {2**16: "", 2**24: "MEDIUM", 2**32: "LONG"}
EXAMPLE = "mysql://user:password@host/name"
#: Of the whole server, so it is named for the database; an hour is long enough for any migration.
LOCK = "SELECT GET_LOCK(SHA1(CONCAT('migrations of ', DATABASE())), 3600)"
WRITABLE = "SELECT @@global.read_only = 0"


@compiles(CreateTable, "mysql", "mariadb")
def create_table(statement: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """Make tables that hold any character, whatever the default of the database is."""
    text: str = compiler.visit_create_table(statement, **options)  # type: ignore[no-untyped-call]
    return text if "CHARSET" in text else f"{text.rstrip()} CHARSET=utf8mb4"


@compiles(LargeBinary, "mysql", "mariadb")
def binary(kind: LargeBinary, *_: Any, **options: Any) -> str:
    """Name the type that the server makes of a length: ``flask db check`` compares names."""
    size = next(size for limit, size in SIZES.items() if (kind.length or 0) < limit)
    return f"{size}BLOB"


def options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    url = url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
    timeout = config["DATABASE_STATEMENT_TIMEOUT"]
    arguments = {
        "connect_timeout": config["DATABASE_CONNECT_TIMEOUT"],
        "read_timeout": timeout,
        "write_timeout": timeout,
    }
    try:
        positional, named = url.get_dialect()().create_connect_args(url)
        # Options whose values SQLAlchemy leaves as text, and PyMySQL does not take as text.
        for name, parameter in signature(pymysql.Connection).parameters.items():
            if isinstance(named.get(name), str) and isinstance(parameter.default, int | type):
                raise TypeError(name)
        pymysql.Connection(*positional, **{**named, **arguments}, defer_connect=True)
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"A wrong option: {error}") from None
    return {"url": url, "connect_args": arguments, "pool_pre_ping": True}


def listen(engine: Engine, config: Mapping[str, Any]) -> None:
    timeout = config["DATABASE_STATEMENT_TIMEOUT"]

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, args: Any, kwargs: Any) -> Any:
        """Wait for the greeting of the server no longer than for the connection; PyMySQL waits as for a statement."""
        connection = pymysql.Connection(*args, **kwargs, defer_connect=True)
        if connection.unix_socket:
            return None
        with ExitStack() as stack:
            try:
                address = (connection.host, connection.port)
                link = stack.enter_context(socket.create_connection(address, config["DATABASE_CONNECT_TIMEOUT"]))
                link.recv(1, socket.MSG_PEEK)
            except OSError as error:
                raise pymysql.OperationalError(2003, f"No greeting from the server: {error}") from error
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.connect(link)
            stack.pop_all()
        return connection

    @event.listens_for(engine, "connect")
    def limit(connection: Any, record: Any) -> None:
        if timeout is None:
            # All requests wait behind a migration that waits for the lock of a table: for a day, if it may.
            limits = "SESSION lock_wait_timeout = 2"
        else:
            # The server should give up before this side does, which has to throw the connection away.
            seconds = timeout * 0.9
            mariadb = "MariaDB" in connection.get_server_info()
            limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {int(seconds * 1000)}"
            limits = f"SESSION {limit}, SESSION innodb_lock_wait_timeout = {max(int(seconds), 1)}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET {limits}")


def unavailable(error: Exception) -> bool:
    """Whether the server is away, shutting down, full, slow or read-only, or another transaction was in the way."""
    number = error.args[0] if error.args else 0
    return number in UNAVAILABLE or number in CLIENT


def conflicting(error: Exception) -> bool:
    return error.args[0] in CONFLICTS
