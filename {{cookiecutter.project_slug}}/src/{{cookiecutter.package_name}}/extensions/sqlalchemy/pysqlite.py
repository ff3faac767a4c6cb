"""SQLite, the database without a server, through Python's own driver. https://www.sqlite.org/pragma.html"""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import has_request_context, request
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, ExceptionContext

SCHEMES = ["sqlite"]
EXAMPLE = "sqlite:////folder/name.sqlite"
LOCK = ""
#: It needs the right to write and writes nothing; ``BEGIN IMMEDIATE`` only reads in a file that is read-only.
WRITABLE = "PRAGMA incremental_vacuum(1)"
#: Primary result codes that are no fault of the statement: busy, locked, read-only, interrupted, input or output,
#: full, cannot open. https://www.sqlite.org/rescode.html
UNAVAILABLE = {5, 6, 8, 9, 10, 13, 14}
#: Extended result codes: a foreign key, a primary key, a unique value.
CONFLICTS = {787, 1555, 2067}


def options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        # A path is relative to the working directory, as in every other program that reads the URL.
        "url": url.set(database=str(Path(url.database or "").absolute())),
        # The wait for a lock; two seconds for a migration.
        "connect_args": {"timeout": config["DATABASE_STATEMENT_TIMEOUT"] or 2, "check_same_thread": False},
    }


def listen(engine: Engine, config: Mapping[str, Any]) -> None:
    event.listen(engine, "handle_error", _reopen)
    # A migration may replace a table that others refer to.
    if config["DATABASE_STATEMENT_TIMEOUT"]:
        event.listen(engine, "connect", _connect)
        event.listen(engine, "begin", _begin)


def unavailable(error: Exception) -> bool:
    """Whether another process holds the file, or the file cannot be reached or written."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNAVAILABLE


def conflicting(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) in CONFLICTS


def _connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # The driver's own transactions begin too late.
    connection.execute("PRAGMA foreign_keys = ON")
    # The file keeps this mode. While another process makes the change, SQLite refuses it without any wait.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


def _reopen(context: ExceptionContext) -> None:
    """Reopen a file that was read-only: SQLite would not notice that it is writable again."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_READONLY and context.execution_context:
        context.execution_context.cursor.close()  # It would keep the file open.
        context.is_disconnect = True
        context.engine.dispose()  # type: ignore[union-attr]


def _begin(connection: sa.Connection) -> None:
    # A transaction that begins with a read and goes on to a write fails if another has written since. So it takes the
    # lock for writing first, except in requests that only read: otherwise all requests would wait for each other.
    only_reads = has_request_context() and request.method in ("GET", "HEAD")
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
