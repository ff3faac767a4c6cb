import socket
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import LargeBinary
from sqlalchemy.dialects import mysql


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.mysql", package.__name__)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_spelling_of_the_url(probe: Callable[..., Flask], scheme: str) -> None:
    app = probe("extensions.sqlalchemy", DATABASE_URL=f"{scheme}://user:p%40ss@host:3307/name")
    with app.app_context():
        url = app.extensions["sqlalchemy"].engine.url
    assert url.render_as_string(hide_password=False) == "mysql+pymysql://user:p%40ss@host:3307/name?charset=utf8mb4"


@pytest.mark.parametrize(
    ("seconds", "server", "limits"),
    [
        (10.0, "11.8-MariaDB", "SESSION max_statement_time = 9.0, SESSION innodb_lock_wait_timeout = 9"),
        (10.0, "9.1", "SESSION max_execution_time = 9000, SESSION innodb_lock_wait_timeout = 9"),
        (None, "9.1", "SESSION lock_wait_timeout = 2"),
    ],
)
def test_time_outs(extension: ModuleType, seconds: float | None, server: str, limits: str) -> None:
    engine, connection = sa.create_engine("mysql+pymysql://host/name"), MagicMock()
    connection.get_server_info.return_value = server
    extension.listen(engine, {"DATABASE_STATEMENT_TIMEOUT": seconds})
    *_, connected = engine.pool.dispatch.connect
    connected(connection, None)
    cursor = connection.cursor.return_value.__enter__.return_value
    cursor.execute.assert_called_once_with(f"SET {limits}")


@pytest.mark.parametrize(
    "option",
    [
        "nonsense=1",
        "ssl_ca=/no/such/file",
        "connect_timeout=abc",
        "autocommit=1",
        "cursorclass=dict",
        "conv=1",
        "max_allowed_packet=big",
    ],
)
def test_a_wrong_option_is_refused(probe: Callable[..., Flask], package: ModuleType, option: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match="DATABASE_URL: A wrong option: "):
        probe("extensions.sqlalchemy", DATABASE_URL=f"mysql://host/name?{option}")


def test_a_server_that_does_not_greet(extension: ModuleType) -> None:
    """Connecting takes as long as it may, and not as long as a statement may."""
    config = {"DATABASE_STATEMENT_TIMEOUT": None, "DATABASE_CONNECT_TIMEOUT": 0.1}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"mysql://127.0.0.1:{silent.getsockname()[1]}/name"
        engine = sa.create_engine(**extension.options(sa.make_url(address), config))
        extension.listen(engine, config)
        with pytest.raises(sa.exc.OperationalError, match="No greeting from the server: timed out") as error:
            engine.connect()
    assert extension.unavailable(error.value.orig)


def test_what_is_unavailable(extension: ModuleType) -> None:
    from pymysql.err import OperationalError, ProgrammingError

    assert all(
        extension.unavailable(OperationalError(number, "")) for number in (1040, 1045, 1205, 1213, 1290, 2003, 2013)
    )
    assert not extension.unavailable(OperationalError(1054, "Unknown column"))
    assert not extension.unavailable(ProgrammingError(1146, "no such table"))
    assert not extension.unavailable(OperationalError())


def test_what_is_a_conflict(extension: ModuleType) -> None:
    from pymysql.err import IntegrityError

    assert all(extension.conflicting(IntegrityError(number, "")) for number in (1062, 1451, 1452))
    assert not extension.conflicting(IntegrityError(1048, "cannot be null"))


@pytest.mark.parametrize(
    ("length", "name"),
    [(None, "BLOB"), (2**16 - 1, "BLOB"), (2**16, "MEDIUMBLOB"), (2**24 - 1, "MEDIUMBLOB"), (2**24, "LONGBLOB")],
)
@pytest.mark.usefixtures("extension")
def test_binary_columns_have_the_name_that_the_server_gives_them(length: int | None, name: str) -> None:
    assert LargeBinary(length).compile(dialect=mysql.dialect()) == name
