"""A resource of the API, typed, that stores nothing."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from flask import Blueprint
from msgspec import Meta, Struct

from ..extensions.api.contract import Input, operation

bp = Blueprint("bench", __name__, url_prefix="/bench")

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]


class Author(Input):
    name: Text
    email: Annotated[str, Meta(pattern="^[^@]+@[^@]+$")]


class NoteIn(Input):
    title: Text
    kind: Literal["plain", "task"]
    tags: Annotated[list[Text], Meta(max_length=10)]
    author: Author
    due: Moment


class Note(Struct):
    id: int
    title: Text
    kind: Literal["plain", "task"]
    tags: list[Text]
    author: Author
    due: Moment


AUTHOR = Author(name="Ada Lovelace", email="ada@example.com")
DUE = datetime(2026, 11, 21, 8, tzinfo=UTC)
STORED = [Note(number, "A note about something", "task", ["one", "two"], AUTHOR, DUE) for number in range(100)]


def config(env: object) -> dict[str, Any]:
    return {"API_VERSIONS": {"/api/v1": "1.0.0", "/bench": "1.0.0"}}


def made(number: int, note: NoteIn) -> Note:
    return Note(number, note.title, note.kind, note.tags, note.author, note.due)


@bp.post("/one")
@operation(201)
def create(json: NoteIn) -> Note:
    return made(1, json)


@bp.get("/one")
@operation()
def read() -> Note:
    return STORED[1]


@bp.post("/many")
@operation(201)
def create_many(json: list[NoteIn]) -> list[Note]:
    return [made(number, note) for number, note in enumerate(json)]


@bp.get("/list")
@operation()
def list_all() -> list[Note]:
    return STORED
