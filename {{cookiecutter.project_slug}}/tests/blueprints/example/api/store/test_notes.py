"""The same tests on every store."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

URL = "/api/v1/notes"
(FOLDER,) = Path(__file__).parents[5].glob("src/*/blueprints/example/api/store")


@pytest.fixture(params=sorted(path.stem for path in FOLDER.glob("[!_]*.py")))
def app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    # Each store has a fixture of its name, which empties it.
    request.getfixturevalue(request.param)
    return make_app(NOTES_STORE=request.param)


@pytest.fixture
def note(client: FlaskClient) -> TestResponse:
    """A note that exists: the response that created it."""
    return client.post(URL, json={"title": "Shopping"})


def seen(response: TestResponse) -> dict[str, str]:
    return {"If-Match": response.headers["ETag"]}


def test_create(client: FlaskClient, note: TestResponse) -> None:
    assert note.status_code == 201
    made = note.get_json()
    assert made | {"id": "", "created": ""} == {"id": "", "title": "Shopping", "text": "", "created": "", "version": 1}
    assert UUID(made["id"]).version == 7
    assert datetime.fromisoformat(made["created"]).tzinfo
    read = client.get(note.headers["Location"])
    assert read.get_json() == made
    assert read.headers["ETag"] == note.headers["ETag"]


@pytest.mark.parametrize(
    "wrong", [{}, {"title": ""}, {"title": "x" * 81}, {"title": "a\0b"}, {"title": "x", "more": 1}]
)
def test_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    assert client.post(URL, json=wrong).status_code == 422


@pytest.mark.parametrize("title", ["Ω ẞ 🧺", "'; --", "$where", "{}", "#text", " a "])
def test_texts_come_back(client: FlaskClient, title: str) -> None:
    made = client.post(URL, json={"title": title, "text": title * 1000})
    assert client.get(made.headers["Location"]).get_json() == made.get_json()
    assert (made.get_json()["title"], made.get_json()["text"]) == (title, title * 1000)


def test_change(client: FlaskClient, note: TestResponse) -> None:
    changed = client.patch(note.headers["Location"], json={"text": "Bread"}, headers=seen(note))
    assert changed.get_json() == note.get_json() | {"text": "Bread", "version": 2}
    assert client.get(note.headers["Location"]).get_json() == changed.get_json()
    # Whoever has read what it was before would undo this without knowing.
    assert client.patch(note.headers["Location"], json={"text": "Tea"}, headers=seen(note)).status_code == 412


def test_somebody_was_faster(app: Flask, client: FlaskClient, note: TestResponse) -> None:
    """What was changed or removed after it was read is neither overwritten nor removed."""
    store = app.extensions["notes"]
    with app.app_context():
        old = store.get(UUID(note.get_json()["id"]))
    client.patch(note.headers["Location"], json={"text": "Bread"}, headers=seen(note))
    with app.app_context():
        assert not store.replace(old, old)
        assert not store.remove(old)
        assert store.get(old.id).text == "Bread"
        assert store.remove(store.get(old.id))
        assert not store.replace(old, old)
        assert store.get(old.id) is None


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
    assert client.get(URL, query_string={"cursor": "x"}).status_code == 404


@pytest.mark.parametrize("unknown", ["1", "x", "00000000-0000-7000-8000-000000000000"])
def test_no_such_note(client: FlaskClient, unknown: str) -> None:
    assert client.get(f"{URL}/{unknown}").status_code == 404
