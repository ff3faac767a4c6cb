"""A service that is called, on a socket of this machine, and an application that calls it."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
from flask import Flask


class Orders(ThreadingHTTPServer):
    """Answers what the test says, one answer after the other, the last one from then on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: list[Callable[[Handler], None]] = [answer(200, b"{}")]
        #: What it was asked: method, path, headers, body.
        self.asked: list[tuple[str, str, Any, bytes]] = []
        self.connections: set[Any] = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Orders

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, self.headers, body))
        self.server.connections.add(self.client_address)
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer  # noqa: N815 (their names)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def answer(status: int, content: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    """An answer as it should be; of the headers, an underscore is a hyphen."""

    def send(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in ({"Content_Type": "application/json"} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        if status != 304:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return send


@pytest.fixture
def http_client(package: ModuleType) -> ModuleType:
    return import_module(".extensions.http_client", package.__name__)


@pytest.fixture
def answering() -> Callable[..., Callable[[Handler], None]]:
    """Make an answer: ``answering(200, b"{}", ETag='"1"')``."""
    return answer


@pytest.fixture
def service() -> Iterator[Orders]:
    with Orders() as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def make_caller(
    probe: Callable[..., Flask], http_client: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Flask]:
    """Make an application that calls ``orders`` at a URL: ``/ask`` asks it for ``/notes``."""
    # The waits between attempts spread calls; here nobody else calls.
    monkeypatch.setattr(http_client.Peer.call.__globals__["random"], "uniform", lambda low, high: 0.01)

    def make(url: str, *modules: str, seconds: float = 5, **config: Any) -> Flask:
        settings = {"ORDERS_URL": url, "ORDERS_TIMEOUT": seconds, "ORDERS_REQUIRED": False} | config
        app = probe(*(modules or ["extensions.http_client"]), PROPAGATE_EXCEPTIONS=False, **settings)
        http_client.call_peer(app, "orders", ("Authorization", "Bearer "))
        app.add_url_rule("/ask", "ask", view_func=lambda: http_client.peer("orders").call("GET", "/notes").json(object))
        return app

    return make


@pytest.fixture
def peer(make_caller: Callable[..., Flask], service: Orders) -> Any:
    """``orders``, as an application calls it."""
    return make_caller(service.url).extensions["http_client"].peers["orders"]
