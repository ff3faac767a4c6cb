from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from flask import Flask


def test_commands_are_counted(probe: Callable[..., Flask], package: ModuleType) -> None:
    nosql = import_module(".extensions.nosql", package.__name__)
    app = probe("extensions.metrics", "extensions.nosql.metrics")
    app.add_url_rule("/away", view_func=lambda: nosql.unavailable("shelf", OSError()))
    (observe,) = nosql.observers(app)
    observe("shelf", "get")(None)
    observe("shelf", "get")(OSError())
    client = app.test_client()
    client.get("/away")
    text = client.get("/metrics").text
    assert 'store_command_duration_seconds_count{command="get",store="shelf"} 2.0' in text
    assert 'store_commands_failed_total{command="get",store="shelf"} 1.0' in text
    assert 'store_unavailable_total{store="shelf"} 1.0' in text
