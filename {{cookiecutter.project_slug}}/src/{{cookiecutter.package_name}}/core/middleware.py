"""What every request goes through around Flask, in one thin layer at ``app.wsgi_app``.

The request id, security headers, the access log and whatever observes requests: as hooks of Flask
or as extensions, these cost several times as much. https://peps.python.org/pep-3333/
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import flask
import structlog
from flask import Flask, got_request_exception
from werkzeug.exceptions import InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix

from . import errors
from .logs import request_id

if TYPE_CHECKING:
    from .settings import Env

#: A caller's request id is kept if it looks like one; anything else could forge log lines.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

#: A view that sets one of these itself keeps its own. https://owasp.org/www-project-secure-headers/
SECURITY_HEADERS = {
    name.lower(): (name, value)
    for name, value in {
        "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }.items()
}
#: Only over TLS. https://www.rfc-editor.org/rfc/rfc6797#section-7.2
STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")

#: The X-Forwarded headers that there are.
FORWARDED = {"for", "host", "port", "prefix", "proto"}

#: Called when a request has ended, with its method, its route (empty if there is none), the status
#: and the seconds that it took.
Observer = Callable[[str, str, int, float], None]


def config(env: "Env") -> dict[str, Any]:
    headers = env.names("TRUSTED_PROXY_HEADERS", ["for", "proto"]) or []
    if not set(headers) <= FORWARDED:
        words = ", ".join(sorted(FORWARDED))
        env.refuse("TRUSTED_PROXY_HEADERS", f"Name some of {words}. For example: TRUSTED_PROXY_HEADERS=for,proto")
    return {
        "TRUSTED_PROXIES": env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=9),
        "TRUSTED_PROXY_HEADERS": headers,
    }


def init_app(app: Flask) -> None:
    """Put the layer around the application and, if it trusts proxies, their headers before it."""
    app.response_class = Response
    app.extensions["middleware"] = app.wsgi_app = layer = Middleware(app)  # type: ignore[method-assign]
    if hops := app.config["TRUSTED_PROXIES"]:
        counts = {"x_for": 0, "x_proto": 0} | {f"x_{name}": hops for name in app.config["TRUSTED_PROXY_HEADERS"]}
        app.wsgi_app = ProxyFix(layer, **counts)  # type: ignore[method-assign]


class Response(flask.Response):
    """Flask's, but a body in memory is a list: servers send that at once, and do not come back for its parts."""

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        body = super().get_app_iter(environ)
        if self.is_sequence and not self._on_close:
            return list(body)
        return body


class Middleware:
    """The layer. Extensions append to its ``observers`` while the application is made."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.wsgi_app = app.wsgi_app
        self.log = structlog.get_logger().bind()
        self.observers: list[Observer] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        identity = environ.get("HTTP_X_REQUEST_ID", "")
        if not REQUEST_ID.fullmatch(identity):
            # An application that is mounted inside this one goes on with the same id.
            environ["HTTP_X_REQUEST_ID"] = identity = os.urandom(16).hex()
        request_id.set(identity)
        exchange = Exchange(self, environ, start_response)
        try:
            exchange.body = self.wsgi_app(environ, exchange.start)
            if exchange.streamed:
                exchange.begin()
        except (Exception, SystemExit) as error:  # ``sys.exit()`` in a view ends the request, and not the server.
            propagate = self.app.config["PROPAGATE_EXCEPTIONS"]
            if propagate or (propagate is None and (self.app.testing or self.app.debug)):
                raise
            exchange.fail(error)
        if isinstance(exchange.body, list):  # There is nothing left to do once it is sent.
            exchange.end()
            return exchange.body
        return exchange


class Exchange:
    """One request and its response: what the server iterates over, and closes when all is sent or given up."""

    body: Iterable[bytes]
    pieces: Iterator[bytes] | None = None
    status = 0
    route = ""
    streamed = False
    closed = False

    def __init__(self, layer: Middleware, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self.started = perf_counter()
        self.layer = layer
        self.environ = environ
        self.start_response = start_response

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Send the status and the headers, with those that every response carries."""
        self.status = int(status[:3])
        # Werkzeug keeps the request here for as long as its context lives.
        request = self.environ.get("werkzeug.request")
        if request is not None and request.url_rule is not None:
            self.route = request.url_rule.rule
        present = {name.lower() for name, _ in headers}
        self.streamed = "content-length" not in present
        if present.isdisjoint(SECURITY_HEADERS):
            headers = [*headers, *SECURITY_HEADERS.values()]
        else:
            headers = [*headers, *(header for name, header in SECURITY_HEADERS.items() if name not in present)]
        if self.environ["wsgi.url_scheme"] == "https":
            headers.append(STRICT_TRANSPORT)
        if "x-request-id" not in present:
            headers.append(("X-Request-ID", self.environ["HTTP_X_REQUEST_ID"]))
        return self.start_response(status, headers, exc_info)

    def begin(self) -> None:
        """Take the first piece before the status is sent: an error up to there can still be answered."""
        pieces = iter(self.body)
        try:
            first = next(pieces, b"")
        except BaseException:
            self.close_body()
            raise
        self.pieces = self.stream(first, pieces)

    def stream(self, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Go on from there; a later error can only be logged, and raised for the server to cut the connection."""
        yield first
        try:
            yield from pieces
        except (Exception, SystemExit) as error:
            self.layer.log.exception("stream_failed")
            got_request_exception.send(self.layer.app, exception=error)
            raise

    def fail(self, error: BaseException) -> None:
        """Answer for Flask, which cannot once an exception has left it: one of a teardown function, say."""
        self.layer.log.exception("unhandled")
        got_request_exception.send(self.layer.app, exception=error)
        # The exception tells the server that this replaces a response that had been started.
        restart = partial(self.start, exc_info=sys.exc_info())
        self.body = errors.problem(InternalServerError())(self.environ, restart)

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces or iter(self.body)

    def close(self) -> None:
        if self.closed:  # Werkzeug closes an application that a view returned more than once, if the request is HEAD.
            return
        self.closed = True
        try:
            self.close_body()
        finally:
            self.end()

    def close_body(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()

    def end(self) -> None:
        """Tell the log and the observers how it went."""
        seconds = perf_counter() - self.started
        # An application that was mounted inside this one has unset it.
        request_id.set(self.environ["HTTP_X_REQUEST_ID"])
        self.layer.log.info(
            "request",
            method=self.environ["REQUEST_METHOD"],
            path=(self.environ.get("SCRIPT_NAME", "") + self.environ["PATH_INFO"])
            .encode("latin-1")
            .decode(errors="replace"),
            status=self.status,
            ms=round(seconds * 1000, 2),
            client=self.environ.get("REMOTE_ADDR"),
        )
        try:
            for observe in self.layer.observers:
                observe(self.environ["REQUEST_METHOD"], self.route, self.status, seconds)
        finally:
            request_id.set("")
