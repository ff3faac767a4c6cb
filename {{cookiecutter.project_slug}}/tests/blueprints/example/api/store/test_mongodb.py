from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def app(mongodb: Any, make_app: Callable[..., Flask]) -> Flask:
    return make_app(NOTES_STORE="mongodb")


def test_a_list_is_one_command(client: FlaskClient, count_mongodb: Any) -> None:
    client.post("/api/v1/notes", json={"title": "Shopping"})
    with count_mongodb(1):
        assert len(client.get("/api/v1/notes").get_json()["items"]) == 1
