"""Notes in the relational database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import asdict
from sqlalchemy import String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from .....extensions.sqlalchemy import Base, UTCDateTime, db
from . import Note


class NoteRow(Base):
    __tablename__ = "notes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UTCDateTime)
    version: Mapped[int]


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
    return changed(update(NoteRow).values(title=new.title, text=new.text, version=new.version), old)


def remove(old: Note) -> bool:
    return changed(delete(NoteRow), old)


def changed(statement: Any, old: Note) -> bool:
    """Execute and commit a statement for one row, which has to be as it was read."""
    as_read = statement.where(NoteRow.id == old.id, NoteRow.version == old.version)
    found = db.session.connection().execute(as_read).rowcount
    db.session.commit()
    return found == 1
