import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from werkzeug.test import EnvironBuilder

SECURITY_HEADERS = {
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
}


def test_request_id_is_taken(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"


def test_request_id_is_given(client: FlaskClient) -> None:
    first, second = (client.get("/").headers["X-Request-ID"] for _ in range(2))
    assert len(first) == len(second) == 32
    assert first != second


@pytest.mark.parametrize("hostile", ["", "a b", 'a"b', "a\nb", "a" * 129, "é"])
def test_hostile_request_id_is_replaced(client: FlaskClient, hostile: str) -> None:
    response = client.get("/", environ_overrides={"HTTP_X_REQUEST_ID": hostile})
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/", "/livez", "/nowhere"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert set(response.headers.keys()) >= SECURITY_HEADERS
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_view_keeps_its_own_headers(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/framed", view_func=lambda: Response(headers={"x-frame-options": "SAMEORIGIN"}))
    response = client.get("/framed")
    assert response.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert set(response.headers.keys()) >= SECURITY_HEADERS - {"X-Frame-Options"}


def test_strict_transport_over_tls_alone(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" in client.get("/", base_url="https://localhost").headers
    assert "Strict-Transport-Security" not in client.get("/").headers


def pieces(*before: str) -> Iterator[str]:
    yield from before
    raise RuntimeError("in the middle")


def test_stream_that_fails_later_raises_for_the_server(
    make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/stream", view_func=lambda: pieces("a", "b"))
    response = app.test_client().get("/stream")
    assert response.status_code == 200
    with pytest.raises(RuntimeError, match="in the middle"):
        response.get_data()
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["event"] == "stream_failed"
    assert line["request_id"] == response.headers["X-Request-ID"]


def test_stream(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/stream", view_func=lambda: iter(["a", "b"]))
    assert client.get("/stream").text == "ab"


def test_inner_app_goes_on_with_the_id(make_app: Callable[..., Flask]) -> None:
    outer, inner = make_app(), make_app()
    # What a view returns may be another application.
    outer.add_url_rule("/nowhere", view_func=lambda: inner)
    response = outer.test_client().get("/nowhere")
    assert response.status_code == 404
    assert response.headers.getlist("X-Request-ID") == [response.get_json()["request_id"]]


FORWARDED = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "elsewhere"}


def caller() -> dict[str, Any]:
    return {"address": request.remote_addr, "url": request.root_url}


def test_no_proxy_is_trusted(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/caller", view_func=caller)
    response = client.get("/caller", headers=FORWARDED)
    assert response.json == {"address": "127.0.0.1", "url": "http://localhost/"}


def test_trusted_proxy(package: ModuleType) -> None:
    app = Flask("proxied")
    app.config.update(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS=["for", "proto"])
    package.core.middleware.init_app(app)
    app.add_url_rule("/caller", view_func=caller)
    response = app.test_client().get("/caller", headers=FORWARDED)
    assert response.json == {"address": "192.0.2.1", "url": "https://localhost/"}
    assert "Strict-Transport-Security" in response.headers


def test_observers_are_called(app: Flask, client: FlaskClient) -> None:
    seen: list[tuple[str, str, int, float]] = []
    app.extensions["middleware"].observers.append(lambda *call: seen.append(call))
    client.get("/").close()
    client.post("/nowhere").close()
    assert [call[:3] for call in seen] == [("GET", "/", 200), ("POST", "", 404)]
    assert all(0 < seconds < 10 for *_, seconds in seen)


@pytest.mark.parametrize("later", [False, True], ids=["nothing later", "something later"])
def test_a_body_in_memory_is_sent_at_once(app: Flask, later: bool) -> None:
    called = []

    @app.get("/said")
    def said() -> ResponseReturnValue:
        response = app.make_response("said")
        if later:
            response.call_on_close(lambda: called.append("closed"))
        return response

    body: Any = app.wsgi_app(EnvironBuilder("/said").get_environ(), lambda *_: print)
    assert isinstance(body, list) != later, "what is to be done later is done when the server says that all is sent"
    assert b"".join(body) == b"said"
    assert not called
    if later:
        body.close()
        assert called == ["closed"]


def test_an_inner_app_is_observed_once(make_app: Callable[..., Flask]) -> None:
    outer, inner = make_app(), make_app()
    seen: list[tuple[str, str, int, float]] = []
    inner.extensions["middleware"].observers.append(lambda *call: seen.append(call))
    outer.add_url_rule("/mounted", view_func=lambda: inner)
    outer.test_client().head("/mounted").close()
    assert [call[:3] for call in seen] == [("HEAD", "", 404)]
