import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from werkzeug.test import EnvironBuilder, TestResponse


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    # Tests see exceptions as they are raised; here they are to be answered.
    app = make_app(MAX_CONTENT_LENGTH=200_000, PROPAGATE_EXCEPTIONS=False)

    @app.post("/json")
    def echo() -> ResponseReturnValue:
        return {"received": request.get_json()}

    @app.get("/bug")
    def bug() -> ResponseReturnValue:
        raise RuntimeError("internals")

    @app.get("/ready-made")
    def ready_made() -> ResponseReturnValue:
        abort(Response("as it is", 418, {"X-Kept": "yes"}))

    @app.get("/ready-made-code")
    def ready_made_code() -> ResponseReturnValue:
        abort(418, response=Response("as it is", 418, {"X-Kept": "yes"}))

    return app


def problem(response: TestResponse, status: int) -> Any:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    document = response.get_json()
    assert document.keys() == {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == status
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


def test_not_found(client: FlaskClient) -> None:
    assert problem(client.get("/nowhere"), 404)["title"] == "Not Found"


def test_method_not_allowed(client: FlaskClient) -> None:
    response = client.get("/json")
    problem(response, 405)
    assert response.allow == {"OPTIONS", "POST"}


def test_too_large(client: FlaskClient) -> None:
    problem(client.post("/json", data=b" " * 200_001, content_type="application/json"), 413)


def test_unsupported_media_type(client: FlaskClient) -> None:
    problem(client.post("/json", data="<json/>", content_type="text/xml"), 415)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000 + b"]" * 100_000, b'"\\ud800"', b'"\xff"', b"NaN", b"-Infinity"],
    ids=["empty", "open", "deep", "lone surrogate", "no UTF-8", "NaN", "infinite"],
)
def test_malformed_json(client: FlaskClient, body: bytes) -> None:
    problem(client.post("/json", data=body, content_type="application/json"), 400)


def test_bug_tells_no_internals(client: FlaskClient) -> None:
    response = client.get("/bug")
    assert problem(response, 500)["title"] == "Internal Server Error"
    assert "internals" not in response.text


@pytest.mark.parametrize("path", ["/ready-made", "/ready-made-code"])
def test_ready_made_response_is_kept(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.text, response.headers["X-Kept"]) == (418, "as it is", "yes")


def test_head_has_no_body(client: FlaskClient) -> None:
    response = client.head("/nowhere")
    assert (response.status_code, response.data) == (404, b"")
    assert response.content_type == "application/problem+json"


def test_exception_that_leaves_flask(app: Flask) -> None:
    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        raise RuntimeError("internals")

    statuses = []

    # Not the test client's, which raises what a response is replaced with.
    def start(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return print

    body = b"".join(app(EnvironBuilder().get_environ(), start))
    assert json.loads(body)["status"] == 500
    assert statuses == ["200 OK", "500 INTERNAL SERVER ERROR"]
