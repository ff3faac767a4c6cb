import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def module(package: ModuleType) -> ModuleType:
    return import_module(".extensions.version", package.__name__)


def test_the_version_that_was_installed(module: ModuleType) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert module.installed_version() == project["version"]


def test_what_is_not_installed(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__name__", "nowhere_installed.version")
    assert module.installed_version.__wrapped__() is None
