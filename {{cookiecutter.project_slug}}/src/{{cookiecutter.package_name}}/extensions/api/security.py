"""Authentication: the security schemes that operations ask for.

``scheme`` adds a scheme to the contract and returns the list of its readers. A reader is a function that looks at
``flask.request`` and returns the user, or None. The first user that a reader returns becomes ``g.user``. A reader may
``abort(403)``. Where an operation asks for scopes, the user has ``require(scopes)``, which does so unless it has them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, current_app, g
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

Reader = Callable[[], Any]


def scheme(app: Flask, name: str, document: dict[str, Any]) -> list[Reader]:
    """The readers of a scheme, to append to. Several extensions may read one scheme; the first describes it.

    :param document: as OpenAPI describes it: https://spec.openapis.org/oas/v3.1.1#security-scheme-object
    """
    schemes: dict[str, tuple[dict[str, Any], list[Reader]]] = app.extensions["api_security"]
    return schemes.setdefault(name, (document, []))[1]


def authenticate(names: Iterable[str], scopes: frozenset[str]) -> None:
    """Find ``g.user`` by one of these schemes, or answer 401.

    https://www.rfc-editor.org/rfc/rfc9110#name-401-unauthorized
    """
    schemes = [current_app.extensions["api_security"][name] for name in names]
    for read in [read for _, readers in schemes for read in readers]:
        if (user := read()) is not None:
            if scopes:
                user.require(scopes)
            g.user = user
            return
    challenges = [WWWAuthenticate(document.get("scheme", document["type"]).lower()) for document, _ in schemes]
    raise Unauthorized("Say who you are.", www_authenticate=challenges)
