"""Limits in the process, and in each server of the service that can count."""

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
def rate_limit(package: ModuleType) -> Any:
    return import_module(".extensions.rate_limit", package.__name__)


@pytest.fixture(params=["memory", *SERVERS])
def make(request: pytest.FixtureRequest, probe: Callable[..., Flask]) -> Callable[..., Flask]:
    """Make an application, whose limits each of the stores counts."""
    name = request.param
    modules = ["extensions.rate_limit"]
    if name != "memory":
        modules = [f"extensions.{name}", f"extensions.ephemeral.{name}", *modules, f"extensions.rate_limit.{name}"]

    def make(*more: str, **config: Any) -> Flask:
        return probe(*modules, *more, **config)

    return make
