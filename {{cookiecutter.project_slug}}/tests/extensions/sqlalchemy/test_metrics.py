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
        names = ("in_use", "open", "size", "max")
        lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines())
        return {name: float(lines[f"database_pool_{name}"]) for name in names}

    assert figures() == {"in_use": 0, "open": 0, "size": 1, "max": 3}
    with engine.connect() as kept, engine.connect():
        assert figures() == {"in_use": 2, "open": 2, "size": 1, "max": 3}
        kept.invalidate()
        assert figures() == {"in_use": 1, "open": 1, "size": 1, "max": 3}
    # The invalid one is kept, to be opened again, and so the other is closed.
    assert figures() == {"in_use": 0, "open": 0, "size": 1, "max": 3}
    engine.connect().close()
    assert figures() == {"in_use": 0, "open": 1, "size": 1, "max": 3}


def test_a_connection_that_is_found_broken(counted: Flask, package: ModuleType) -> None:
    """It was not handed out, so that its return does not count."""
    with counted.app_context():
        engine = import_module(".extensions.sqlalchemy", package.__name__).db.engine
    away: list[bool] = []

    @sa.event.listens_for(engine, "do_connect")
    def connect(*_: object) -> None:
        if away:
            raise sa.exc.OperationalError("", {}, Exception("away"))

    @sa.event.listens_for(engine, "checkout", insert=True)
    def check(*_: object) -> None:
        if away:
            raise sa.exc.DisconnectionError

    engine.connect().close()
    away.append(True)
    # Where the module of the engine connects by itself, new connections are made, and are found broken, too.
    with pytest.raises((sa.exc.OperationalError, sa.exc.InvalidRequestError)):
        engine.connect()
    text = counted.test_client().get("/metrics").text
    assert "database_pool_in_use 0.0" in text
    assert "database_pool_open 0.0" in text


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
