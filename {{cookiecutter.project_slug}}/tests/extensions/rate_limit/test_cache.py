"""Limits above cached views."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from flask import Flask


def test_what_is_left_is_no_part_of_what_is_kept(
    probe: Callable[..., Flask], package: ModuleType, rate_limit: Any
) -> None:
    cache = import_module(".extensions.cache", package.__name__)
    app, calls = probe("extensions.cache", "extensions.rate_limit", RATE_LIMIT="9/day"), list[int]()

    def view() -> str:
        calls.append(1)
        return "answered"

    app.add_url_rule("/view", "view", rate_limit.rate_limit("3/day")(cache.cached_view(60)(view)))
    client = app.test_client()
    answers = [client.get("/view") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers.getlist("RateLimit") for answer in answers] == [
        [f'"default";r={8 - number};t=86400, "view";r={max(2 - number, 0)};t=86400'] for number in range(4)
    ]
    assert len(calls) == 1
