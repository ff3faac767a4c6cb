"""MySQL and MariaDB, through PyMySQL. https://pymysql.readthedocs.io/"""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler

from ..core.settings import ConfigError

#: What it is called everywhere; the last two are what SQLAlchemy calls it.
SCHEMES = ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"]
#: Error numbers that are no fault of the statement: too many connections, access refused, unknown
#: database, shutting down, lock waits, deadlocks, interrupted, and the time-outs of both servers.
#: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
UNAVAILABLE = {1040, 1042, 1043, 1044, 1045, 1049, 1053, 1129, 1130, 1158, 1159, 1160, 1161, 1203, 1205, 1213}
UNAVAILABLE |= {1226, 1317, 1698, 1927, 1969, 3024, 3572, 4031}
#: From here on they are the client's, about its connection.
CLIENT = range(2000, 2100)


@compiles(CreateTable, "mysql", "mariadb")
def create_table(statement: CreateTable, compiler: DDLCompiler, **options: Any) -> str:
    """Make tables that hold any character, whatever the default of the database is."""
    text: str = compiler.visit_create_table(statement, **options)  # type: ignore[no-untyped-call]
    return text if "CHARSET" in text else f"{text.rstrip()} CHARSET=utf8mb4"


def init_app(app: Flask) -> None:
    """The engines are made by ``sqlalchemy``."""


def options(url: URL, config: Mapping[str, Any], read_only: bool) -> dict[str, Any]:
    try:
        import pymysql  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"DATABASE_URL needs PyMySQL: pip install pymysql ({error})") from error
    timeout = config["DATABASE_TIMEOUT"]
    start = "SET SESSION TRANSACTION READ ONLY" if read_only else None
    if timeout is None:
        # What waits for the lock of a table, as a migration does, has all others wait that come after it: for a day.
        start = "SET SESSION lock_wait_timeout = 2"
    return {
        "url": url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"}),
        "connect_args": {
            "connect_timeout": config["DATABASE_CONNECT_TIMEOUT"],
            "read_timeout": timeout,
            "write_timeout": timeout,
            "init_command": start,
        },
    }


def listen(engine: Engine, config: Mapping[str, Any], read_only: bool) -> None:
    timeout = config["DATABASE_TIMEOUT"]

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        # The server should give up before this side does, which has to throw the connection away.
        seconds = timeout * 0.9
        mariadb = "MariaDB" in connection.get_server_info()
        limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {int(seconds * 1000)}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {limit}, SESSION innodb_lock_wait_timeout = {max(int(seconds), 1)}")


def unavailable(error: Exception) -> bool:
    """Whether the server is away, shutting down, full or too slow, or another transaction was in the way."""
    number = error.args[0] if error.args else 0
    return number in UNAVAILABLE or number in CLIENT
