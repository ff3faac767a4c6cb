from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest
import sqlalchemy as sa
from flask import Flask

MODULES = ("extensions.metrics", "extensions.sqlalchemy", "extensions.sqlalchemy.metrics")


@pytest.fixture
def counted(probe: Callable[..., Flask]) -> Flask:
    return probe(*MODULES, WEB_THREADS=1)


def test_pool(counted: Flask, package: ModuleType) -> None:
    client = counted.test_client()
    with counted.app_context():
        engine = import_module(".extensions.sqlalchemy", package.__name__).db.engine

    def figures() -> dict[str, float]:
        names = ("in_use", "idle", "overflow", "size", "max")
        lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
        return {name: float(lines[f"database_pool_{name}"]) for name in names}

    assert figures() == {"in_use": 0, "idle": 0, "overflow": 0, "size": 1, "max": 3}
    with engine.connect(), engine.connect():
        assert figures() == {"in_use": 2, "idle": 0, "overflow": 1, "size": 1, "max": 3}
    assert figures() == {"in_use": 0, "idle": 1, "overflow": 0, "size": 1, "max": 3}
    engine.dispose()
    with engine.connect():
        assert figures()["in_use"] == 1


def test_requests_that_the_database_fails_are_counted(counted: Flask) -> None:
    @counted.get("/busy")
    def busy() -> str:
        raise sa.exc.TimeoutError

    @counted.get("/away")
    def away() -> str:
        raise sa.exc.DBAPIError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)

    client = counted.test_client()
    text = client.get("/metrics").text
    assert 'database_unavailable_total{reason="away"} 0.0' in text
    assert 'database_unavailable_total{reason="busy"} 0.0' in text
    for path in ("/busy", "/away", "/away"):
        assert client.get(path).status_code == 503
    text = client.get("/metrics").text
    assert 'database_unavailable_total{reason="away"} 2.0' in text
    assert 'database_unavailable_total{reason="busy"} 1.0' in text
