from typing import Any

import pytest
from flask import Flask, Response, abort, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict
from werkzeug.test import TestResponse


class Unbalanced(Conflict):
    members = {"balance": 30}  # noqa: RUF012


@pytest.fixture
def app(app: Flask) -> Flask:
    # Tests see exceptions as they are raised; here they are to be answered.
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.post("/json")
    def echo() -> ResponseReturnValue:
        return {"received": request.get_json()}

    @app.get("/bug")
    def bug() -> ResponseReturnValue:
        raise RuntimeError("internals")

    @app.get("/unbalanced")
    def unbalanced() -> ResponseReturnValue:
        raise Unbalanced

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
    assert document.keys() >= {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == status
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document


def test_what_flask_refuses(client: FlaskClient) -> None:
    assert problem(client.get("/nowhere"), 404)["title"] == "Not Found"
    assert client.get("/json").allow == {"OPTIONS", "POST"}
    problem(client.get("/json"), 405)
    problem(client.post("/json", data=b" " * 2**21, content_type="application/json"), 413)
    problem(client.post("/json", data="<json/>", content_type="text/xml"), 415)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000 + b"]" * 100_000, b'"\\ud800"', b'"\xff"', b"NaN", b"-Infinity"],
    ids=["empty", "open", "deep", "lone surrogate", "not UTF-8", "NaN", "infinite"],
)
def test_malformed_json(client: FlaskClient, body: bytes) -> None:
    problem(client.post("/json", data=body, content_type="application/json"), 400)


def test_bug_tells_no_internals(client: FlaskClient) -> None:
    response = client.get("/bug")
    assert problem(response, 500)["title"] == "Internal Server Error"
    assert "internals" not in response.text


def test_members_of_an_error_of_ones_own(client: FlaskClient) -> None:
    assert problem(client.get("/unbalanced"), 409)["balance"] == 30


@pytest.mark.parametrize("path", ["/ready-made", "/ready-made-code"])
def test_ready_made_response_is_kept(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.text, response.headers["X-Kept"]) == (418, "as it is", "yes")


def test_head_has_no_body(client: FlaskClient) -> None:
    response = client.head("/nowhere")
    assert (response.status_code, response.data) == (404, b"")
    assert response.content_type == "application/problem+json"
