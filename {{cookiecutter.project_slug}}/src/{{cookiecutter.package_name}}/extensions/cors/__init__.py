"""Requests to the API by pages of other origins, which browsers ask for. Nothing, unless ``CORS_ORIGINS`` names them.

Other clients do not ask: this protects no data, it lets pages read answers. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

if TYPE_CHECKING:
    from ...core.settings import Env

#: As browsers write it: in lower case, with no path and no port that is the scheme's own.
ORIGIN = r"(?!http://.*:80$|https://.*:443$)https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+])(:[1-9][0-9]{0,4})?"
#: Headers that a page may send, and those that it may read, beside what every page may. Modules append to copies of
#: these: ``app.extensions["cors"]["sent"].append("X-Tenant")``.
SENT = ["Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"]
READ = ["ETag", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID"]


def config(env: "Env") -> dict[str, Any]:
    origins = [origin.strip() for origin in env.text("CORS_ORIGINS", "").split(",") if origin.strip()]
    if wrong := [origin for origin in origins if not re.fullmatch(ORIGIN, origin)]:
        form = "Must be origins such as https://www.example.com, with commas between them: no path, no *, lower case."
        shown = re.sub(r":(?!//).*@", ":...@", wrong[0])  # without a password
        env.refuse("CORS_ORIGINS", f"{form} This is none: {shown[:80]}")
    return {"CORS_ORIGINS": origins, "CORS_CREDENTIALS": env.flag("CORS_CREDENTIALS", False)}


def init_app(app: Flask) -> None:
    """Wrap the API within the middleware, so that preflights are logged."""
    app.extensions["cors"] = {"sent": [*SENT], "read": [*READ]}
    if app.config["CORS_ORIGINS"]:
        layer = app.extensions["middleware"]
        layer.wsgi_app = Cors(app, layer.wsgi_app)


class Cors:
    """Adds the headers of CORS to whatever is answered below the prefixes of the API, errors too."""

    def __init__(self, app: Flask, inner: WSGIApplication) -> None:
        self.app, self.inner = app, inner
        self.origins = frozenset(app.config["CORS_ORIGINS"])
        self.prefixes = tuple(f"{prefix}/" for prefix in app.config["API_VERSIONS"])
        self.credentials = [("Access-Control-Allow-Credentials", "true")] * app.config["CORS_CREDENTIALS"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(self.prefixes):
            return self.inner(environ, start_response)
        origin = environ.get("HTTP_ORIGIN", "")
        # Always: a cache must not answer one origin with what another was allowed.
        more = [("Vary", "Origin")]
        if origin in self.origins:
            more += [("Access-Control-Allow-Origin", origin), *self.credentials]
            if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
                start_response("200 OK", [*more, *self.preflight()])
                return []
            more.append(("Access-Control-Expose-Headers", ", ".join(self.app.extensions["cors"]["read"])))

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, *more], *error)

        return self.inner(environ, start)

    def preflight(self) -> list[tuple[str, str]]:
        """What a page may do, for ten minutes: most browsers keep it no longer."""
        return [
            ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("Access-Control-Allow-Headers", ", ".join(self.app.extensions["cors"]["sent"])),
            ("Access-Control-Max-Age", "600"),
            ("Content-Length", "0"),
        ]
