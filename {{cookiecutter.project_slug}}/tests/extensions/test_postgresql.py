from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.postgresql", package.__name__)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_url(make_app: Callable[..., Flask], scheme: str) -> None:
    app = make_app(DATABASE_URL=f"{scheme}://user:p%40ss@host:5433/name?sslmode=require")
    with app.app_context():
        url = app.extensions["sqlalchemy"].engine.url
    assert (
        url.render_as_string(hide_password=False) == "postgresql+psycopg://user:p%40ss@host:5433/name?sslmode=require"
    )


def test_time_outs(extension: ModuleType) -> None:
    config = {"DATABASE_TIMEOUT": 10.0, "DATABASE_CONNECT_TIMEOUT": 3.0}
    url = sa.make_url("postgresql://host/name?options=-c%20search_path%3Dx")
    arguments = extension.options(url, config, read_only=True)["connect_args"]
    assert arguments == {
        "connect_timeout": 3,
        "options": "-c search_path=x -c default_transaction_read_only=on -c statement_timeout=9000",
    }
    migrating = extension.options(url.set(query={}), config | {"DATABASE_TIMEOUT": None}, read_only=False)
    assert migrating["connect_args"]["options"].strip() == "-c lock_timeout=2s"


def test_a_missing_driver(make_app: Callable[..., Flask], package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(import_module("sys").modules, "psycopg", None)
    with pytest.raises(package.core.settings.ConfigError, match=r"pip install 'psycopg\[binary\]'"):
        make_app(DATABASE_URL="postgresql://host/name")


def test_a_parameter_that_there_is_not(make_app: Callable[..., Flask], package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError, match='DATABASE_URL: invalid connection option "foo"'):
        make_app(DATABASE_URL="postgresql://host/name?foo=bar")


def test_what_is_unavailable(extension: ModuleType) -> None:
    from psycopg import errors

    away: list[type[Any]] = [
        errors.AdminShutdown,
        errors.QueryCanceled,
        errors.TooManyConnections,
        errors.DeadlockDetected,
    ]
    assert all(extension.unavailable(error()) for error in away)
    assert not any(extension.unavailable(error()) for error in (errors.UndefinedTable, errors.UniqueViolation))
