"""Scopes of bearer tokens are checked before anything of the request is read."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, g
from flask.testing import FlaskClient

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]

SCOPES = {"r": "notes:read", "w": "notes:write"}


@pytest.fixture
def app(make_api: Callable[..., Flask], api: Callable[[str], Any]) -> Flask:
    app, bearer = make_api(), api("bearer")
    operation: Callable[..., Decorator] = api("contract").operation

    def first(token: str) -> Any:
        return bearer.Caller("first", frozenset()) if token == "1" else None

    def second(token: str) -> Any:
        known = token and {*token} <= SCOPES.keys()
        return bearer.Caller("second", frozenset(SCOPES[letter] for letter in token)) if known else None

    bearer.readers(app).append(first)
    bearer.readers(app).append(second)

    @app.get("/api/v1/notes")
    @operation(scopes=["notes:read"])
    def list_notes() -> str:
        """List."""
        return str(g.user.subject)

    @app.get("/api/v1/me")
    @operation(scopes=[])
    def read_me() -> str:
        """Say who asks."""
        return str(g.user.subject)

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Nobody: the service's own client has a token."""
    return app.test_client()


@pytest.mark.parametrize("query", ["", "?unknown=1"])
@pytest.mark.parametrize(
    ("sent", "status", "challenge"),
    [
        ("", 401, "Bearer"),
        ("Basic cjpy", 401, "Bearer"),
        ("Bearer", 401, "Bearer error=invalid_token"),
        ("Bearer other", 401, "Bearer error=invalid_token"),
        ("Bearer w", 403, 'Bearer error=insufficient_scope, scope="notes:read"'),
        ("Bearer 1", 403, 'Bearer error=insufficient_scope, scope="notes:read"'),
    ],
)
def test_refused(client: FlaskClient, sent: str, status: int, challenge: str, query: str) -> None:
    response = client.get(f"/api/v1/notes{query}", headers={"Authorization": sent} if sent else {})
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (status, challenge)
    assert response.mimetype == "application/problem+json"
    if status == 403:
        assert response.get_json()["detail"] == "This token lacks notes:read."


@pytest.mark.parametrize(("path", "token"), [("notes", "r"), ("notes", "wr"), ("me", "w"), ("me", "1")])
def test_allowed(client: FlaskClient, path: str, token: str) -> None:
    response = client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    assert response.get_json() == ("first" if token == "1" else "second")


def test_the_contract_has_scopes(client: FlaskClient) -> None:
    contract: Any = client.get("/api/v1/openapi.json").json
    assert contract["paths"]["/api/v1/notes"]["get"]["security"] == [{"bearer": ["notes:read"]}]
    assert contract["paths"]["/api/v1/me"]["get"]["security"] == [{"bearer": []}]
    assert contract["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}


def test_scopes_are_a_list(api: Callable[[str], Any]) -> None:
    def listed() -> None: ...

    with pytest.raises(api("contract").ContractError, match=r"needs a list of scopes: \['notes:read'\]"):
        api("contract").operation(scopes="notes:read")(listed)
