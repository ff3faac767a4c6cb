"""Bearer tokens: the security scheme ``bearer``, which ``@operation(scopes=["notes:read"])`` asks for.

What knows a kind of tokens appends its reader to ``readers(app)``. https://www.rfc-editor.org/rfc/rfc6750
"""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, abort, current_app, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from ...core.errors import problem
from .security import scheme


@dataclass(frozen=True)
class Caller:
    """Who has sent a token: ``g.user`` of the operation."""

    #: Unique among the callers of all readers: what is stored for a caller is stored under this.
    subject: str
    scopes: frozenset[str]

    def require(self, scopes: frozenset[str]) -> None:
        """Answer 403 unless the token has these scopes."""
        if missing := scopes - self.scopes:
            response = problem(Forbidden(f"This token lacks {', '.join(sorted(missing))}."))
            parameters: dict[str, str | None] = {"error": "insufficient_scope", "scope": " ".join(sorted(scopes))}
            response.headers["WWW-Authenticate"] = WWWAuthenticate("bearer", parameters).to_header()
            abort(response)


#: Reads a token, and returns None for a token of another kind.
Reader = Callable[[str], Caller | None]


def readers(app: Flask) -> list[Reader]:
    """The readers of tokens, which are asked in turn."""
    if "bearer" not in app.extensions:
        app.extensions["bearer"] = []
        scheme(app, "bearer", {"type": "http", "scheme": "bearer"}).append(read)
    known: list[Reader] = app.extensions["bearer"]
    return known


def known_scopes(app: Flask) -> set[str]:
    """What the operations ask for."""
    return {scope for view in app.view_functions.values() for scope in getattr(view, "scopes", ())}


def read() -> Caller | None:
    """The caller, by the header Authorization alone, because URLs are logged. An unknown token is answered 401."""
    sent = request.authorization
    if sent is None or sent.type != "bearer":
        return None
    for reader in readers(current_app):
        if (caller := reader(sent.token or "")) is not None:
            return caller
    challenge = WWWAuthenticate("bearer", {"error": "invalid_token"})
    raise Unauthorized("This token is not valid.", www_authenticate=challenge)
