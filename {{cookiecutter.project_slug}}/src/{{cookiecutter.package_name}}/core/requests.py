"""Requests: what is read of them, and how much.

A body that tells its length is refused by Flask if that is too long. One that comes in chunks
Werkzeug cuts off at the limit without a word, and one that ends before its length it takes as
whole; here both are refused.
https://flask.palletsprojects.com/en/stable/web-security/#resource-use
"""

import re
from typing import IO, TYPE_CHECKING, Any

import flask
from flask import Flask, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream

if TYPE_CHECKING:
    from .settings import Env


#: A name, or an IPv4 address; with a dot before it, all names below it as well.
HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*")


def config(env: "Env") -> dict[str, Any]:
    hosts = env.names("TRUSTED_HOSTS")
    # An empty list would trust any host.
    if hosts is not None and not (hosts and all(HOST.fullmatch(host) for host in hosts)):
        env.refuse(
            "TRUSTED_HOSTS", "Name hosts, or leave it unset. For example: TRUSTED_HOSTS=example.com,.example.org"
        )
    return {
        "MAX_CONTENT_LENGTH": env.integer("MAX_CONTENT_LENGTH", 1024 * 1024, minimum=1),
        "TRUSTED_HOSTS": hosts and [host.lower() for host in hosts],
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": env.production,
    }


def init_app(app: Flask) -> None:
    # A redirect to the path with one slash would lead to whatever host the client has named.
    app.url_map.merge_slashes = False
    app.request_class = Request
    if app.config["TRUSTED_HOSTS"] is not None:
        app.request_class = _any_host_at(app.extensions["probes"])
    app.session_interface = Sessions()


class Request(flask.Request):
    @cached_property
    def stream(self) -> IO[bytes]:
        stream = super().stream
        if self.environ.get("wsgi.input_terminated"):
            body = self.environ["wsgi.input"]
            if self.content_length is not None:
                return LimitedStream(body, self.content_length)  # type: ignore[return-value]
            if self.max_content_length is not None:
                return Limited(body, self.max_content_length, is_max=True)  # type: ignore[return-value]
        return stream


def _any_host_at(paths: set[str]) -> type[Request]:
    """Requests whose host has to be trusted, but for those of some paths: an orchestrator asks by an address."""

    class Checked(Request):
        _trusted_hosts: list[str] | None = None

        # Flask sets it for each request, and reads it to check the host.
        @property
        def trusted_hosts(self) -> list[str] | None:
            # ``path`` is the same where there are more slashes before it.
            return None if self.environ["PATH_INFO"] in paths else self._trusted_hosts

        @trusted_hosts.setter
        def trusted_hosts(self, hosts: list[str] | None) -> None:
            self._trusted_hosts = hosts

    return Checked


class Limited(LimitedStream):
    """A stream that raises, rather than ends, when there is more than ``limit`` bytes."""

    def readinto(self, b: bytearray) -> int | None:  # type: ignore[override]
        try:
            count = super().readinto(b)
            if self.is_exhausted:
                self.on_exhausted()
        except HTTPException:
            raise
        except Exception as error:  # Servers have their own for chunks that are none.
            raise BadRequest from error
        return count

    def on_exhausted(self) -> None:
        if self._stream.read(1):
            raise RequestEntityTooLarge


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions, which cost nothing where a client sends no cookie."""

    def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" in request.environ:
            return super().open_session(app, request)
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session or session.accessed or session.modified:
            super().save_session(app, session, response)
