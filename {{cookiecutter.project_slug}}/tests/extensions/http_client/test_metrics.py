"""The figures of calls."""

from collections.abc import Callable
from typing import Any

from flask import Flask


def test_calls_are_counted(make_caller: Callable[..., Flask], service: Any, answering: Callable[..., Any]) -> None:
    modules = ["extensions.metrics", "extensions.http_client", "extensions.http_client.metrics"]
    app = make_caller(service.url, *modules)
    client = app.test_client()
    client.get("/ask").close()
    service.answers = [answering(503)]
    for _ in range(3):
        client.get("/ask").close()
    lines = client.get("/metrics").text.splitlines()
    of_route = 'method="GET",peer="orders",route="/notes"'
    ended = {line.split('status="')[1] for line in lines if line.startswith("peer_calls_total{" + of_route)}
    assert ended == {'200"} 1.0', '503"} 2.0', '0"} 1.0'}, "the last one was not made"
    assert "peer_call_duration_seconds_count{" + of_route + "} 4.0" in lines
    assert 'peer_left_alone{peer="orders"} 1.0' in lines
