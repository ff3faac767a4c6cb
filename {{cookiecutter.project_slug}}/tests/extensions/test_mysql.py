from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest
import sqlalchemy as sa
from flask import Flask


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.mysql", package.__name__)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_spelling_of_the_url(make_app: Callable[..., Flask], scheme: str) -> None:
    app = make_app(DATABASE_URL=f"{scheme}://user:p%40ss@host:3307/name")
    with app.app_context():
        url = app.extensions["sqlalchemy"].engine.url
    assert url.render_as_string(hide_password=False) == "mysql+pymysql://user:p%40ss@host:3307/name?charset=utf8mb4"


def test_time_outs(extension: ModuleType) -> None:
    config = {"DATABASE_TIMEOUT": 10.0, "DATABASE_CONNECT_TIMEOUT": 3.0}
    arguments = extension.options(sa.make_url("mysql://host/name"), config, read_only=True)["connect_args"]
    assert arguments == {
        "connect_timeout": 3.0,
        "read_timeout": 10.0,
        "write_timeout": 10.0,
        "init_command": "SET SESSION TRANSACTION READ ONLY",
    }
    migrating = extension.options(
        sa.make_url("mysql://host/name"), config | {"DATABASE_TIMEOUT": None}, read_only=False
    )
    assert migrating["connect_args"]["init_command"] == "SET SESSION lock_wait_timeout = 2"


def test_a_missing_driver(make_app: Callable[..., Flask], package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(import_module("sys").modules, "pymysql", None)
    with pytest.raises(package.core.settings.ConfigError, match="pip install pymysql"):
        make_app(DATABASE_URL="mysql://host/name")


def test_what_is_unavailable(extension: ModuleType) -> None:
    from pymysql.err import OperationalError, ProgrammingError

    assert all(extension.unavailable(OperationalError(number, "")) for number in (1040, 1045, 1205, 1213, 2003, 2013))
    assert not extension.unavailable(OperationalError(1054, "Unknown column"))
    assert not extension.unavailable(ProgrammingError(1146, "no such table"))
    assert not extension.unavailable(OperationalError())
