"""SQLite: the database without a server. https://www.sqlite.org/pragma.html"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

SCHEMES = ["sqlite"]
#: Primary result codes that are no fault of the statement: busy, locked, read-only, interrupted,
#: input or output, full, cannot open. https://www.sqlite.org/rescode.html
UNAVAILABLE = {5, 6, 8, 9, 10, 13, 14}
#: Seconds that the change of a new file to a write-ahead log may take.
JOURNAL_TIMEOUT = 2.0


def in_memory(url: URL) -> bool:
    return url.drivername in SCHEMES and url.database in (None, "", ":memory:")


def options(url: URL, config: Mapping[str, Any], read_only: bool) -> dict[str, Any]:
    if not in_memory(url):
        url = url.set(database=str(Path(url.database or "").absolute()))
    # The wait for a lock; without a limit, an hour.
    return {"url": url, "connect_args": {"timeout": config["DATABASE_TIMEOUT"] or 3600, "check_same_thread": False}}


def listen(engine: Engine, config: Mapping[str, Any], read_only: bool) -> None:
    event.listen(engine, "connect", _connect)
    if read_only:
        event.listen(engine, "connect", _read_only)
    else:
        event.listen(engine, "begin", _begin)


def unavailable(error: Exception) -> bool:
    """Whether another process holds the file, or it cannot be reached."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in UNAVAILABLE


def _connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # The driver's own transactions begin too late.
    connection.execute("PRAGMA foreign_keys = ON")
    deadline = monotonic() + JOURNAL_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # While another process makes this change to a new file, it is refused without any wait.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
            sleep(0.01)


def _read_only(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin(connection: sa.Connection) -> None:
    # A transaction that begins with a read and goes on to a write fails if another has written since.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
