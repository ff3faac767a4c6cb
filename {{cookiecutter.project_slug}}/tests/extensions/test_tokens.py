"""Tokens: made, listed and revoked by commands, and read by requests."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, g
from flask.testing import FlaskClient, FlaskCliRunner

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]
Bearer = Callable[..., dict[str, str]]

SCOPES = ["--scope", "orders:read", "--scope", "orders:write"]


@pytest.fixture
def tokens(package: ModuleType) -> ModuleType:
    return import_module(".extensions.tokens", package.__name__)


@pytest.fixture
def app(probe: Callable[..., Flask], package: ModuleType) -> Flask:
    app = probe("extensions.api", "extensions.sqlalchemy", "extensions.tokens")
    operation: Callable[..., Decorator] = import_module(".extensions.api.contract", package.__name__).operation

    @app.get("/api/v1/orders")
    @operation(scopes=["orders:read"])
    def list_orders() -> str:
        """List."""
        return str(g.user.subject)

    @app.post("/api/v1/orders")
    @operation(scopes=["orders:read", "orders:write"])
    def create_order() -> str:
        """Create."""
        return "made"

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Nobody: the service's own client has a token."""
    return app.test_client()


@pytest.fixture
def run(app: Flask, db: Any) -> Callable[..., Any]:
    """Run a command: its output, and its message after it."""
    runner = FlaskCliRunner(app)
    return lambda *arguments: runner.invoke(args=["tokens", *arguments])


def test_from_the_first_to_the_last_request(
    run: Callable[..., Any], client: FlaskClient, db: Any, tokens: Any, package: ModuleType
) -> None:
    made = run("make", "nightly export", *SCOPES, "--days", "30")
    token = made.stdout.strip()
    (row,) = db.query(tokens.Token)
    assert timedelta(29) < row.expires - datetime.now(UTC) <= timedelta(30)
    assert made.stderr.startswith(f"{row.id} works until {row.expires:%Y-%m-%d}")
    assert re.fullmatch(package.__name__ + "_[A-Za-z0-9_-]{43}", token)
    assert token not in str(vars(row))
    assert (
        run("list").output
        == f"{row.id}  nightly export  orders:read orders:write  expires {row.expires:%Y-%m-%d %H:%M}  never used\n"
    )
    sent = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/orders", headers=sent).json == f"token:{row.id}"
    assert client.post("/api/v1/orders", headers=sent).status_code == 200
    db.refresh(row)
    assert f"  used {row.used:%Y-%m-%d %H:%M}\n" in run("list").output
    assert run("revoke", "nightly export").output == f"{row.id} is revoked.\n"
    refused = client.get("/api/v1/orders", headers=sent)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer error=invalid_token")
    assert run("list").output == ""


def test_two_tokens_of_one_name(run: Callable[..., Any], client: FlaskClient, db: Any, tokens: Any) -> None:
    """A token is changed by a second one: both work until the first is revoked."""
    first, second = [run("make", "export", "--scope", "orders:read").stdout.strip() for _ in range(2)]
    old = tokens.digest(first)[:12]
    asked = [{"Authorization": f"Bearer {token}"} for token in (first, second)]
    assert [client.get("/api/v1/orders", headers=each).status_code for each in asked] == [200, 200]
    refused = run("revoke", "export")
    assert refused.exit_code == 1
    assert old in refused.output
    assert run("revoke", old).exit_code == 0
    assert [client.get("/api/v1/orders", headers=each).status_code for each in asked] == [401, 200]
    # One that was found somewhere is revoked as it is.
    assert run("revoke", second).exit_code == 0
    assert db.query(tokens.Token).count() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("make", "x", "--scope", "orders:reed"),
            "No operation asks for orders:reed: there are orders:read, orders:write.",
        ),
        (("make", "x", "--scope", ""), "No operation asks for : there are orders:read, orders:write."),
        (("make", " "), "It has 1 to 80 printable characters."),
        (("make", "a\nb"), "It has 1 to 80 printable characters."),
        (("make", "x" * 81), "It has 1 to 80 printable characters."),
        (("make", "x", "--days", "0"), "0 is not in the range 1<=x<=3650."),
        (("revoke", "nobody"), "There is no such token."),
    ],
)
def test_refused(run: Callable[..., Any], arguments: tuple[str, ...], message: str, db: Any, tokens: Any) -> None:
    done = run(*arguments)
    assert done.exit_code
    assert done.output.splitlines()[-1].endswith(message)
    assert db.query(tokens.Token).count() == 0


