import re
from collections import ChainMap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask


def refusal(package: ModuleType, **config: Any) -> str:
    with pytest.raises(package.core.settings.ConfigError) as error:
        package.core.settings.load(package.core.LAYERS, config)
    return str(error.value)


def test_every_problem_in_one_message(package: ModuleType) -> None:
    message = refusal(package, APP_ENV="testing", PORT="http", LOG_LEVEL="loud", TRUSTED_PROXY_HEADERS="for,fro")
    assert re.findall(r"^  ([A-Z][A-Z0-9_]*): ", message, re.MULTILINE) == [
        "LOG_LEVEL",
        "PORT",
        "TRUSTED_PROXY_HEADERS",
    ]
    assert "For example: PORT=8000" in message
    assert "For example: TRUSTED_PROXY_HEADERS=for,proto" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", ""),
        ("PORT", "80.5"),
        ("READY_TIMEOUT", "nan"),
        ("READY_TIMEOUT", "inf"),
    ],
)
def test_what_is_out_of_bounds_is_refused(package: ModuleType, name: str, value: str) -> None:
    assert re.search(
        rf"^  {name}: Must be .* from .* to .*\.", refusal(package, APP_ENV="testing", **{name: value}), re.MULTILINE
    )


def test_unset_environment_is_production(package: ModuleType) -> None:
    message = refusal(package)
    assert "  SECRET_KEY: " in message
    assert "to develop, set APP_ENV=development" in message


def test_unknown_environment_is_refused(package: ModuleType) -> None:
    message = refusal(package, APP_ENV="staging")
    assert "  APP_ENV: " in message
    assert "  SECRET_KEY: " in message, "what is unknown is as strict as production"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "Tr0ub4dor&3",
        "0123456789abcdef0123456789abcde",
        "ab" * 32,
        "change-me-0123456789-abcdefghijkl",
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    ],
    ids=["unset", "short", "a byte short", "repetitive", "placeholder", "of Flask's documentation"],
)
def test_weak_secret_is_refused_in_production(package: ModuleType, production: dict[str, str], secret: str) -> None:
    message = refusal(package, **production | {"SECRET_KEY": secret})
    assert re.findall(r"^  ([A-Z][A-Z0-9_]*): ", message, re.MULTILINE) == ["SECRET_KEY"]
    assert not secret or secret not in message


def test_what_is_no_text_is_refused(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the output of ``head -c 32 /dev/urandom`` is none."""
    monkeypatch.setenv("SECRET_KEY", "\udcff\udcfe" * 16)
    assert "  SECRET_KEY: Must be text in UTF-8." in refusal(package, APP_ENV="testing")


def test_strong_secret_is_kept(package: ModuleType, production: dict[str, str]) -> None:
    assert package.core.settings.load(package.core.LAYERS, production)["SECRET_KEY"] == production["SECRET_KEY"]


def test_random_secret_in_development(package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (
        package.core.settings.load(package.core.LAYERS, {"APP_ENV": "development"})["SECRET_KEY"] for _ in range(2)
    )
    assert first != second
    assert min(len(first), len(second)) >= 32


def test_override_beats_environment_beats_file_beats_default(
    package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert package.core.settings.load(package.core.LAYERS, {"APP_ENV": "development"})["PORT"] == 8000
    Path(".env").write_text("PORT=8001\n")
    assert package.core.settings.load(package.core.LAYERS, {"APP_ENV": "development"})["PORT"] == 8001
    monkeypatch.setenv("PORT", "8002")
    assert package.core.settings.load(package.core.LAYERS, {"APP_ENV": "development"})["PORT"] == 8002
    assert package.core.settings.load(package.core.LAYERS, {"APP_ENV": "development", "PORT": 8003})["PORT"] == 8003


@pytest.mark.parametrize("name", ["production", "testing"])
def test_file_is_read_in_development_only(
    package: ModuleType, production: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("PORT=8001\n")
    assert package.core.settings.load(package.core.LAYERS, production | {"APP_ENV": name})["PORT"] == 8000


def test_app_has_the_whole_configuration(make_app: Callable[..., Flask], package: ModuleType) -> None:
    config = package.core.settings.load(package.core.LAYERS, {"APP_ENV": "testing", "SECRET_KEY": "tested"})
    assert config.items() <= make_app(SECRET_KEY="tested").config.items()


def test_example_file_names_every_setting(
    package: ModuleType, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = set()

    class Recording(ChainMap[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    monkeypatch.setattr(package.core.settings, "ChainMap", Recording)
    package.core.settings.load(package.core.LAYERS, {"APP_ENV": "testing"})
    example = (pytestconfig.rootpath / ".env.example").read_text()
    assert set(re.findall("^#([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)) == read, ".env.example names other settings"
    readme = (pytestconfig.rootpath / "README.md").read_text()
    assert set(re.findall(r"^\| `([A-Z][A-Z0-9_]*)` \|", readme, re.MULTILINE)) == read, (
        "README.md names other settings"
    )


def test_debug_is_refused_in_production(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert "FLASK_DEBUG: " in refusal(package)


@pytest.mark.parametrize("hosts", ["", " , ", "https://example.com"])
def test_hosts_that_match_nothing_are_refused(package: ModuleType, hosts: str) -> None:
    assert "TRUSTED_HOSTS: " in refusal(package, APP_ENV="testing", TRUSTED_HOSTS=hosts)


def test_blanks_between_names_do_not_count(make_app: Callable[..., Flask]) -> None:
    assert make_app(TRUSTED_HOSTS="a.example, b.example,").config["TRUSTED_HOSTS"] == ["a.example", "b.example"]
