"""Limits while Redis is away."""

import socket
from collections.abc import Callable
from time import perf_counter
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from structlog.testing import capture_logs

MODULES = ["extensions.redis", "extensions.ephemeral.redis", "extensions.rate_limit", "extensions.rate_limit.redis"]


def test_anybody_may_go_on(
    probe: Callable[..., Flask], package: ModuleType, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody waits: it takes connections, and says nothing."""
    monkeypatch.setattr(package.extensions.ephemeral.redis, "PATIENCE", patience)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        app = probe(*MODULES, REDIS_URL=url, REDIS_TIMEOUT=60, RATE_LIMIT="1/day", LOG_LEVEL="warning")
        found: list[tuple[str, str]] = []
        app.extensions["rate_limit"].observers.append(lambda *told: found.append(told))
        client = app.test_client()
        started = perf_counter()
        with capture_logs() as lines:
            answers = [client.get("/") for _ in range(1000)]
        assert perf_counter() - started < 40  # 50 s and more if each waited.
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers
    assert found == [("default", "open")] * 1000
    assert [line["event"] for line in lines] == ["ephemeral_redis_away"]


def test_one_command_counts(probe: Callable[..., Flask], redis: Redis, count_redis: Callable[..., Any]) -> None:
    client = probe(*MODULES, RATE_LIMIT="3/day").test_client()
    client.get("/")  # It has told Redis the script.
    with count_redis() as commands:
        client.get("/")
    assert commands == ["EVALSHA"]
    (key,) = redis.scan_iter()
    assert (key, redis.get(key)) == ("probe:rate_limit:default:86400:address 127.0.0.1", "2")
    assert 0 < redis.ttl(key) <= 86400


def test_production_starts(
    probe: Callable[..., Flask], package: ModuleType, production: dict[str, str], redis_url: str
) -> None:
    app = probe(*MODULES, **production | {"REDIS_URL": redis_url, "RATE_LIMIT": "1/day"})
    package.core.server.serving.send(app)
