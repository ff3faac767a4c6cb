from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.exceptions import BadRequest


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.postgresql", package.__name__)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_url(probe: Callable[..., Flask], scheme: str) -> None:
    app = probe("extensions.sqlalchemy", DATABASE_URL=f"{scheme}://user:p%40ss@host:5433/name?sslmode=require")
    with app.app_context():
        url = app.extensions["sqlalchemy"].engine.url
    assert (
        url.render_as_string(hide_password=False) == "postgresql+psycopg://user:p%40ss@host:5433/name?sslmode=require"
    )


@pytest.mark.parametrize(("seconds", "limit"), [(10.0, "statement_timeout = 9000"), (None, "lock_timeout = 2000")])
def test_time_outs(extension: ModuleType, seconds: float | None, limit: str) -> None:
    """They are set in each transaction: a pooler does not hand them on to another client."""
    engine, connection = sa.create_engine("postgresql+psycopg://host/name"), Mock()
    extension.listen(engine, {"DATABASE_STATEMENT_TIMEOUT": seconds})
    engine.dispatch.begin(connection)
    connection.exec_driver_sql.assert_called_once_with(f"BEGIN; SET LOCAL {limit}")


def test_no_start_up_parameter_and_no_prepared_statement(extension: ModuleType) -> None:
    config = {"DATABASE_CONNECT_TIMEOUT": 3.0}
    arguments = extension.options(sa.make_url("postgresql://host/name"), config)["connect_args"]
    assert arguments == {"connect_timeout": 3, "autocommit": True, "prepare_threshold": None}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("foo=bar", 'invalid connection option "foo"'),
        ("sslmode=bar", "an option has a wrong value"),
        ("target_session_attrs=bar", "an option has a wrong value"),
    ],
)
def test_a_wrong_option_is_refused(probe: Callable[..., Flask], package: ModuleType, option: str, message: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=f"DATABASE_URL: {message}"):
        probe("extensions.sqlalchemy", DATABASE_URL=f"postgresql://host/name?{option}")


def test_a_wrong_variable_is_refused(
    probe: Callable[..., Flask], package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "bar")
    with pytest.raises(package.core.settings.ConfigError, match=r"DATABASE_URL: .* variable such as PGSSLMODE"):
        probe("extensions.sqlalchemy", DATABASE_URL="postgresql://host/name")


@pytest.mark.parametrize("option", ["sslmode=require", "host=one,two&port=1,2", "host=one:1&host=two:2", "host=/run"])
def test_a_right_option_is_taken(probe: Callable[..., Flask], option: str) -> None:
    probe("extensions.sqlalchemy", DATABASE_URL=f"postgresql:///name?{option}")


def test_a_character_that_cannot_be_stored(extension: ModuleType) -> None:
    from psycopg import DataError, errors

    engine = sa.create_engine("postgresql+psycopg://host/name")
    extension.listen(engine, {"DATABASE_STATEMENT_TIMEOUT": None})
    (refuse,) = engine.dialect.dispatch.handle_error
    for refused in (DataError("text fields cannot contain NUL (0x00) bytes"), errors.UntranslatableCharacter()):
        with pytest.raises(BadRequest, match=r"U\+0000"):
            refuse(Mock(original_exception=refused))
    for other in (errors.UniqueViolation("(title)=(cannot contain NUL)"), errors.NumericValueOutOfRange("NUL")):
        refuse(Mock(original_exception=other))


def test_what_is_unavailable(extension: ModuleType) -> None:
    from psycopg import errors

    away: list[type[Any]] = [
        errors.AdminShutdown,
        errors.QueryCanceled,
        errors.TooManyConnections,
        errors.DeadlockDetected,
        errors.ReadOnlySqlTransaction,
    ]
    assert all(extension.unavailable(error()) for error in away)
    assert not any(extension.unavailable(error()) for error in (errors.UndefinedTable, errors.UniqueViolation))


def test_what_is_a_conflict(extension: ModuleType) -> None:
    from psycopg import errors

    assert all(extension.conflicting(error()) for error in (errors.UniqueViolation, errors.ForeignKeyViolation))
    assert not any(extension.conflicting(error()) for error in (errors.NotNullViolation, errors.CheckViolation))
