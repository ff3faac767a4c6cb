"""Calls to another service, which answers over real sockets, well and badly."""

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import responses
from importlib import import_module
from time import monotonic, sleep
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from flask import Flask, g
from msgspec import UNSET

Answering = Callable[..., Callable[[Any], None]]


def raw(*pieces: bytes, pause: float = 0.0, times: int = 1) -> Callable[[Any], None]:
    """Bytes instead of an answer, after which the connection ends."""

    def send(handler: Any) -> None:
        try:
            for piece in pieces:
                handler.wfile.write(piece)
            for _ in range(times - 1):
                sleep(pause)
                handler.wfile.write(pieces[-1])
        except OSError:
            pass  # The other side has given up, as it should.
        handler.close_connection = True

    return send


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


# --- what is sent ---


def test_a_call(peer: Any, service: Any, answering: Answering) -> None:
    service.answers = [answering(200, b'{"title": "x"}', ETag='"1"')]
    query = {"limit": 3, "tags": ["a b", "c"], "done": True, "left_out": UNSET}
    found = peer.call("GET", "/notes/{note_id}", {"note_id": "a/b?c"}, query=query, headers={"If-None-Match": '"0"'})
    assert found.json(dict[str, str]) == {"title": "x"}
    assert found.etag == '"1"'
    ((method, path, headers, body),) = service.asked
    assert (method, path, body) == ("GET", "/notes/a%2Fb%3Fc?limit=3&tags=a+b&tags=c&done=true", b"")
    assert headers["If-None-Match"] == '"0"'
    assert headers["Accept"] == "application/json"
    assert 2000 < int(headers["X-Envoy-Expected-Rq-Timeout-Ms"]) <= 5000
    assert "Authorization" not in headers
    assert "X-Request-ID" not in headers


@pytest.mark.parametrize("argument", ["", ".", ".."])
def test_an_argument_stays_in_its_place(peer: Any, service: Any, argument: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a path"):
        peer.call("GET", "/notes/{note_id}", {"note_id": argument})
    assert service.asked == []


def test_bodies(peer: Any, service: Any, http_client: ModuleType) -> None:
    class Upload(msgspec.Struct):
        title: str
        file: http_client.File | None  # type: ignore[name-defined]
        tags: list[str] | msgspec.UnsetType = UNSET

    class Form(msgspec.Struct):
        title: str
        tags: list[int]
        none: int | None = None

    for body in (
        http_client.json_body({"a": 1}, "application/merge-patch+json"),
        http_client.form_body(Form("ä b", [1, 2]), multipart=False),
        http_client.raw_body("a,b", "text/csv"),
        http_client.raw_body(b"\x00", "image/png"),
        http_client.form_body(Upload("t", http_client.File("a.txt", b"content", "text/plain")), multipart=True),
    ):
        peer.call("POST", "/notes", body=body)
    assert (
        http_client.json_body(UNSET) is http_client.form_body(UNSET, True) is http_client.raw_body(UNSET, "x/y") is None
    )
    (merged, form, csv, png, upload) = [(headers["Content-Type"], body) for _, _, headers, body in service.asked]
    assert merged == ("application/merge-patch+json", b'{"a":1}')
    assert form == ("application/x-www-form-urlencoded", b"title=%C3%A4+b&tags=1&tags=2")
    assert csv == ("text/csv", b"a,b")
    assert png == ("image/png", b"\x00")
    assert upload[0].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n' in upload[1]
    assert b"tags" not in upload[1]


def test_what_goes_along(make_caller: Callable[..., Flask], service: Any, http_client: ModuleType) -> None:
    """The id of the request; and the time that its caller still waits, which is the limit of the call, too."""
    app = make_caller(f"{service.url}/base/", ORDERS_TOKEN="token-of-orders", seconds=30)
    secured = {"secured": True}
    app.add_url_rule("/secured", view_func=lambda: http_client.peer("orders").call("GET", "/x", **secured).text())
    client = app.test_client()
    headers = {"X-Request-ID": "mine", "X-Envoy-Expected-Rq-Timeout-Ms": "9000"}
    assert client.get("/ask", headers=headers).json == {}
    assert client.get("/secured", headers=headers | {"X-Envoy-Expected-Rq-Timeout-Ms": "soon"}).text == "{}"
    (first, second) = service.asked
    assert first[1] == "/base/notes"
    assert first[2]["X-Request-ID"] == "mine"
    assert 0 < int(first[2]["X-Envoy-Expected-Rq-Timeout-Ms"]) <= 9000
    assert "Authorization" not in first[2]
    assert second[2]["Authorization"] == "Bearer token-of-orders"
    assert int(second[2]["X-Envoy-Expected-Rq-Timeout-Ms"]) > 9000
    service.answers = [raw(HEAD, pause=0.2, times=150)]
    started = monotonic()
    late = client.get("/ask", headers=headers | {"X-Envoy-Expected-Rq-Timeout-Ms": "300"})
    assert late.status_code == 504
    assert monotonic() - started < 20
    assert client.get("/ask", headers={"X-Envoy-Expected-Rq-Timeout-Ms": "0"}).status_code == 504
    assert len(service.asked) == 3


def test_impatient_callers_open_no_breaker(make_caller: Callable[..., Flask], service: Any) -> None:
    app = make_caller(service.url)
    service.answers = [raw(HEAD, pause=0.1, times=5)]
    for _ in range(6):
        app.test_client().get("/ask", headers={"X-Envoy-Expected-Rq-Timeout-Ms": "20"})
    assert not app.extensions["http_client"].peers["orders"].breaker.open


def test_connections_are_kept(peer: Any, service: Any, answering: Answering) -> None:
    service.answers = [answering(200, b"{}"), answering(204)]  # Without a content, too.
    for _ in range(5):
        peer.call("GET", "/notes", expect=(200, 204))
    assert len(service.connections) == 1
    service.answers = [answering(200, b"{}")]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: peer.call("GET", "/notes"), range(40)))
    assert len(service.asked) == 45
    assert len(service.connections) <= 5


