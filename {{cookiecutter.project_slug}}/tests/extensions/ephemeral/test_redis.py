"""Redis that is away, for what may be lost."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from time import perf_counter
from types import ModuleType

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

MODULES = ["extensions.redis", "extensions.ephemeral.redis"]


@pytest.fixture
def ephemeral(package: ModuleType) -> ModuleType:
    return import_module(".extensions.ephemeral.redis", package.__name__)


@pytest.fixture
def silent(ephemeral: ModuleType, patience: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    monkeypatch.setattr(ephemeral, "PATIENCE", patience)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


def ask(app: Flask) -> bool:
    """Whether Redis answers."""
    asking = app.extensions["ephemeral"]
    try:
        return asking(asking.redis.get, "key") is None
    except import_module(type(asking).__module__).AwayError:
        return False


def test_a_silent_one_holds_nobody_up(probe: Callable[..., Flask], silent: str) -> None:
    app = probe(*MODULES, REDIS_URL=silent, REDIS_TIMEOUT=60)
    started = perf_counter()
    assert not ask(app)
    assert perf_counter() - started < 20
    started = perf_counter()
    assert not any(ask(app) for _ in range(1000))  # They would take 50 s if each waited.
    assert perf_counter() - started < 30


def test_the_log_tells_once(probe: Callable[..., Flask], port: int) -> None:
    app = probe(*MODULES, REDIS_URL=f"redis://127.0.0.1:{port}", WEB_THREADS=20)
    with capture_logs() as lines, ThreadPoolExecutor(20) as pool:
        assert not any(pool.map(lambda _: ask(app), range(200)))
    assert [line["event"] for line in lines] == ["ephemeral_redis_away"]


def test_it_is_asked_again(
    probe: Callable[..., Flask], ephemeral: ModuleType, monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    monkeypatch.setattr(ephemeral, "PAUSE", 0.1)
    app = probe(*MODULES)
    asking = app.extensions["ephemeral"]
    calls: list[str] = []

    def away(key: str) -> None:
        calls.append(key)
        raise ephemeral.RedisError("away")

    with capture_logs() as lines, monkeypatch.context() as patch:
        patch.setattr(asking.redis, "get", away)
        while len(calls) < 3:
            assert not ask(app)
    while not ask(app):
        pass
    with capture_logs() as later:
        assert ask(app)
    assert ([line["event"] for line in lines], later) == (["ephemeral_redis_away"], [])


def test_what_is_refused_is_away(probe: Callable[..., Flask], ephemeral: ModuleType, redis: Redis) -> None:
    """A Redis that is full or read-only, and a key of another kind."""
    redis.lpush("key", "value")
    assert not ask(probe(*MODULES))
