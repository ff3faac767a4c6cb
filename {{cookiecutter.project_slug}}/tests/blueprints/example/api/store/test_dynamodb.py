from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def app(dynamodb: Any, make_app: Callable[..., Flask]) -> Flask:
    return make_app(NOTES_STORE="dynamodb")


def test_a_list_is_one_operation(client: FlaskClient, count_dynamodb: Any) -> None:
    client.post("/api/v1/notes", json={"title": "Shopping"})
    with count_dynamodb(1):
        assert len(client.get("/api/v1/notes").get_json()["items"]) == 1


def test_a_page_of_more_than_an_answer_holds(client: FlaskClient, count_dynamodb: Any) -> None:
    for number in range(28):
        client.post("/api/v1/notes", json={"title": f"{number:02}", "text": "🧺" * 10_000})
    with count_dynamodb(2):
        notes = client.get("/api/v1/notes", query_string={"limit": 28}).get_json()
    assert [note["title"] for note in notes["items"]] == [f"{number:02}" for number in range(28)]
    assert notes["next"] is None
