"""Caches in the process, and in each server of the service that can keep entries."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

(FOLDER,) = Path(__file__).parents[3].glob("src/*/extensions/ephemeral")
SERVERS = [path.stem for path in FOLDER.glob("[!_]*.py")]


@pytest.fixture
def cache(package: ModuleType) -> Any:
    return import_module(".extensions.cache", package.__name__)


@pytest.fixture(params=["memory", *SERVERS])
def modules(request: pytest.FixtureRequest) -> list[str]:
    """What a service starts."""
    if request.param == "memory":
        return ["extensions.cache"]
    name = request.param
    return [f"extensions.{name}", f"extensions.ephemeral.{name}", "extensions.cache", f"extensions.cache.{name}"]


@pytest.fixture
def make(probe: Callable[..., Flask], modules: list[str]) -> Callable[..., Flask]:
    def make(*more: str, **config: Any) -> Flask:
        return probe(*modules, *more, **config)

    return make


@pytest.fixture
def results(cache: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What came of each question, in all applications."""
    found: list[str] = []
    init_app = cache.init_app

    def observed(app: Flask) -> None:
        init_app(app)
        app.extensions["cache"].observers.append(lambda name, result: found.append(result))

    monkeypatch.setattr(cache, "init_app", observed)
    return found