# --- what is answered ---


@pytest.mark.parametrize("status", [304, 404, 409, 500])
def test_errors_are_raised(peer: Any, service: Any, answering: Answering, http_client: ModuleType, status: int) -> None:
    content = b"" if status == 304 else json.dumps({"detail": "No.", "errors": [1]}).encode()
    service.answers = [answering(status, content, ETag='"2"')]
    with pytest.raises(http_client.ProblemError) as raised:
        peer.call("GET", "/notes")
    assert raised.value.status == status
    assert raised.value.members == (json.loads(content) if content else {})
    assert raised.value.headers["ETag"] == '"2"'
    assert len(service.asked) == 1


def test_an_error_without_a_document(peer: Any, service: Any, answering: Answering, http_client: ModuleType) -> None:
    for content in (b"<html>", b"[1]", b"\xff", b"[" * 100_000):
        service.answers = [answering(500, content)]
        with pytest.raises(http_client.ProblemError, match=r"^orders: 500$") as raised:
            peer.call("GET", "/notes")
        assert raised.value.members == {}


def test_what_is_no_answer_of_the_contract(
    peer: Any, service: Any, answering: Answering, http_client: ModuleType
) -> None:
    elsewhere = "http://elsewhere.example/" + "x" * 1000
    for told, message in (
        (answering(200, b"<html>", Content_Type="text/html; charset=utf-8"), "answered text/html, and not JSON"),
        (answering(302, b"", Location=elsewhere), "a redirect to 'http://elsewhere.example/x+', which is not followed"),
        (answering(202, b"{}"), "answered 202, which its contract does not say"),
        (answering(200, b'{"a": "b"}'), r"does not fit the contract: Expected `int`, got `str` - at `\$\[...\]`"),
        (answering(200, b'{"a": '), "does not fit the contract: .*truncated"),
        (raw(b"HTTP/1.1 200"), "does not fit the contract: Input data was truncated"),
        (answering(200, b"[" * 100_000), "does not fit the contract"),
        (answering(200, b'{"a": "\xff"}'), "does not fit the contract"),
        (raw(HEAD + b"Content-Length: 104857600\r\n\r\n", b"x"), "has more than 16777216 bytes"),
        (raw(HEAD + b"\r\n", *[b" " * 1_000_000] * 20), "has more than 16777216 bytes"),
    ):
        service.answers = [told]
        with pytest.raises(http_client.MalformedError, match=message) as raised:
            peer.call("GET", "/notes").json(dict[str, int])
        assert len(str(raised.value)) < 400


