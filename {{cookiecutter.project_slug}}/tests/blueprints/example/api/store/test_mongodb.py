from collections.abc import Callable
from typing import Any

from flask import Flask


def test_a_list_is_one_command(make_app: Callable[..., Flask], mongodb: Any, mongodb_commands: Any) -> None:
    client = make_app(NOTES_STORE="mongodb").test_client()
    client.post("/api/v1/notes", json={"title": "Shopping"})
    with mongodb_commands(1):
        assert len(client.get("/api/v1/notes").get_json()["items"]) == 1
