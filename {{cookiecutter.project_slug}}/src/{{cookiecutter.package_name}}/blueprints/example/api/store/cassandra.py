"""Notes in Cassandra.

All notes are rows of one partition, which keeps them in the order of their ids, so that they can be read page by page.
That limits them: a partition lies on the same few nodes, should stay below 100 MB, and decides on one condition after
the other, some 40 a second. Where more is to come, add to the key what the lists are of: an owner, a day.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from .....extensions.cassandra import execute
from . import Note

SCHEMA = [
    """
    CREATE TABLE IF NOT EXISTS notes (
        shelf int, id uuid, title text, text text, created timestamp, version int, PRIMARY KEY (shelf, id)
    )
    """
]
SELECT = "SELECT id, title, text, created, version FROM notes WHERE shelf = 0"
INSERT = "INSERT INTO notes (shelf, id, title, text, created, version) VALUES (0, ?, ?, ?, ?, ?) IF NOT EXISTS"
UPDATE = "UPDATE notes SET title = ?, text = ?, version = ? WHERE shelf = 0 AND id = ? IF version = ?"
DELETE = "DELETE FROM notes WHERE shelf = 0 AND id = ? IF version = ?"


def add(note: Note) -> None:
    # Each write has a condition: writes with and without one are not ordered by the same clock.
    execute(INSERT, [note.id, note.title, note.text, note.created, note.version])


def get(note_id: UUID) -> Note | None:
    rows = execute(f"{SELECT} AND id = ?", [note_id])
    return as_note(rows[0]) if rows else None


def after(note_id: UUID | None, limit: int) -> Sequence[Note]:
    rows = execute(f"{SELECT} AND id > ? LIMIT ?", [note_id or UUID(int=0), limit])
    return [as_note(row) for row in rows]


def replace(old: Note, new: Note) -> bool:
    return applied(execute(UPDATE, [new.title, new.text, new.version, old.id, old.version]))


def remove(old: Note) -> bool:
    return applied(execute(DELETE, [old.id, old.version]))


def applied(rows: list[dict[str, Any]]) -> bool:
    return bool(rows[0]["[applied]"])


def as_note(row: dict[str, Any]) -> Note:
    # The driver's moments are UTC, and do not say so.
    return Note(**row | {"created": row["created"].replace(tzinfo=UTC)})