def test_without_a_database(probe: Callable[..., Flask]) -> None:
    app = probe(
        "extensions.api", "extensions.sqlalchemy", "extensions.tokens", DATABASE_URL="sqlite:////nowhere/a.sqlite"
    )
    done = FlaskCliRunner(app).invoke(args=["tokens", "list"])
    assert (done.exit_code, done.output) == (1, "Error: unable to open database file\n")


@pytest.mark.parametrize("change", ["expired", "unknown", "cut", "long", "of another service", "NUL", "é", "empty"])
def test_tokens_that_are_not_valid(change: str, bearer: Bearer, client: FlaskClient) -> None:
    sent = bearer("orders:read", days=-0.01 if change == "expired" else 1)["Authorization"]
    changed = {
        "unknown": f"{sent[:-4]}xxxx",
        "cut": sent[:-1],
        "long": sent + "x" * 100_000,
        "of another service": sent.replace("Bearer ", "Bearer another_"),
        "NUL": f"{sent[:-1]}\0",
        "é": f"{sent[:-1]}é",
        "empty": "Bearer ",
    }
    response = client.get("/api/v1/orders", headers={"Authorization": changed.get(change, sent)})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer error=invalid_token"
    assert response.mimetype == "application/problem+json"


def test_a_scope_that_is_missing_is_named(bearer: Bearer, client: FlaskClient) -> None:
    response = client.post("/api/v1/orders", headers=bearer("orders:read"))
    assert (response.status_code, response.get_json()["detail"]) == (403, "This token lacks orders:write.")


def test_a_token_counts_in_the_header_alone(bearer: Bearer, client: FlaskClient) -> None:
    token = bearer("orders:read")["Authorization"].removeprefix("Bearer ")
    assert client.get("/api/v1/orders", query_string={"access_token": token}).status_code == 401


def test_one_statement_a_request(bearer: Bearer, client: FlaskClient, count_queries: Any) -> None:
    sent = bearer("orders:read", "orders:write")
    with count_queries(1):
        assert client.post("/api/v1/orders", headers=sent).status_code == 200
    # What cannot be a token is not looked up.
    with count_queries(0):
        assert client.get("/api/v1/orders", headers={"Authorization": "Bearer other"}).status_code == 401


def test_its_use_is_noted_once_a_minute(bearer: Bearer, client: FlaskClient, db: Any, tokens: Any) -> None:
    sent = bearer("orders:read", "orders:write")
    row = db.query(tokens.Token).one()
    before = datetime.now(UTC).replace(microsecond=0)
    for ago, noted in [(40, False), (61, True)]:
        row.used = before - timedelta(seconds=ago)
        db.commit()
        assert client.post("/api/v1/orders", headers=sent).status_code == 200
        assert (db.query(tokens.Token).one().used >= before) == noted


def test_no_transaction_waits_for_a_body(bearer: Bearer, app: Flask, package: ModuleType) -> None:
    db = import_module(".extensions.sqlalchemy", package.__name__).db
    begun = []

    @app.after_request
    def look(response: Response) -> Response:
        begun.append(db.session.in_transaction())
        return response

    assert app.test_client().post("/api/v1/orders", headers=bearer("orders:read", "orders:write")).status_code == 200
    assert begun == [False]


def test_log_lines_have_the_name_and_never_the_token(
    bearer: Bearer, client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = bearer("orders:read")
    token = sent["Authorization"].removeprefix("Bearer ")
    client.get("/api/v1/orders", headers=sent)
    client.get(f"/{token}", headers=sent)
    first, second = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert first["caller"] == "tests"
    assert second["path"] == "/[redacted]"