@pytest.mark.parametrize("status", [100, 101, 103])
def test_interim_answers_are_passed_over(peer: Any, service: Any, status: int) -> None:
    interim = b"HTTP/1.1 %d Interim\r\nLink: </a>\r\n\r\n" % status
    service.answers = [raw(interim * 2 + HEAD + b"Content-Length: 2\r\n\r\n{}")]
    assert peer.call("GET", "/notes").json(object) == {}


def test_half_an_answer(peer: Any, service: Any, http_client: ModuleType) -> None:
    for told in (
        raw(HEAD + b"Content-Length: 10\r\n\r\n{}"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}"),
        raw(b""),
        raw(b"\x00" * 100),
    ):
        service.answers, service.asked, peer.breaker.failures = [told], [], 0
        with pytest.raises(http_client.UnreachableError, match="answer") as raised:
            peer.call("GET", "/notes")
        assert not raised.value.late
        assert len(service.asked) == 3, "the call changes nothing, and is made again"
        service.asked, peer.breaker.failures = [], 0
        with pytest.raises(http_client.UnreachableError):
            peer.call("POST", "/notes")
        assert len(service.asked) == 1, "the call may have had an effect"


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),  # It is silent.
        (HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        (HEAD + b"\r\n", b" "),
        (HEAD, b"X-More: x\r\n"),
        (b"H",),
    ],
)
def test_a_drip(
    make_caller: Callable[..., Flask], service: Any, http_client: ModuleType, pieces: tuple[bytes, ...]
) -> None:
    """Each piece comes in time, and the answer never ends: the limit holds for all of it, headers included."""
    peer = make_caller(service.url, seconds=0.6).extensions["http_client"].peers["orders"]
    service.answers = [raw(*pieces, pause=0.2, times=100)]
    started = monotonic()
    with pytest.raises(http_client.UnreachableError, match="in time") as raised:
        peer.call("GET", "/notes")
    assert raised.value.late
    assert 0.5 < monotonic() - started < 10


# --- attempts ---


@pytest.mark.parametrize(
    ("method", "headers", "attempts"),
    [
        ("GET", {}, 3),
        ("PUT", {}, 3),
        ("DELETE", {}, 3),
        ("POST", {}, 1),
        ("PATCH", {}, 1),
        ("POST", {"Idempotency-Key": "1"}, 3),
    ],
)
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_only_what_is_idempotent_is_repeated(
    peer: Any,
    service: Any,
    answering: Answering,
    http_client: ModuleType,
    method: str,
    headers: dict[str, str],
    attempts: int,
    status: int,
) -> None:
    service.answers = [answering(status, b"{}")]
    with pytest.raises(http_client.ProblemError):
        peer.call(method, "/notes", headers=headers)
    assert len(service.asked) == attempts
    service.answers = [answering(status, b"{}"), answering(200, b"{}")]
    peer.breaker.failures = 0
    if attempts > 1:
        assert peer.call(method, "/notes", headers=headers).status == 200


