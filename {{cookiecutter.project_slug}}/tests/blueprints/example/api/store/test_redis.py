from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

URL = "/api/v1/notes"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(NOTES_STORE="redis")


def test_a_page_is_two_commands(client: FlaskClient, count_redis: Any) -> None:
    for title in "abc":
        client.post(URL, json={"title": title})
    with count_redis(2):
        assert len(client.get(URL, query_string={"limit": 2}).get_json()["items"]) == 2


def test_a_note_that_is_removed_while_a_page_is_read(client: FlaskClient, redis: Any) -> None:
    """The page is full, and leads to the next."""
    first, *_ = [client.post(URL, json={"title": title}).get_json()["id"] for title in "abcd"]
    redis.delete(f"note:{first}")
    page = client.get(URL, query_string={"limit": 2}).get_json()
    assert [note["title"] for note in page["items"]] == ["b", "c"]
    last = client.get(URL, query_string={"cursor": page["next"]}).get_json()
    assert [note["title"] for note in last["items"]] == ["d"]


def test_nothing_is_left_of_a_note(client: FlaskClient, redis: Any) -> None:
    note = client.post(URL, json={"title": "Shopping"})
    client.delete(note.headers["Location"], headers={"If-Match": note.headers["ETag"]})
    assert redis.dbsize() == 0


def test_somebody_writes_after_the_comparison(
    app: Flask, client: FlaskClient, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction fails, and the client is told."""
    note = client.post(URL, json={"title": "Shopping"})
    module, reads = app.extensions["notes"], []
    decode = module.decode

    def interrupted(text: str) -> Any:
        reads.append(text)
        if len(reads) == 2:  # The first was for If-Match.
            redis.set(f"note:{note.get_json()['id']}", text.replace("Shopping", "Bread"))
        return decode(text)

    monkeypatch.setattr(module, "decode", interrupted)
    seen = {"If-Match": note.headers["ETag"]}
    assert client.delete(note.headers["Location"], headers=seen).status_code == 412
    assert client.get(note.headers["Location"]).get_json()["title"] == "Bread"
