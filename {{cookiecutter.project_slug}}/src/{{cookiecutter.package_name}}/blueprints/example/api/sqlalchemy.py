"""The example with a database: notes, from their table to their contract. Read it, then delete it.

What to delete: this file, its tests, and its line in ``modules.py``. Then ``make openapi``,
and a migration.
"""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from flask import Blueprint, abort, url_for
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from ....extensions.api.contract import PREFIX, Input, changes, match, operation
from ....extensions.api.paging import Next, Page, after, page
from ....extensions.sqlalchemy import Base, Moment, db

bp = Blueprint("notes", __name__, url_prefix=PREFIX)


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment, default=lambda: datetime.now(UTC))


NoteId = Annotated[int, Meta(ge=1, le=2**31 - 1, description="The number of the note.", examples=[1])]
# Not every database has texts with U+0000.
PRINTABLE = "^[^\\u0000]*$"
Title = Annotated[str, Meta(min_length=1, max_length=80, pattern=PRINTABLE, examples=["Shopping"])]
Content = Annotated[str, Meta(max_length=10_000, pattern=PRINTABLE, examples=["Bread, butter"])]


class NoteIn(Input):
    title: Title
    text: Content = ""


class NotePatch(Input):
    title: Title | UnsetType = UNSET
    text: Content | UnsetType = UNSET


class NoteOut(Struct):
    id: NoteId
    title: Title
    text: Content
    created: Annotated[datetime, Meta(tz=True)]


class NoteList(Struct):
    items: list[NoteOut]
    next: Next


@bp.get("/notes")
@operation(errors=[404, 503], etag=True)
def list_notes(query: Page) -> NoteList:
    """List the notes, in pages, the oldest first."""
    last = after(query.cursor, NoteId) or 0
    rows = db.reader.scalars(select(Note).where(Note.id > last).order_by(Note.id).limit(query.limit + 1)).all()
    return NoteList(*page([out(row) for row in rows], query.limit, key=lambda note: note.id))


@bp.post("/notes")
@operation(201, headers={"Location": "Where the note is."}, errors=[503], etag=True)
def create_note(json: NoteIn) -> tuple[NoteOut, int, dict[str, str]]:
    """Create a note."""
    note = Note(title=json.title, text=json.text)
    db.session.add(note)
    stored = store(note)
    return stored, 201, {"Location": url_for("notes.read_note", note_id=stored.id)}


@bp.get("/notes/<int:note_id>")
@operation(errors=[503], etag=True)
def read_note(note_id: NoteId) -> NoteOut:
    """Read a note."""
    return out(db.find(Note, note_id) or abort(404))


@bp.patch("/notes/<int:note_id>")
@operation(errors=[503], etag=True)
def change_note(note_id: NoteId, json: NotePatch) -> NoteOut:
    """Change what is sent of a note."""
    note = current(note_id)
    for name, value in changes(json).items():
        setattr(note, name, value)
    return store(note)


@bp.delete("/notes/<int:note_id>")
@operation(204, errors=[503], etag=True)
def delete_note(note_id: NoteId) -> tuple[None, int]:
    """Delete a note."""
    db.session.delete(current(note_id))
    db.session.commit()
    return None, 204


def current(note_id: int) -> Note:
    """The note, locked until the transaction ends, if it is still what the client has read."""
    note = db.session.get(Note, note_id, with_for_update=True) or abort(404)
    match(out(note))
    return note


def store(note: Note) -> NoteOut:
    """Commit, and return what was stored: after the commit, somebody else may have changed or deleted it."""
    db.session.flush()
    db.session.refresh(note)
    stored = out(note)
    db.session.commit()
    return stored


def out(note: Note) -> NoteOut:
    return msgspec.convert(note, NoteOut, from_attributes=True)
