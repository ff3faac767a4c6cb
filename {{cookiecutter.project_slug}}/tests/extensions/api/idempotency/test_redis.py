"""A key is held while its request runs, and is free again whatever becomes of it."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Decorator = Callable[[Any], Callable[..., Response]]
URL = "/api/v1/orders"


@pytest.fixture
def during() -> list[Callable[[], object]]:
    """What happens while the view runs."""
    return []


@pytest.fixture
def app(probe: Callable[..., Flask], api: Callable[[str], Any], redis: Any, during: list[Any]) -> Flask:
    app = probe("extensions.api", "extensions.redis", "extensions.api.idempotency.redis")
    idempotent: Callable[[], Decorator] = api("idempotency").idempotent
    operation: Callable[..., Decorator] = api("contract").operation

    @app.post(URL)
    @idempotent()
    @operation(201)
    def order() -> int:
        app.extensions["orders"] = number = app.extensions.get("orders", 0) + 1
        while during:
            during.pop()()
        return int(number)

    return app


def send(client: FlaskClient) -> TestResponse:
    return client.post(URL, headers={"Idempotency-Key": "a"})


def test_a_second_request_while_the_first_runs(app: Flask, during: list[Any]) -> None:
    seen: list[TestResponse] = []
    during.append(lambda: seen.append(send(app.test_client())))
    assert send(app.test_client()).json == 1
    assert [(other.status_code, other.headers["Retry-After"]) for other in seen] == [(409, "1")]
    assert send(app.test_client()).json == 1


def test_a_key_is_kept_for_a_day_and_held_for_a_minute(client: FlaskClient, redis: Any, during: list[Any]) -> None:
    seen: list[int] = []
    during.append(lambda: seen.extend(redis.ttl(key) for key in redis.scan_iter()))
    send(client)
    seen += [redis.ttl(key) for key in redis.scan_iter()]
    assert [round(seconds / 10) for seconds in seen] == [6, 8640]


def test_a_request_that_has_lost_its_key_does_not_take_that_of_another(
    client: FlaskClient, redis: Any, during: list[Any]
) -> None:
    during.append(lambda: [redis.set(key, "of another", ex=60) for key in redis.scan_iter()])
    assert send(client).json == 1
    assert [redis.get(key) for key in redis.scan_iter()] == ["of another"]
    assert send(client).status_code == 409


def test_redis_is_lost_while_the_view_runs(
    client: FlaskClient, package: ModuleType, during: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is answered: an error would have it repeat what has an effect."""
    from redis import ConnectionError as Lost

    store: Any = import_module(".extensions.api.idempotency.redis", package.__name__)

    class Away:
        def transaction(self, *_: object) -> None:
            raise Lost("away")

    during.append(lambda: monkeypatch.setattr(store, "client", Away))
    assert send(client).json == 1


def test_redis_is_away(client: FlaskClient, package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis import ConnectionError as Lost

    store: Any = import_module(".extensions.api.idempotency.redis", package.__name__)

    def away() -> None:
        raise Lost("away")

    monkeypatch.setattr(store, "client", away)
    refused = send(client)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
