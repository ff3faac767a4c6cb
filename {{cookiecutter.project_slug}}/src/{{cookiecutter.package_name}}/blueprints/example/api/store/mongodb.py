"""Notes in MongoDB: a document each.

Pages are in the order of ``_id``, which always has an index. What is searched by another field declares an index here::

    INDEXES = {"notes": [IndexModel("title")]}
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import asdict

from .....extensions.mongodb import Document, database
from . import Note

if TYPE_CHECKING:
    from pymongo.collection import Collection


def add(note: Note) -> None:
    notes().insert_one(document(note))


def get(note_id: UUID) -> Note | None:
    found = notes().find_one({"_id": str(note_id)})
    return read(found) if found else None


def after(note_id: UUID | None, limit: int) -> Sequence[Note]:
    younger = {"_id": {"$gt": str(note_id)}} if note_id else {}
    return [read(found) for found in notes().find(younger).sort("_id").limit(limit)]


def replace(old: Note, new: Note) -> bool:
    return notes().replace_one(as_read(old), document(new)).matched_count == 1


def remove(old: Note) -> bool:
    return notes().delete_one(as_read(old)).deleted_count == 1


def notes() -> "Collection[Document]":
    return database()["notes"]


def as_read(old: Note) -> Document:
    """A filter for the note as it was read: the server compares and writes in one step."""
    return {"_id": str(old.id), "version": old.version}


def document(note: Note) -> Document:
    # The id as a text: the server of development does not find binary ones.
    fields = asdict(note)
    return {"_id": str(fields.pop("id"))} | fields


def read(found: Document) -> Note:
    return Note(id=UUID(found.pop("_id")), **found)
