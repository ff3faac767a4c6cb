"""The figures of limits."""

from collections.abc import Callable

from flask import Flask


def test_requests_are_counted(probe: Callable[..., Flask]) -> None:
    modules = ["extensions.metrics", "extensions.rate_limit", "extensions.rate_limit.metrics"]
    client = probe(*modules, RATE_LIMIT="2/day").test_client()
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    told = client.get("/metrics").text.splitlines()
    assert 'rate_limit_requests_total{policy="default",result="allowed"} 2.0' in told
    assert 'rate_limit_requests_total{policy="default",result="refused"} 1.0' in told
