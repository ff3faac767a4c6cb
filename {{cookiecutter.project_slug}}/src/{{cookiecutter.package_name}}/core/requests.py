"""Requests: how their JSON is read, how much of a body, which hosts they may name, and the cookie of the session.

https://flask.palletsprojects.com/en/stable/web-security/#resource-use
"""

from io import BytesIO
from typing import IO, Any

import flask
import orjson
from flask import Flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.utils import cached_property
from werkzeug.wsgi import LimitedStream

from .settings import Env

#: Names or IPv4 addresses, with commas between them; with a dot before a name, all names below it as well.
HOSTS = r"\.?[\w-]{1,63}(\.[\w-]{1,63}){0,9}(, *\.?[\w-]{1,63}(\.[\w-]{1,63}){0,9})*"


def config(env: Env) -> dict[str, Any]:
    hosts = env.text("TRUSTED_HOSTS", "", pattern=HOSTS, hint="Must be such as example.com,.example.org")
    return {
        "MAX_CONTENT_LENGTH": env.integer("MAX_CONTENT_LENGTH", 1024 * 1024, minimum=1),
        "TRUSTED_HOSTS": hosts.lower().replace(" ", "").split(",") if hosts else None,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": env.production,
    }


def init_app(app: Flask) -> None:
    app.request_class = Request
    app.session_interface = Sessions()
    if app.config["SESSION_COOKIE_NAME"] == "session":  # Services on one host share cookies.
        app.config["SESSION_COOKIE_NAME"] = f"{app.name}_session"
    # NaN, lone surrogates and endless nesting are refused with 400; the standard library accepts the first two, and the
    # third would be a 500. https://github.com/ijl/orjson
    app.json.loads = orjson.loads  # type: ignore[method-assign, assignment]


class Sessions(SecureCookieSessionInterface):
    """Flask's sessions. Without a cookie, no session is read: reading takes a fifth of the time of a small request."""

    def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession | None:
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()


class Request(flask.Request):
    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, where servers end the stream themselves.

        Werkzeug would cut a chunked body at the limit, and accept a body that ends before its Content-Length: views
        would store half of what a client has sent.
        """
        stream, body, limit = super().stream, self.environ["wsgi.input"], self.max_content_length
        if self.content_length is not None:
            return LimitedStream(body, self.content_length)  # type: ignore[return-value]
        if not self.environ.get("wsgi.input_terminated") or limit is None:
            return stream
        try:
            data = body.read(limit + 1)
        except Exception as error:  # Each server has its own exception for malformed chunks.
            raise BadRequest("The body is malformed.") from error
        if len(data) > limit:
            raise RequestEntityTooLarge
        return BytesIO(data)
