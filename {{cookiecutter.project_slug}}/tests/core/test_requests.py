from collections.abc import Callable
from io import BytesIO

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from werkzeug.test import TestResponse

LIMIT = 1000
#: What a body of each path looks like around its text, and its type.
BODIES = {
    "/raw": (b"%s", "application/octet-stream"),
    "/json": (b'"%s"', "application/json"),
    "/form": (b"a=%s", "application/x-www-form-urlencoded"),
}


@pytest.fixture
def app(probe: Callable[..., Flask]) -> Flask:
    app = probe(MAX_CONTENT_LENGTH=LIMIT)

    @app.post("/raw")
    def raw() -> ResponseReturnValue:
        return {"text": request.get_data(as_text=True)}

    @app.post("/json")
    def json() -> ResponseReturnValue:
        return {"text": request.get_json()}

    @app.post("/form")
    def form() -> ResponseReturnValue:
        return {"text": request.form["a"]}

    @app.post("/twice")
    def twice() -> ResponseReturnValue:
        request.max_content_length = 2 * LIMIT
        return raw()

    @app.get("/visits")
    def visits() -> ResponseReturnValue:
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    return app


def post_chunked(client: FlaskClient, path: str, body: bytes, content_type: str = "") -> TestResponse:
    """Post a body without its length, as servers hand on one that comes in chunks."""
    return client.post(
        path,
        input_stream=BytesIO(body),
        content_type=content_type,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )


def test_a_body_that_ends_before_its_length(client: FlaskClient) -> None:
    told = {"CONTENT_LENGTH": "10", "wsgi.input_terminated": True}
    assert client.post("/raw", input_stream=BytesIO(b"abc"), environ_overrides=told).status_code == 400


@pytest.mark.parametrize("path", BODIES)
def test_bodies_at_the_limit_and_over_it(client: FlaskClient, path: str) -> None:
    shape, content_type = BODIES[path]
    text = b"x" * (LIMIT - len(shape % b""))
    for post in (post_chunked, lambda client, path, body, kind: client.post(path, data=body, content_type=kind)):
        assert post(client, path, shape % text, content_type).json == {"text": text.decode()}
        assert post(client, path, shape % (text + b"x"), content_type).status_code == 413


def test_a_view_sets_its_own_limit(client: FlaskClient) -> None:
    assert post_chunked(client, "/twice", b"x" * 2 * LIMIT).status_code == 200
    assert post_chunked(client, "/twice", b"x" * (2 * LIMIT + 1)).status_code == 413


def test_session(client: FlaskClient) -> None:
    assert client.get("/visits").json == {"visits": 1}
    assert client.get("/visits").json == {"visits": 2}
