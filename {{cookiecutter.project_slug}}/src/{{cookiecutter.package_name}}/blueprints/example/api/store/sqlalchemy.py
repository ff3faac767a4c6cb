"""Notes in the relational database."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import delete, select, update

from .....extensions.sqlalchemy import db
from ...sqlalchemy import NoteRow, changed
from . import Note


def add(note: Note) -> None:
    db.session.add(NoteRow(**asdict(note)))
    db.session.commit()


def get(note_id: UUID) -> Note | None:
    row = db.session.get(NoteRow, note_id)
    return Note.of(row) if row else None


def after(note_id: UUID | None, limit: int) -> Sequence[Note]:
    notes = select(NoteRow).order_by(NoteRow.id).limit(limit)
    rows = db.session.scalars(notes.where(NoteRow.id > note_id) if note_id else notes)
    return [Note.of(row) for row in rows]


def replace(old: Note, new: Note) -> bool:
    return changed(update(NoteRow).values(asdict(new)), old.id, old.version)


def remove(old: Note) -> bool:
    return changed(delete(NoteRow), old.id, old.version)
