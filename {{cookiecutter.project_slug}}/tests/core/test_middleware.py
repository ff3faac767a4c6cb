import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, redirect, request, url_for
from flask.testing import FlaskClient
from structlog.contextvars import bind_contextvars
from werkzeug.test import EnvironBuilder

SECURITY_HEADERS = {
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
}


def test_request_id_is_taken_or_given(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"
    first, second = (client.get("/").headers["X-Request-ID"] for _ in range(2))
    assert len(first) == len(second) == 32
    assert first != second


@pytest.mark.parametrize("hostile", ["", "a b", 'a"b', "a\nb", "a" * 129, "é"])
def test_hostile_request_id_is_replaced(client: FlaskClient, hostile: str) -> None:
    response = client.get("/", environ_overrides={"HTTP_X_REQUEST_ID": hostile})
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/", "/livez", "/nowhere"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    assert set(client.get(path).headers.keys()) >= SECURITY_HEADERS


def test_views_and_config_change_headers(probe: Callable[..., Flask]) -> None:
    app = probe(RESPONSE_HEADERS={"Content-Security-Policy": "default-src 'self'", "X-More": "yes"})
    app.add_url_rule("/framed", view_func=lambda: Response(headers={"x-frame-options": "SAMEORIGIN"}))
    headers = app.test_client().get("/framed").headers
    assert headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
    assert headers["X-More"] == "yes"
    assert set(headers.keys()) >= SECURITY_HEADERS - {"X-Frame-Options"}


def test_an_application_as_the_answer_of_another(
    probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]
) -> None:
    """Each header comes once, and the lines of the outer request keep what was bound to it."""
    outer, inner = probe(), probe()

    @outer.get("/inner")
    def mount() -> Any:
        bind_contextvars(user=7)
        inner.test_client().get("/", headers={"X-Request-ID": "a-2"}).close()
        return inner

    answer = outer.test_client().get("/inner", headers={"X-Request-ID": "a-1"}, base_url="https://localhost")
    assert sorted(answer.headers.keys()) == sorted({*answer.headers.keys()})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["request_id"], line.get("user")) for line in lines] == [("a-2", 7), ("a-1", 7), ("a-1", 7)]


def test_strict_transport_over_tls_alone(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" in client.get("/", base_url="https://localhost").headers
    assert "Strict-Transport-Security" not in client.get("/").headers


def call(app: Flask, path: str) -> tuple[Any, list[str]]:
    """Call an application as a server does: what is returned, and the statuses that it has sent until then."""
    statuses: list[str] = []

    def start(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return print

    return app.wsgi_app(EnvironBuilder(path).get_environ(), start), statuses


def pieces(*before: str) -> Iterator[str]:
    yield from before
    raise RuntimeError("in the middle")


def test_streams(app: Flask) -> None:
    app.add_url_rule("/whole", "whole", view_func=lambda: iter(["a", "b"]))
    app.add_url_rule("/breaks", "breaks", view_func=lambda: pieces("a"))
    app.add_url_rule("/breaks-at-once", "at_once", view_func=lambda: pieces())
    assert app.test_client().get("/whole").text == "ab"
    body, _ = call(app, "/breaks")
    assert next(body) == b"a"
    with pytest.raises(RuntimeError, match="in the middle"):
        next(body)
    body.close()
    with pytest.raises(RuntimeError, match="in the middle"):
        call(app, "/breaks-at-once")  # The server answers 500, since nothing was sent.


@pytest.mark.parametrize("size", [10, 100_000])
def test_observers_are_called_once(app: Flask, size: int) -> None:
    seen: list[tuple[str, str, int, float]] = []
    app.extensions["middleware"].observers.append(lambda *args: seen.append(args))
    app.add_url_rule("/sized", view_func=lambda: "x" * size)
    body, _ = call(app, "/sized")
    assert b"".join(body) == b"x" * size
    if hasattr(body, "close"):
        body.close()
    app.test_client().post("/nowhere").close()
    assert [args[:3] for args in seen] == [("GET", "/sized", 200), ("POST", "", 404)]
    assert all(0 < seconds < 10 for *_, seconds in seen)


def test_an_exception_that_leaves_flask_is_a_500(app: Flask) -> None:
    seen: list[int] = []
    app.extensions["middleware"].observers.append(lambda method, route, status, seconds: seen.append(status))

    @app.teardown_request
    def fail(error: BaseException | None) -> None:
        raise RuntimeError("internals")

    with pytest.raises(RuntimeError):
        call(app, "/")
    assert seen == [500]


FORWARDED = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "elsewhere"}


def caller() -> dict[str, Any]:
    return {"address": request.remote_addr, "url": request.root_url}


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        (0, {"address": "127.0.0.1", "url": "http://localhost/"}),
        (1, {"address": "192.0.2.1", "url": "https://localhost/"}),
    ],
)
def test_trusted_proxies(probe: Callable[..., Flask], proxies: int, expected: dict[str, str]) -> None:
    app = probe(TRUSTED_PROXIES=proxies)
    app.add_url_rule("/caller", view_func=caller)
    assert app.test_client().get("/caller", headers=FORWARDED).json == expected


@pytest.mark.parametrize("prefix", ["/shop", "//host", "/\t/host", "/\\host", "https://host", "host"])
def test_a_prefix_is_no_other_host(probe: Callable[..., Flask], prefix: str) -> None:
    app = probe(TRUSTED_PROXIES=1, TRUSTED_PROXY_HEADERS="prefix")
    app.add_url_rule("/away", view_func=lambda: redirect(url_for("index")))
    location = app.test_client().get("/away", headers={"X-Forwarded-Prefix": prefix}).headers["Location"]
    assert location == ("/shop/" if prefix == "/shop" else "/")


def test_probes_are_answered_by_any_address(probe: Callable[..., Flask]) -> None:
    client = probe(TRUSTED_HOSTS="example.com").test_client()
    assert client.get("/", base_url="http://example.com").status_code == 200
    assert client.get("/", base_url="http://example.org").status_code == 400
    assert client.get("/livez", base_url="http://192.0.2.1:8000").status_code == 200
    assert client.get("/readyz", base_url="http://[2001:db8::1]:8000").status_code == 200
