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
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(MAX_CONTENT_LENGTH=LIMIT)

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
    """Post a body without telling its length, as servers hand on one that comes in chunks."""
    return client.post(
        path,
        input_stream=BytesIO(body),
        content_type=content_type,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )


def test_truncated_body(client: FlaskClient) -> None:
    told = {"CONTENT_LENGTH": "10", "wsgi.input_terminated": True}
    assert client.post("/raw", input_stream=BytesIO(b"abc"), environ_overrides=told).status_code == 400


@pytest.mark.parametrize("path", BODIES)
def test_chunked_body_over_the_limit(client: FlaskClient, path: str) -> None:
    shape, content_type = BODIES[path]
    text = b"x" * (LIMIT - len(shape % b""))
    assert post_chunked(client, path, shape % text, content_type).json == {"text": text.decode()}
    assert post_chunked(client, path, shape % (text + b"x"), content_type).status_code == 413


@pytest.mark.parametrize("path", BODIES)
def test_body_over_the_limit(client: FlaskClient, path: str) -> None:
    shape, content_type = BODIES[path]
    text = b"x" * (LIMIT - len(shape % b""))
    assert client.post(path, data=shape % text, content_type=content_type).json == {"text": text.decode()}
    assert client.post(path, data=shape % (text + b"x"), content_type=content_type).status_code == 413


def test_view_sets_its_own_limit(client: FlaskClient) -> None:
    assert post_chunked(client, "/twice", b"x" * 2 * LIMIT).status_code == 200
    assert post_chunked(client, "/twice", b"x" * (2 * LIMIT + 1)).status_code == 413


def test_other_hosts_are_refused(make_app: Callable[..., Flask]) -> None:
    client = make_app(TRUSTED_HOSTS="example.com").test_client()
    assert client.get("/", base_url="http://example.com").status_code == 200
    assert client.get("/", base_url="http://example.org").status_code == 400


@pytest.mark.parametrize("hosts", ["", "*", "example.com/", "a b", "[::1]"])
def test_hosts_that_are_none(make_app: Callable[..., Flask], hosts: str) -> None:
    with pytest.raises(Exception, match="TRUSTED_HOSTS: Name hosts"):
        make_app(TRUSTED_HOSTS=hosts)


def test_slashes_are_not_merged(app: Flask) -> None:
    """A redirect would lead to the host that the client has named."""
    app.add_url_rule("/a/b", view_func=lambda: "")
    client = app.test_client()
    assert client.get("/a/b").status_code == 200
    assert client.get("/a//b").status_code == 404


def test_probes_are_answered_by_any_address(make_app: Callable[..., Flask]) -> None:
    app = make_app(TRUSTED_HOSTS="example.com")
    app.add_url_rule("/where", view_func=lambda: request.host_url)
    app.extensions["probes"].add("/where")
    client = app.test_client()
    assert client.get("/where", base_url="http://192.0.2.1:8000").text == "http://192.0.2.1:8000/"
    assert client.get("/livez", base_url="http://192.0.2.1:8000").status_code == 200
    assert client.get("/readyz", base_url="http://[2001:db8::1]:8000").status_code == 200
    for path in "/", "/livez/", "//livez", "/nowhere":
        response = client.get("/", base_url="http://192.0.2.1:8000", environ_overrides={"PATH_INFO": path})
        assert response.status_code == 400, path


def test_session(client: FlaskClient) -> None:
    assert client.get("/visits").json == {"visits": 1}
    assert client.get("/visits").json == {"visits": 2}


def test_no_cookie_no_session_is_read(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Flask] = []
    monkeypatch.setattr(app.session_interface, "get_signing_serializer", read.append)
    client.get("/")
    assert read == []
    client.set_cookie("session", "any")
    client.get("/")
    assert read == [app]
