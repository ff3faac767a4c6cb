"""What every request goes through around Flask, in one thin layer at ``app.wsgi_app``.

The request id, security headers, the access log and whatever observes requests: as hooks of Flask or as extensions,
these cost several times as much. https://peps.python.org/pep-3333/
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from time import perf_counter
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, has_app_context
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wsgi import ClosingIterator

from .settings import Env

#: A caller's request id is kept if it looks like one; anything else could forge log lines.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
#: A view that sets one of these keeps its own; ``RESPONSE_HEADERS`` in ``config.py`` changes and adds some for all.
#: https://owasp.org/www-project-secure-headers/
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: The X-Forwarded headers that there are.
FORWARDED = r"(for|host|port|prefix|proto)(,(for|host|port|prefix|proto))*"


def config(env: Env) -> dict[str, Any]:
    hint = "Must be some of for, host, port, prefix, proto."
    headers = env.text("TRUSTED_PROXY_HEADERS", "for,proto", pattern=FORWARDED, hint=hint).split(",")
    return {"TRUSTED_PROXIES": env.integer("TRUSTED_PROXIES", 0, maximum=9), "TRUSTED_PROXY_HEADERS": headers}


def init_app(app: Flask) -> None:
    """Put the layer around the application and, if it trusts proxies, their headers before it."""
    app.extensions["middleware"] = app.wsgi_app = layer = Middleware(app)  # type: ignore[method-assign]
    if hops := app.config["TRUSTED_PROXIES"]:
        counts = {"x_for": 0, "x_proto": 0} | {f"x_{name}": hops for name in app.config["TRUSTED_PROXY_HEADERS"]}
        app.wsgi_app = ProxyFix(layer, **counts)  # type: ignore[method-assign]


class Middleware:
    """The layer. Extensions append to its ``observers`` while the application is made.

    An observer is called when a request has ended: with its method, its route (empty if there is none), its status and
    the seconds that it took.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.wsgi_app = app.wsgi_app
        self.observers: list[Callable[[str, str, int, float], None]] = []
        merged = SECURITY_HEADERS | app.config.get("RESPONSE_HEADERS", {})
        self.headers = {name.lower(): (name, value) for name, value in merged.items()}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if (hosts := self.app.config["TRUSTED_HOSTS"]) and environ["PATH_INFO"] in self.app.extensions["probes"]:
            environ["HTTP_HOST"] = hosts[0].lstrip(".")  # Orchestrators send probes to the address of this process.
        if (prefix := environ.get("SCRIPT_NAME")) and not re.match(r"/[^/\\\s]", prefix):
            environ["SCRIPT_NAME"] = ""  # Redirects would lead to another host.
        if not REQUEST_ID.fullmatch(environ.get("HTTP_X_REQUEST_ID", "")):
            environ["HTTP_X_REQUEST_ID"] = os.urandom(16).hex()
        # A view of another application may have called this one: its fields are restored when this request ends.
        response = Response(self, environ, start_response, get_contextvars() if has_app_context() else {})
        bind_contextvars(service=self.app.name, request_id=environ["HTTP_X_REQUEST_ID"])
        try:
            return response.answer()
        except BaseException as error:
            # Flask has not handled it: for example, a teardown function raised. The server logs it and answers 500.
            response.status = 500
            response.close()
            if isinstance(error, Exception):
                raise
            raise RuntimeError("sys.exit() in a request would end the worker") from error


@dataclass
class Response:
    """A request while it is answered, until everything is sent or given up."""

    layer: Middleware
    environ: WSGIEnvironment
    start_response: StartResponse
    outer: dict[str, Any]
    started: float = field(default_factory=perf_counter)
    body: Iterable[bytes] = ()
    status: int = 0
    route: str = ""
    length: int = 0

    def answer(self) -> Iterable[bytes]:
        self.body = self.layer.wsgi_app(self.environ, self.start)
        if self.length <= 65536:  # A small body is sent at once, and not piece by piece.
            pieces = list(self.body)
            self.close()
            return pieces
        # The first piece is taken before the status is sent: an error up to there can still be answered with 500.
        stream = iter(self.body)
        return ClosingIterator(chain([next(stream, b"")], stream), self.close)

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Send the status and the headers, with those that every response carries."""
        self.status = int(status[:3])
        # Werkzeug keeps the request here for as long as its context lives.
        self.route = getattr(getattr(self.environ.get("werkzeug.request"), "url_rule", None), "rule", "")
        present = {name.lower(): value for name, value in headers}
        self.length = int(present.get("content-length", 2**20))
        more = {"x-request-id": ("X-Request-ID", self.environ["HTTP_X_REQUEST_ID"])} | self.layer.headers
        if self.environ["wsgi.url_scheme"] == "https":
            # Only over TLS: https://www.rfc-editor.org/rfc/rfc6797#section-7.2
            more.setdefault("strict-transport-security", ("Strict-Transport-Security", "max-age=31536000"))
        # Views rarely set any of these: to intersect the names is faster than to look for each.
        for name in present.keys() & more.keys():
            del more[name]
        headers += more.values()
        return self.start_response(status, headers, exc_info)

    def close(self) -> None:
        """Close what Flask has returned, write the access log, and call the observers."""
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            seconds = perf_counter() - self.started
            method = self.environ["REQUEST_METHOD"]
            path = f"{self.environ.get('SCRIPT_NAME', '')}{self.environ['PATH_INFO']}".encode("latin-1")
            line = {"event": "request", "level": "info", "method": method, "path": path.decode(errors="replace")}
            line |= {"status": self.status, "ms": round(seconds * 1000, 2), "client": self.environ.get("REMOTE_ADDR")}
            self.layer.app.extensions["access_log"](line)
            for observe in self.layer.observers:
                observe(method, self.route, self.status, seconds)
            clear_contextvars()
            bind_contextvars(**self.outer)
