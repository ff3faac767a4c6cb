"""Access tokens of the provider, read for operations that ask for a bearer token. https://www.rfc-editor.org/rfc/rfc9068"""

from typing import Any

import structlog
from flask import Flask, current_app

from ..api.bearer import Caller, readers
from .provider import TokenError, peek

#: What the header ``typ`` may be, by OIDC_TOKEN_TYPE.
TYPES = {"at+jwt": {"at+jwt"}, "jwt": {"at+jwt", "jwt", ""}}


def init_app(app: Flask) -> None:
    readers(app).append(read)
    app.extensions["api_errors"].add(503)


def read(token: str) -> Caller | None:
    """The caller, by a token of the provider. Other tokens are left to other readers.

    :raises ServiceUnavailable: while the provider is away, and its keys were never read.
    """
    provider, config = current_app.extensions["oidc"], current_app.config
    try:
        if peek(token)[1].get("iss") != provider.issuer:
            return None
        claims = provider.verify(token, TYPES[config["OIDC_TOKEN_TYPE"]], config["OIDC_AUDIENCE"])
    except TokenError as error:
        structlog.get_logger().info("token_refused", reason=str(error))
        return None
    return Caller(f"{claims['iss']} {claims['sub']}", scopes(claims))


def scopes(claims: dict[str, Any]) -> frozenset[str]:
    """What a token may be used for: ``scope`` is a text (RFC 9068); some providers have ``scp``, a text or a list."""
    given = claims.get("scope", claims.get("scp"))
    if isinstance(given, str):
        return frozenset(given.split())
    return frozenset(scope for scope in given if isinstance(scope, str)) if isinstance(given, list) else frozenset()
