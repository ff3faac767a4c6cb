from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def app(db: Any, make_app: Callable[..., Flask]) -> Flask:
    return make_app(NOTES_STORE="sqlalchemy")


def test_a_list_is_one_statement(client: FlaskClient, count_queries: Any) -> None:
    client.post("/api/v1/notes", json={"title": "Shopping"})
    with count_queries() as queries:
        assert len(client.get("/api/v1/notes").get_json()["items"]) == 1
    assert sum("notes" in query for query in queries) == 1, queries
