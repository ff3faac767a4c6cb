from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest
import structlog
from flask import Flask


@pytest.fixture
def away(probe: Callable[..., Flask], package: ModuleType) -> Flask:
    """An application whose view finds its store away."""
    nosql = import_module(".extensions.nosql", package.__name__)
    app = probe()
    app.add_url_rule("/away", view_func=lambda: nosql.unavailable("shelf", OSError("no route to 10.0.0.1")))
    return app


def test_away(away: Flask) -> None:
    with structlog.testing.capture_logs() as logs:
        response = away.test_client().get("/away")
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "5"
    assert response.get_json()["detail"] == "shelf is unavailable."
    assert logs[0] == {
        "event": "store_unavailable",
        "store": "shelf",
        "reason": "no route to 10.0.0.1",
        "log_level": "warning",
    }


def test_who_wants_to_know_is_told(away: Flask, package: ModuleType) -> None:
    told: list[tuple[Flask, str]] = []
    signal = import_module(".extensions.nosql", package.__name__).store_unavailable
    with signal.connected_to(lambda sender, store: told.append((sender, store))):
        away.test_client().get("/away")
    assert told == [(away, "shelf")]


def test_observers_are_of_one_application(probe: Callable[..., Flask], package: ModuleType) -> None:
    nosql = import_module(".extensions.nosql", package.__name__)
    first, second = probe(), probe()
    nosql.observers(first).append(lambda store, command: lambda error: None)
    assert len(nosql.observers(first)) == 1
    assert nosql.observers(second) == []
