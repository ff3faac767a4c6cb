from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

URL = "/api/v1/notes"


@pytest.fixture
def client(app: Flask, db: object) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def note(client: FlaskClient) -> TestResponse:
    """A note that exists: the response that created it."""
    return client.post(URL, json={"title": "Shopping"})


def seen(response: TestResponse) -> dict[str, str]:
    return {"If-Match": response.headers["ETag"]}


def test_create(client: FlaskClient, note: TestResponse) -> None:
    assert note.status_code == 201
    assert note.get_json() | {"id": 1, "created": ""} == {"id": 1, "title": "Shopping", "text": "", "created": ""}
    read = client.get(note.headers["Location"])
    assert read.get_json() == note.get_json()
    assert read.headers["ETag"] == note.headers["ETag"]


@pytest.mark.parametrize(
    "wrong", [{}, {"title": ""}, {"title": "x" * 81}, {"title": "a\0b"}, {"title": "x", "more": 1}]
)
def test_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    assert client.post(URL, json=wrong).status_code == 422


def test_change(client: FlaskClient, note: TestResponse) -> None:
    changed = client.patch(note.headers["Location"], json={"text": "Bread"}, headers=seen(note))
    assert changed.get_json() == note.get_json() | {"text": "Bread"}
    # Whoever has read what it was before would undo this without knowing.
    assert client.patch(note.headers["Location"], json={"text": "Tea"}, headers=seen(note)).status_code == 412


def test_what_was_stored_is_answered(
    app: Flask, client: FlaskClient, note: TestResponse, package: ModuleType, connection: sa.Connection
) -> None:
    """And not what somebody else stores right after the commit."""
    example = import_module(".blueprints.example.api.sqlalchemy", package.__name__)

    def overtake(session: Session) -> None:
        connection.execute(sa.update(example.Note).values(title="Another's"))

    with app.app_context():
        sa.event.listen(example.db.sessionmaker, "after_commit", overtake)
    changed = client.patch(note.headers["Location"], json={"text": "x"}, headers=seen(note))
    assert changed.get_json()["title"] == "Shopping"
    assert client.post(URL, json={"title": "More"}).get_json()["title"] == "More"


def test_delete(client: FlaskClient, note: TestResponse) -> None:
    assert client.delete(note.headers["Location"]).status_code == 428
    assert client.delete(note.headers["Location"], headers=seen(note)).status_code == 204
    assert client.get(note.headers["Location"]).status_code == 404
    assert client.delete(note.headers["Location"], headers=seen(note)).status_code == 404


def test_pages(client: FlaskClient) -> None:
    for title in "abc":
        client.post(URL, json={"title": title})
    first = client.get(URL, query_string={"limit": 2}).get_json()
    second = client.get(URL, query_string={"limit": 2, "cursor": first["next"]}).get_json()
    assert [note["title"] for note in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None


def test_a_list_is_one_statement(client: FlaskClient, note: TestResponse, count_queries: Any) -> None:
    with count_queries(1):
        assert len(client.get(URL).get_json()["items"]) == 1
