from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

#: As ``fixtures/tracing.py`` makes it.
Receiver = Any

CLIENT, ERROR = 3, 2
MODULES = ("extensions.sqlalchemy", "extensions.tracing", "extensions.sqlalchemy.tracing")


@pytest.fixture
def ask(probe: Callable[..., Flask], receiver: Receiver, package: ModuleType) -> Callable[..., list[dict[str, Any]]]:
    """Execute a statement in a request, and return the spans of statements."""
    db = import_module(".extensions.sqlalchemy", package.__name__).db

    def ask(statement: str, **values: str) -> list[dict[str, Any]]:
        app = probe(*MODULES, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)

        def view() -> str:
            # The engine is used directly, because sessions share one connection in tests.
            with db.engine.connect() as connection, suppress(sa.exc.DBAPIError):
                connection.execute(sa.text(statement), values)
            return ""

        app.add_url_rule("/ask", view_func=view)
        app.test_client().get("/ask").close()
        assert app.extensions["tracing"].provider.force_flush()
        (request,) = [span for span in receiver.spans if span["name"] == "GET /ask"]
        statements = [span for span in receiver.spans if span["kind"] == CLIENT]
        assert {(span["trace"], span["parent"]) for span in statements} == {(request["trace"], request["id"])}
        return statements

    return ask


def test_a_statement_is_a_span(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (span,) = ask("SELECT :value", value="confidential")
    assert span["name"].startswith("SELECT ")
    assert span["attributes"]["db.operation.name"] == "SELECT"
    assert span["attributes"]["db.query.text"].startswith("SELECT ")
    assert span["attributes"]["db.system.name"]
    assert span["status"] == (0, "")
    assert "confidential" not in str(span)


def test_a_statement_that_fails(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (span,) = ask("SELECT CAST(:value AS integer) FROM nowhere", value="confidential")
    assert span["status"] == (ERROR, "")
    assert span["attributes"]["error.type"].endswith(("Error", "UndefinedTable"))
    assert span["events"] == 0
    assert "confidential" not in str(span)


def test_statements_outside_of_requests_are_no_traces(
    probe: Callable[..., Flask], receiver: Receiver, package: ModuleType
) -> None:
    app = probe(*MODULES, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    db = import_module(".extensions.sqlalchemy", package.__name__).db
    app.test_client().get("/").close()
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert app.extensions["tracing"].provider.force_flush()
    assert [span["name"] for span in receiver.spans] == ["GET /"]
