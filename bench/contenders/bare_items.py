from dataclasses import dataclass
from datetime import datetime

from flask import Flask, request

AUTHOR = {"name": "Ada Lovelace", "email": "ada@example.com"}
FIELDS = ("id", "title", "kind", "tags", "author")


@dataclass
class Note:
    id: int
    title: str
    kind: str
    tags: list[str]
    author: dict[str, str]
    due: datetime


def create_app():
    app = Flask(__name__)
    due = datetime.fromisoformat("2026-11-21T08:00:00Z")
    stored = [Note(n, "A note about something", "task", ["one", "two"], AUTHOR, due) for n in range(100)]

    def shown(note):
        return {name: getattr(note, name) for name in FIELDS} | {"due": note.due.isoformat()}

    @app.post("/bench/one")
    def create():
        return {"id": 1, **request.get_json()}, 201

    @app.get("/bench/one")
    def read():
        return shown(stored[1])

    @app.post("/bench/many")
    def create_many():
        return [{"id": number, **item} for number, item in enumerate(request.get_json())], 201

    @app.get("/bench/list")
    def list_all():
        return [shown(note) for note in stored]

    return app
