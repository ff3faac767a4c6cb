"""The example with a database: notes, from their table to their contract. Read it, then delete it.

What to delete: this file, its tests, and its line in ``modules.py``. Then ``make openapi``, and a migration.
"""

from datetime import UTC, datetime
from typing import Annotated

from flask import Blueprint, abort, url_for
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from ....extensions.api.contract import PRINTABLE, Created, Id, Input, Output, changed_fields, check_if_match, operation
from ....extensions.api.paging import Items, Page, decode_cursor, paginate
from ....extensions.sqlalchemy import Base, UTCDateTime, db
from ....extensions.sqlalchemy.api import commit

bp = Blueprint("notes", __name__, url_prefix="/api/v1")


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=lambda: datetime.now(UTC))


Title = Annotated[str, Meta(min_length=1, max_length=80, pattern=PRINTABLE, examples=["Shopping"])]
Content = Annotated[str, Meta(max_length=10_000, pattern=PRINTABLE, examples=["Bread, butter"])]


class NoteIn(Input):
    title: Title
    text: Content = ""


class NotePatch(Input):
    title: Title | UnsetType = UNSET
    text: Content | UnsetType = UNSET


class NoteOut(Output):
    id: Id
    title: Title
    text: Content
    created: Annotated[datetime, Meta(tz=True)]


@bp.get("/notes")
@operation(etag=True)
def list_notes(query: Page) -> Items[NoteOut]:
    """List the notes, in pages, the oldest first."""
    last = decode_cursor(query.cursor, Id) or 0
    rows = db.session.scalars(select(Note).where(Note.id > last).order_by(Note.id).limit(query.limit + 1))
    return paginate([NoteOut.of(row) for row in rows], query.limit, key=lambda note: note.id)


@bp.post("/notes")
@operation(etag=True)
def create_note(json: NoteIn) -> Created[NoteOut]:
    """Create a note."""
    note = Note(title=json.title, text=json.text)
    db.session.add(note)
    stored = commit(note, NoteOut)
    return Created(stored, url_for("notes.read_note", note_id=stored.id))


@bp.get("/notes/<int:note_id>")
@operation(etag=True)
def read_note(note_id: Id) -> NoteOut:
    """Read a note."""
    return NoteOut.of(db.session.get(Note, note_id) or abort(404))


@bp.patch("/notes/<int:note_id>")
@operation(etag=True)
def change_note(note_id: Id, json: NotePatch) -> NoteOut:
    """Change the fields of a note that the request sends."""
    note = locked(note_id)
    for name, value in changed_fields(json).items():
        setattr(note, name, value)
    return commit(note, NoteOut)


@bp.delete("/notes/<int:note_id>")
@operation(204, etag=True)
def delete_note(note_id: Id) -> None:
    """Delete a note."""
    db.session.delete(locked(note_id))
    db.session.commit()


def locked(note_id: int) -> Note:
    """The note, locked until the transaction ends. 412 if it has changed since the client read it."""
    note = db.session.get(Note, note_id, with_for_update=True) or abort(404)
    check_if_match(NoteOut.of(note))
    return note
