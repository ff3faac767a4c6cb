"""The figures of caches."""

from collections.abc import Callable
from types import ModuleType

from flask import Flask


def test_questions_are_counted(probe: Callable[..., Flask], cache: ModuleType) -> None:
    app = probe("extensions.metrics", "extensions.cache", "extensions.cache.metrics")
    function = cache.cached(60, "rates")(lambda: 1)
    with app.app_context():
        assert [function() for _ in range(3)] == [1, 1, 1]
    told = app.test_client().get("/metrics").text.splitlines()
    assert 'cache_requests_total{name="rates",result="hit"} 2.0' in told
    assert 'cache_requests_total{name="rates",result="miss"} 1.0' in told
