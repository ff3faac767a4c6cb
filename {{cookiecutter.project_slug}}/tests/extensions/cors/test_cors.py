"""Pages of origins that are named may call the API; nothing else changes."""

import json
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

NAMED, OTHER = "https://www.example.com", "https://www.example.org"
ASKS = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}


@pytest.fixture
def make(probe: Callable[..., Flask]) -> Callable[..., Flask]:
    def take() -> dict[str, int]:
        return {"bytes": len(request.get_data())}

    def make(**config: Any) -> Flask:
        app = probe("extensions.api", "extensions.cors", **config)
        app.add_url_rule("/api/v1/bug", "bug", lambda: str(1 / 0))
        app.add_url_rule("/api/v1/things", "things", take, methods=["GET", "POST"])
        app.testing = False
        return app

    return make


@pytest.fixture
def client(make: Callable[..., Flask]) -> FlaskClient:
    return make(CORS_ORIGINS=f"http://localhost:5173, {NAMED}").test_client()


def cors(response: Any) -> dict[str, str]:
    return {name[15:]: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


def test_a_preflight(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    response = client.options("/api/v1/things", headers=ASKS | {"Origin": NAMED})
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Vary"] == "Origin"
    assert cors(response) == {
        "Allow-Origin": NAMED,
        "Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID",
        "Max-Age": "600",
    }
    line = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert (line["method"], line["status"]) == ("OPTIONS", 200)
    assert line["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(("path", "status"), [("things", 200), ("gone", 404), ("bug", 500)])
@pytest.mark.parametrize("origin", [NAMED, "http://localhost:5173"])
def test_every_answer_may_be_read(path: str, status: int, origin: str, client: FlaskClient) -> None:
    response = client.get(f"/api/v1/{path}", headers={"Origin": origin})
    assert response.status_code == status
    exposed = "ETag, Location, Retry-After, WWW-Authenticate, X-Request-ID"
    assert cors(response) == {"Allow-Origin": origin, "Expose-Headers": exposed}
    assert response.headers["Vary"] == "Origin"


def test_a_body_that_is_too_long(client: FlaskClient) -> None:
    client.application.config["MAX_CONTENT_LENGTH"] = 10
    response = client.post("/api/v1/things", headers={"Origin": NAMED}, data=b"x" * 20)
    assert (response.status_code, cors(response)["Allow-Origin"]) == (413, NAMED)


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "", "*", f"{NAMED}/", NAMED.upper(), f"{NAMED}.evil.org", "http://www.example.com", None]
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_others_are_told_nothing(origin: str | None, method: str, client: FlaskClient) -> None:
    asked = ASKS | ({} if origin is None else {"Origin": origin})
    response = client.open("/api/v1/things", method=method, headers=asked)
    assert response.status_code == 200
    assert cors(response) == {}
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/", "/livez", "/api/v1", "/api/v11/things"])
def test_beside_the_api_nothing_changes(path: str, client: FlaskClient) -> None:
    response = client.get(path, headers={"Origin": NAMED})
    assert cors(response) == {}
    assert "Vary" not in response.headers


def test_without_origins_nothing_is_there(make: Callable[..., Flask], package: ModuleType) -> None:
    app = make()
    layer: Any = app.extensions["middleware"]
    assert not isinstance(layer.wsgi_app, import_module(".extensions.cors", package.__name__).Cors)
    response = app.test_client().get("/api/v1/things", headers={"Origin": NAMED})
    assert cors(response) == {}
    assert "Vary" not in response.headers


def test_cookies_only_where_they_are_asked_for(make: Callable[..., Flask]) -> None:
    client = make(CORS_ORIGINS=NAMED, CORS_CREDENTIALS="true").test_client()
    for response in (
        client.get("/api/v1/things", headers={"Origin": NAMED}),
        client.options("/api/v1/things", headers=ASKS | {"Origin": NAMED}),
    ):
        assert cors(response)["Allow-Credentials"] == "true"
    assert cors(client.get("/api/v1/things", headers={"Origin": OTHER})) == {}


def test_a_module_adds_headers(client: FlaskClient) -> None:
    known: Any = client.application.extensions["cors"]
    known["sent"].append("X-Tenant")
    known["read"].append("X-Total")
    asked = client.options("/api/v1/things", headers=ASKS | {"Origin": NAMED})
    assert cors(asked)["Allow-Headers"].endswith(", X-Tenant")
    assert cors(client.get("/api/v1/things", headers={"Origin": NAMED}))["Expose-Headers"].endswith(", X-Total")


@pytest.mark.parametrize(
    "wrong",
    [
        "*",
        "https://*.example.com",
        "https://www.example.com/",
        "https://www.example.com/app",
        "https://www.example.com:443",
        "http://www.example.com:80",
        "https://WWW.example.com",
        "https://user@www.example.com",
        "ftp://www.example.com",
        "www.example.com",
        "null",
        "https://",
        "https://a b",
    ],
)
def test_what_is_no_origin_is_refused(wrong: str, make: Callable[..., Flask]) -> None:
    with pytest.raises(Exception, match="CORS_ORIGINS") as refusal:
        make(CORS_ORIGINS=f"{NAMED},{wrong}")
    (line,) = [line for line in str(refusal.value).splitlines() if "CORS_ORIGINS" in line]
    assert line.endswith(f"This is none: {wrong}")


@pytest.mark.parametrize("scheme", ["https://", "//", ""])
def test_a_refusal_tells_no_password(make: Callable[..., Flask], scheme: str) -> None:
    with pytest.raises(Exception, match=rf"This is none: {scheme}user:\.\.\.@host$") as refusal:
        make(CORS_ORIGINS=f"{scheme}user:hunter2@host")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "right", ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:3000", "https://xn--bcher-kva.de"]
)
def test_origins(right: str, make: Callable[..., Flask]) -> None:
    assert make(CORS_ORIGINS=right).config["CORS_ORIGINS"] == [right]
