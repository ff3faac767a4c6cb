from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient


def test_pool(make_app: Callable[..., Flask], package: ModuleType) -> None:
    app = make_app(WEB_THREADS=1)
    client = app.test_client()
    with app.app_context():
        engine = import_module(".extensions.sqlalchemy", package.__name__).db.engine

    def figures() -> dict[str, float]:
        names = ("in_use", "idle", "overflow", "size", "max")
        lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
        return {name: float(lines[f"database_pool_{name}" + '{pool="write"}']) for name in names}

    assert figures() == {"in_use": 0, "idle": 0, "overflow": 0, "size": 1, "max": 3}
    with engine.connect(), engine.connect():
        assert figures() == {"in_use": 2, "idle": 0, "overflow": 1, "size": 1, "max": 3}
    assert figures() == {"in_use": 0, "idle": 1, "overflow": 0, "size": 1, "max": 3}
    engine.dispose()
    with engine.connect():
        assert figures()["in_use"] == 1


def test_requests_that_the_database_fails_are_counted(app: Flask, client: FlaskClient) -> None:
    @app.get("/busy")
    def busy() -> str:
        raise sa.exc.TimeoutError

    @app.get("/away")
    def away() -> str:
        raise sa.exc.DBAPIError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)

    text = client.get("/metrics").text
    assert 'database_unavailable_total{reason="away"} 0.0' in text
    assert 'database_unavailable_total{reason="busy"} 0.0' in text
    for path in ("/busy", "/away", "/away"):
        assert client.get(path).status_code == 503
    text = client.get("/metrics").text
    assert 'database_unavailable_total{reason="away"} 2.0' in text
    assert 'database_unavailable_total{reason="busy"} 1.0' in text


def test_a_database_in_memory_has_no_pool(make_app: Callable[..., Flask]) -> None:
    text = make_app(DATABASE_URL="sqlite://").test_client().get("/metrics").text
    assert "database_pool_size{" not in text
