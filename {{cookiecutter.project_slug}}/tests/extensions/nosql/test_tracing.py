from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from flask import Flask

CLIENT, ERROR = 3, 2


def test_commands_are_spans_of_their_request(probe: Callable[..., Flask], package: ModuleType, receiver: Any) -> None:
    nosql = import_module(".extensions.nosql", package.__name__)
    app = probe("extensions.tracing", "extensions.nosql.tracing", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    (observe,) = nosql.observers(app)

    def view() -> str:
        observe("shelf", "PUT")(None)
        observe("shelf", "GET")(OSError("of 10.0.0.1"))
        return ""

    app.add_url_rule("/ask", view_func=view)
    observe("shelf", "PING")(None)  # Outside of a request, it is nobody's.
    app.test_client().get("/ask").close()
    assert app.extensions["tracing"].provider.force_flush()
    (request,) = [span for span in receiver.spans if span["name"] == "GET /ask"]
    first, second = [span for span in receiver.spans if span["kind"] == CLIENT]
    assert {(span["trace"], span["parent"]) for span in (first, second)} == {(request["trace"], request["id"])}
    assert first["attributes"] == {"db.system.name": "shelf", "db.operation.name": "PUT"}
    assert (second["name"], second["status"][0]) == ("GET shelf", ERROR)
    assert second["attributes"]["error.type"] == "OSError"
    assert "10.0.0.1" not in str(second)


def test_without_a_receiver_nothing_observes(probe: Callable[..., Flask], package: ModuleType) -> None:
    app = probe("extensions.tracing", "extensions.nosql.tracing")
    assert import_module(".extensions.nosql", package.__name__).observers(app) == []
