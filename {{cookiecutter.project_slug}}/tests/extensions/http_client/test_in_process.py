"""Calls to a service that is in this process: as those over a socket, without one."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from time import sleep
from types import ModuleType
from typing import Any
from wsgiref.validate import validator

import click
import pytest
from flask import Flask, Response, current_app, g, request, url_for

#: What was closed.
closed: list[str] = []


@pytest.fixture
def orders(probe: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package that is installed beside this one."""
    package = ModuleType("orders_here")
    monkeypatch.setitem(sys.modules, "orders_here", package)

    def create_app(config: dict[str, Any]) -> Flask:
        app = probe("extensions.http_client", **config)
        app.add_url_rule("/notes", "notes", notes, methods=["GET", "POST"])
        app.add_url_rule("/notes/<path:note>", "note", lambda note: {"note": note})
        app.add_url_rule("/fail", "fail", lambda: str(1 // 0))
        app.add_url_rule("/stream/<int:pieces>", "stream", stream)
        app.add_url_rule("/drip", "drip", drip)
        return app

    package.create_app = create_app  # type: ignore[attr-defined]
    return package


def notes() -> dict[str, Any]:
    g.seen = "by the service that is called"
    kept = {name: value for name, value in request.headers.items() if name in ("Content-Type", "X-Request-Id")}
    found = {"query": request.args.to_dict(), "body": request.get_data(as_text=True), "headers": kept}
    urls = [url_for("note", note="a"), url_for("note", note="a", _external=True)]
    return found | {
        "urls": urls,
        "level": current_app.config["LOG_LEVEL"],
        "deadline": "X-Envoy-Expected-Rq-Timeout-Ms" in request.headers,
    }


def stream(pieces: int) -> Response:
    response = Response(b"x" * 1_000_000 for _ in range(pieces))
    response.call_on_close(lambda: closed.append("stream"))
    return response


def drip() -> Response:
    def pieces() -> Iterator[bytes]:
        while True:
            sleep(0.05)
            yield b"x"

    return Response(pieces())


@pytest.fixture
def caller(make_caller: Callable[..., Flask], orders: Any) -> Flask:
    settings = {"APP_ENV": "testing", "LOG_LEVEL": "debug"}
    return make_caller("wsgi://orders_here/mounted", ORDERS_SETTINGS=settings, seconds=2)


@pytest.fixture
def peer(caller: Flask) -> Any:
    return caller.extensions["http_client"].peers["orders"]


def test_a_call(peer: Any, http_client: ModuleType) -> None:
    body = http_client.raw_body("a,b", "text/csv")
    found = peer.call("POST", "/notes", query={"q": "a b&c"}, body=body).json(dict[str, Any])
    assert found == {
        "query": {"q": "a b&c"},
        "body": "a,b",
        "headers": {"Content-Type": "text/csv", "X-Request-Id": found["headers"]["X-Request-Id"]},
        "urls": ["/mounted/notes/a", "http://localhost/mounted/notes/a"],
        "level": "debug",
        "deadline": True,
    }
    assert peer.call("GET", "/notes/{note}", {"note": "ä/b?c"}).json(dict[str, str]) == {"note": "ä/b?c"}
    peer.ready()


def test_the_request_of_the_caller_goes_on(
    caller: Flask, http_client: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    def view() -> dict[str, Any]:
        g.seen = "by the caller"
        answer = http_client.peer("orders").call("GET", "/notes").json(dict[str, Any])
        return {"seen": g.seen, "path": request.path, "id": answer["headers"]["X-Request-Id"]}

    caller.add_url_rule("/view", view_func=view)
    headers = {"X-Request-ID": "mine"}
    told = {"seen": "by the caller", "path": "/view", "id": "mine"}
    assert caller.test_client().get("/view", headers=headers).json == told
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    requests = [(line["path"], line["request_id"]) for line in lines if line["event"] == "request"]
    assert requests == [("/mounted/notes", "mine"), ("/view", "mine")]


def test_what_a_program_mounts_is_what_is_called(caller: Flask, peer: Any) -> None:
    mounted = caller.extensions["http_client"].apps["orders"]
    mounted.config["LOG_LEVEL"] = "changed"
    assert peer.call("GET", "/notes").json(dict[str, Any])["level"] == "changed"


def test_the_rules_of_wsgi_are_kept(caller: Flask, peer: Any, http_client: ModuleType) -> None:
    app = caller.extensions["http_client"].apps["orders"]
    # Werkzeug closes what is answered; the validator would raise for what is not.
    app.wsgi_app = validator(app.wsgi_app)
    for body in (None, http_client.json_body({})):
        assert peer.call("POST", "/notes", body=body).status == 200


def test_the_host_is_one_that_it_trusts(make_caller: Callable[..., Flask], orders: Any) -> None:
    settings = {"APP_ENV": "testing", "TRUSTED_HOSTS": ".orders.example,other.example"}
    peer = make_caller("wsgi://orders_here", ORDERS_SETTINGS=settings).extensions["http_client"].peers["orders"]
    assert peer.call("GET", "/notes").json(dict[str, Any])["urls"] == ["/notes/a", "http://orders.example/notes/a"]


def test_errors(caller: Flask, peer: Any, http_client: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    """Also where an application lets errors through, as in tests, they are answers with 500."""
    for propagates in (True, False):
        caller.extensions["http_client"].apps["orders"].config["PROPAGATE_EXCEPTIONS"] = propagates
        for route, status in (("/nowhere", 404), ("/fail", 500)):
            with pytest.raises(http_client.ProblemError) as raised:
                peer.call("GET", route)
            assert raised.value.status == status
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [("ZeroDivisionError" in line["exception"]) for line in lines if line["level"] == "error"] == [True, True]
    assert not peer.breaker.open


def test_answers_are_bounded_and_closed(peer: Any, http_client: ModuleType) -> None:
    closed.clear()
    assert len(peer.call("GET", "/stream/2").content) == 2_000_000
    with pytest.raises(http_client.MalformedError, match="has more than 16777216 bytes"):
        peer.call("GET", "/stream/20")
    assert closed == ["stream"] * 2
    with pytest.raises(http_client.UnreachableError, match="no whole answer in time"):
        peer.call("GET", "/drip")


# --- settings ---


def test_its_settings_begin_with_its_name(package: ModuleType, http_client: ModuleType) -> None:
    given = {"ORDERS_URL": "wsgi://orders", "ORDERS_TIMEOUT": "1", "ORDERS_REQUIRED": "no", "ORDERS_TOKEN": "t"}
    env = package.core.settings.Env({"APP_ENV": "testing", "ORDERS_PORT": "1", "ORDERSX": "2", **given})
    read = http_client.settings(env, "orders", "http://127.0.0.1:8001", token=True)
    assert read["ORDERS_SETTINGS"] == {"APP_ENV": "testing", "PORT": "1"}
    assert "ORDERS_SETTINGS" not in http_client.settings(
        package.core.settings.Env({}), "orders", "http://127.0.0.1:8001"
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("wsgi://no_such_package", "ORDERS_URL: .* installed beside this one: No module named 'no_such_package'"),
        ("wsgi://json", "ORDERS_URL: .* installed beside this one: module 'json' has no attribute 'create_app'"),
        ("wsgi://orders_here", "^  ORDERS_SECRET_KEY: Set it to"),
    ],
)
def test_what_is_no_service_is_refused(make_caller: Callable[..., Flask], orders: Any, url: str, told: str) -> None:
    with pytest.raises(click.ClickException) as raised:
        make_caller(url, ORDERS_SETTINGS={"APP_ENV": "production", "SECRET_KEY": ""})
    assert len([line for line in str(raised.value).splitlines() if re.search(told, line)]) == 1


def test_a_circle_is_refused(make_caller: Callable[..., Flask], orders: Any) -> None:
    orders.create_app = lambda config: make_caller("wsgi://orders_here", ORDERS_SETTINGS=config)
    with pytest.raises(click.ClickException, match="ORDERS_URL leads in a circle: orders_here calls this"):
        make_caller("wsgi://orders_here", ORDERS_SETTINGS={})
    del orders.create_app
    with pytest.raises(click.ClickException, match="has no attribute"):
        make_caller("wsgi://orders_here", ORDERS_SETTINGS={})