def test_retry_after(
    make_caller: Callable[..., Flask], service: Any, answering: Answering, http_client: ModuleType
) -> None:
    """It is waited for, unless the deadline comes first."""
    peer = make_caller(service.url, seconds=30).extensions["http_client"].peers["orders"]
    service.answers = [answering(503, b"", Retry_After="1"), answering(200, b"{}")]
    started = monotonic()
    peer.call("GET", "/notes")
    assert monotonic() - started >= 1
    service.answers, service.asked = [answering(503, b"", Retry_After="3600")], []
    started = monotonic()
    with pytest.raises(http_client.ProblemError):
        peer.call("GET", "/notes")
    assert monotonic() - started < 20
    assert len(service.asked) == 1


def test_what_retry_after_says(package: ModuleType) -> None:
    retry_after = import_module(".extensions.http_client.peer", package.__name__).retry_after
    assert [retry_after(text) for text in ("2", "-1", "soon", "", "nan seconds")] == [2, 0, 0, 0, 0]
    assert 50 < retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)) <= 60
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert retry_after("Thu, 01 Jan 1970 00:00:00 +99999999999999") == 0


@pytest.mark.parametrize("known", [True, False])
def test_no_connection(
    make_caller: Callable[..., Flask],
    http_client: ModuleType,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
) -> None:
    """Nothing was delivered, so that any call may be made again."""
    peer = make_caller(f"http://127.0.0.1:{port}").extensions["http_client"].peers["orders"]
    if not known:  # A real name server may take longer to say so than the call may take.
        unknown = Mock(side_effect=socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(http_client.UnreachableError, match=r"^orders: no connection: ") as raised:
        peer.call("POST", "/notes")
    assert (raised.value.delivered, peer.breaker.failures) == (False, 3)


def test_an_encrypted_connection_that_is_none(
    make_caller: Callable[..., Flask], service: Any, http_client: ModuleType
) -> None:
    url = service.url.replace("http:", "https:")
    peer = make_caller(url).extensions["http_client"].peers["orders"]
    with pytest.raises(http_client.UnreachableError, match="no encrypted connection"):
        peer.call("GET", "/notes")


# --- the breaker ---


def test_a_service_that_fails_is_left_alone(
    peer: Any, service: Any, answering: Answering, http_client: ModuleType
) -> None:
    service.answers = [answering(503, b"")]
    for _ in range(5):
        with pytest.raises(http_client.ProblemError):
            peer.call("POST", "/notes")
    with pytest.raises(http_client.UnreachableError, match="is left alone"):
        peer.call("POST", "/notes")
    assert len(service.asked) == 5
    assert peer.breaker.open
    # The pause is over: one call may try, and the others are refused meanwhile.
    peer.breaker.until = 0.0
    go, inside = threading.Event(), threading.Event()

    def hold(handler: Any) -> None:
        inside.set()
        go.wait(10)
        answering(200, b"{}")(handler)

    service.answers = [hold]
    with ThreadPoolExecutor(8) as threads:
        probe = threads.submit(peer.call, "POST", "/notes")
        assert inside.wait(10)
        others = [threads.submit(peer.call, "POST", "/notes") for _ in range(7)]
        refused = [other.exception(timeout=10) for other in others]
        go.set()
        assert probe.result(timeout=10).status == 200
    assert all(isinstance(error, http_client.UnreachableError) for error in refused)
    assert len(service.asked) == 6
    assert not peer.breaker.open
    assert peer.call("POST", "/notes").status == 200


@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_what_is_no_failure_of_the_service(
    peer: Any, service: Any, answering: Answering, http_client: ModuleType, status: int
) -> None:
    service.answers = [answering(status, b"")]
    for _ in range(7):
        with pytest.raises(http_client.ProblemError):
            peer.call("POST", "/notes")
    assert not peer.breaker.open


# --- views ---


def test_views_that_do_not_catch(make_caller: Callable[..., Flask], service: Any, answering: Answering) -> None:
    for told, seconds, status in (
        (answering(409, b'{"detail": "personal"}'), 5, 502),
        (answering(200, b"<html>", Content_Type="text/html"), 5, 502),
        (raw(b"", pause=0.2, times=100), 0.3, 504),
    ):
        service.answers = [told]
        response: Any = make_caller(service.url, seconds=seconds).test_client().get("/ask")
        assert response.status_code == status
        assert response.mimetype == "application/problem+json"
        assert response.json["peer"] == "orders"
        assert "orders" in response.json["detail"]
        assert response.json["title"] == responses[status]
        assert "personal" not in response.text


def test_views_may_catch(make_caller: Callable[..., Flask], port: int, http_client: ModuleType) -> None:
    app = make_caller(f"http://127.0.0.1:{port}")

    def view() -> dict[str, str]:
        g.seen = True
        try:
            http_client.peer("orders").call("GET", "/notes")
        except http_client.UnreachableError as error:
            return {"without": error.peer}
        return {}

    app.add_url_rule("/without", view_func=view)
    assert app.test_client().get("/without").json == {"without": "orders"}


def test_who_is_away_is_named(make_caller: Callable[..., Flask], port: int, capfd: pytest.CaptureFixture[str]) -> None:
    client = make_caller(f"http://127.0.0.1:{port}").test_client()
    for _ in range(3):
        client.get("/ask").close()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["peer"] for line in lines if line["event"] == "peer_left_alone"] == ["orders"]
    failures = [line for line in lines if line["event"] == "peer_failed"]
    assert [line["level"] for line in failures] == ["warning"] * 3
    assert failures[2]["reason"] == "orders: has failed, and is left alone for a while"


