import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask


@pytest.fixture
def load(package: ModuleType) -> Callable[..., dict[str, Any]]:
    """Read the settings of core: ``load(PORT=8000)["PORT"]``."""

    def load(**overrides: Any) -> dict[str, Any]:
        settings: dict[str, Any] = package.core.settings.load(package.core.LAYERS, {"APP_ENV": "testing"} | overrides)
        return settings

    return load


@pytest.fixture
def refused(load: Callable[..., dict[str, Any]], package: ModuleType) -> Callable[..., dict[str, str]]:
    """Read settings that are refused, and return what is said of each."""

    def refused(**overrides: Any) -> dict[str, str]:
        with pytest.raises(package.core.settings.ConfigError) as error:
            load(**overrides)
        return dict(re.findall(r"^  ([A-Z][A-Z0-9_]*): (.*)", str(error.value), re.MULTILINE))

    return refused


def test_every_problem_in_one_message(refused: Callable[..., dict[str, str]]) -> None:
    found = refused(PORT="http", LOG_LEVEL="loud", TRUSTED_PROXY_HEADERS="for,fro")
    assert list(found) == ["LOG_LEVEL", "PORT", "TRUSTED_PROXY_HEADERS"]
    assert found["PORT"].endswith("For example: PORT=8000")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("PORT", ["0", "65536", "", "80.5"]),
        ("READY_TIMEOUT", ["nan", "inf", ""]),
        ("HOST", ["", "localhost", "a.b", "999.1.1.1", "1.2.3", "1:2"]),
        ("TRUSTED_HOSTS", ["", " , ", "https://example.com", "*", "example.com/", "a b", "[::1]"]),
        ("LOG_FORMAT", ["", "xml"]),
    ],
)
def test_what_is_refused(refused: Callable[..., dict[str, str]], name: str, values: list[str]) -> None:
    for value in values:
        assert list(refused(**{name: value})) == [name], value


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("TRUSTED_HOSTS", "A.example, .b.example", ["a.example", ".b.example"]),
        ("TRUSTED_HOSTS", ["a.example"], ["a.example"]),
        ("TRUSTED_HOSTS", None, None),
        ("HOST", "::1", "::1"),
        ("HOST", "\ufeff127.0.0.1\n", "127.0.0.1"),
        ("PORT", "\ufeff8001", 8001),
        ("READY_TIMEOUT", "1", 1.0),
    ],
)
def test_what_is_read(load: Callable[..., dict[str, Any]], name: str, given: object, read: object) -> None:
    assert load(**{name: given})[name] == read


def test_unset_environment_is_production(package: ModuleType) -> None:
    with pytest.raises(
        package.core.settings.ConfigError, match=r"SECRET_KEY: Set it to .*\nTo develop, set APP_ENV=development"
    ):
        package.core.settings.load([])


def test_unknown_environment_is_as_strict_as_production(refused: Callable[..., dict[str, str]]) -> None:
    assert refused(APP_ENV="staging").keys() == {"APP_ENV", "SECRET_KEY"}


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "0123456789abcdef0123456789abcde",
        "ab" * 32,
        "change-me-0123456789-abcdefghijkl",
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    ],
    ids=["unset", "a byte short", "repetitive", "placeholder", "of Flask's documentation"],
)
def test_weak_secret_is_refused_in_production(refused: Callable[..., dict[str, str]], secret: str) -> None:
    message = refused(APP_ENV="production", SECRET_KEY=secret)["SECRET_KEY"]
    assert not secret or secret not in message


def test_text_that_is_not_utf_8_is_refused(
    refused: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the output of ``head -c 32 /dev/urandom``."""
    monkeypatch.setenv("SECRET_KEY", "\udcff\udcfe" * 16)
    assert refused() == {"SECRET_KEY": "Must be text in UTF-8."}


def test_a_strong_secret_is_kept_and_an_unset_one_is_made(
    load: Callable[..., dict[str, Any]], production: dict[str, str]
) -> None:
    assert load(**production)["SECRET_KEY"] == production["SECRET_KEY"]
    first, second = load()["SECRET_KEY"], load()["SECRET_KEY"]
    assert first != second
    assert min(len(first), len(second)) >= 32


def test_override_beats_environment_beats_file_beats_default(
    load: Callable[..., dict[str, Any]], production: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(APP_ENV="development")["PORT"] == 8000
    Path(".env").write_text("PORT=8001\n")
    assert load(APP_ENV="development")["PORT"] == 8001
    assert load()["PORT"] == load(**production)["PORT"] == 8000, "the file is for development"
    monkeypatch.setenv("PORT", "8002")
    assert load(APP_ENV="development")["PORT"] == 8002
    assert load(APP_ENV="development", PORT=8003)["PORT"] == 8003


def test_a_file_that_is_not_utf_8_is_refused(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PowerShell writes UTF-16."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("PORT=8001\n", encoding="utf-16")
    with pytest.raises(package.core.settings.ConfigError, match=r"\n  \.env: .*UTF-8"):
        package.core.settings.load([], {"APP_ENV": "development"})


def test_a_refusal_is_one_line(package: ModuleType) -> None:
    env = package.core.settings.Env({"APP_ENV": "testing"})
    env.refuse("URL", "a library says\n\nthis\n")
    assert env.refused == {"URL": "a library says this"}


def test_debug_is_refused_in_production(
    refused: Callable[..., dict[str, str]], production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert refused(**production).keys() == {"FLASK_DEBUG"}


def test_the_application_has_them_all(probe: Callable[..., Flask]) -> None:
    app = probe(PORT="8001", SESSION_COOKIE_SAMESITE="Strict", ANYTHING=[1, 2])
    assert (app.config["PORT"], app.config["SESSION_COOKIE_SAMESITE"]) == (8001, "Strict")
    assert app.config["ANYTHING"] == [1, 2]
    assert app.testing
