"""Authentication comes before the request is read."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort, g, request
from flask.testing import FlaskClient
from msgspec import Struct

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]


class Question(Struct):
    text: str


def read_token() -> str | None:
    """Who has sent the token; a token of nobody is left to the next reader."""
    sent = request.authorization
    if sent is None or sent.type != "bearer":
        return None
    if sent.token == "blocked":
        abort(403)
    return {"1234": "ada"}.get(sent.token or "")


def read_key() -> str | None:
    return "grace" if request.headers.get("X-Key") == "5678" else None


@pytest.fixture
def app(make_api: Callable[..., Flask], api: Callable[[str], Any]) -> Flask:
    app = make_api()
    operation: Callable[..., Decorator] = api("contract").operation
    scheme = api("security").scheme
    scheme(app, "bearer", {"type": "http", "scheme": "bearer"}).append(read_token)
    scheme(app, "bearer", {"type": "http", "scheme": "basic"}).append(lambda: None)
    scheme(app, "key", {"type": "apiKey", "in": "header", "name": "X-Key"}).append(read_key)

    @app.post("/api/v1/questions/<int:number>")
    @operation(etag=True, security=("bearer", "key"))
    def ask(number: int, json: Question) -> str:
        """Ask."""
        return str(g.user)

    return app


def test_a_known_client(client: FlaskClient) -> None:
    for headers, user in (({"Authorization": "Bearer 1234"}, "ada"), ({"X-Key": "5678"}, "grace")):
        assert client.post("/api/v1/questions/1", json={"text": "?"}, headers=headers).json == user


@pytest.mark.parametrize("path", ["/api/v1/questions/1", f"/api/v1/questions/{2**70}", "/api/v1/questions/1?x=1"])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer 12345", "Basic MTIzNDo=", "Other"])
def test_an_unknown_client_is_told_nothing_else(client: FlaskClient, path: str, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    response = client.post(path, data=b"{", headers=headers)
    assert response.status_code == 401
    assert response.mimetype == "application/problem+json"
    assert response.headers.getlist("WWW-Authenticate") == ["Bearer", "Apikey"]


def test_a_reader_may_refuse(client: FlaskClient) -> None:
    assert client.post("/api/v1/questions/1", headers={"Authorization": "Bearer blocked"}).status_code == 403


def test_the_contract_names_the_schemes(client: FlaskClient) -> None:
    contract: Any = client.get("/api/v1/openapi.json").json
    asked = contract["paths"]["/api/v1/questions/{number}"]["post"]
    assert asked["security"] == [{"bearer": []}, {"key": []}]
    assert {"401", "403"} <= asked["responses"].keys()
    assert "WWW-Authenticate" in asked["responses"]["401"]["headers"]
    schemes = contract["components"]["securitySchemes"]
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
    assert schemes["key"]["name"] == "X-Key"
    assert "security" not in contract["paths"]["/api/v1/memos"]["get"]


def test_a_scheme_that_nothing_provides(app: Flask, api: Callable[[str], Any], package: Any) -> None:
    """The service does not start, and makes no contract."""

    def nobody() -> None: ...

    app.add_url_rule("/api/v1/secret", view_func=api("contract").operation(204, security="oidc")(nobody))
    error = api("contract").ContractError
    with pytest.raises(error, match="/api/v1/secret asks for oidc"):
        package.core.server.serving.send(app)
    with pytest.raises(error, match="/api/v1/secret asks for oidc"):
        api("openapi").make(app, "/api/v1")
