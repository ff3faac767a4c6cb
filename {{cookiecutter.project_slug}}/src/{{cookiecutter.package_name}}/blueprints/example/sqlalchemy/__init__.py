"""The example with a database: the table of notes. The API and pages keep notes in it, where they were chosen."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ....extensions.sqlalchemy import Base, UTCDateTime, db
from ..store import new_id


class NoteRow(Base):
    __tablename__ = "notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    title: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=lambda: datetime.now(UTC).replace(microsecond=0))
    version: Mapped[int] = mapped_column(default=1)


def changed(statement: Any, note_id: UUID, version: int) -> bool:
    """Execute and commit an update or a deletion of a note. False if the note no longer has this version."""
    as_read = statement.where(NoteRow.id == note_id, NoteRow.version == version)
    found: int = db.session.connection().execute(as_read).rowcount
    db.session.commit()
    return found == 1