def test_readiness(make_caller: Callable[..., Flask], port: int, service: Any, http_client: ModuleType) -> None:
    """Of a service that has to be there, any answer does."""
    url = f"http://127.0.0.1:{port}"
    with make_caller(url).app_context():
        http_client.check("orders")
    with make_caller(url, ORDERS_REQUIRED=True).app_context(), pytest.raises(http_client.UnreachableError):
        http_client.check("orders")
    with make_caller(service.url, ORDERS_REQUIRED=True).app_context():
        http_client.check("orders")


# --- settings ---


@pytest.fixture
def read(package: ModuleType, http_client: ModuleType) -> Callable[..., Any]:
    """Read the settings of a client: what was refused, and what was read."""

    def read(**values: Any) -> Any:
        env = package.core.settings.Env({"APP_ENV": "testing"} | values)
        return env.refused, http_client.settings(env, "orders", "http://127.0.0.1:8001", token=True)

    return read


def test_defaults(read: Callable[..., Any]) -> None:
    defaults = {
        "ORDERS_URL": "http://127.0.0.1:8001",
        "ORDERS_TIMEOUT": 2.0,
        "ORDERS_REQUIRED": False,
        "ORDERS_TOKEN": "",
    }
    assert read() == ({}, defaults)
    assert set(read(APP_ENV="production")[0]) == {"ORDERS_URL"}
    given = {"ORDERS_URL": "https://orders.example.com:8443/base", "APP_ENV": "production"}
    assert read(**given)[0] == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERS_URL", "orders:8000"),
        ("ORDERS_URL", "ftp://orders"),
        ("ORDERS_URL", "http://orders:99999"),
        ("ORDERS_URL", "http://me:secret@orders"),
        ("ORDERS_URL", "http://orders/?a=b"),
        ("ORDERS_URL", "http://[::1"),
        ("ORDERS_URL", "http://b\u00fccher.example"),
        ("ORDERS_URL", "http://${ORDERS}%"),
        ("ORDERS_URL", ""),
        ("ORDERS_TIMEOUT", "0"),
        ("ORDERS_TIMEOUT", "nan"),
        ("ORDERS_REQUIRED", "perhaps"),
        ("ORDERS_TOKEN", "two words"),
    ],
)
def test_wrong_settings_are_named(read: Callable[..., Any], name: str, value: str) -> None:
    refused, _ = read(**{name: value})
    assert set(refused) == {name}
