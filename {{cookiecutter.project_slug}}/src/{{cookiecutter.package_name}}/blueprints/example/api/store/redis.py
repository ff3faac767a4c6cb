"""Notes in Redis: each is JSON under a key. Their ids are in a sorted set, all with one score, and so in text order."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from msgspec import json
from redis import WatchError

from .....extensions.redis import client
from . import Note


def add(note: Note) -> None:
    # A transaction: both are written, or none.
    with client().pipeline() as pipe:
        pipe.set(key(note.id), json.encode(note))
        pipe.zadd("notes", {str(note.id): 0})
        pipe.execute()


def get(note_id: UUID) -> Note | None:
    return decode(client().get(key(note_id)))


def after(note_id: UUID | None, limit: int) -> Sequence[Note]:
    notes: list[Note] = []
    start = f"({note_id}" if note_id else "-"
    # A note may have been removed after its id was read: then read further ids.
    while ids := client().zrange("notes", start, "+", bylex=True, offset=0, num=limit - len(notes)):
        notes += filter(None, map(decode, client().mget([key(note_id) for note_id in ids])))
        if len(notes) == limit:
            break
        start = f"({ids[-1]!s}"
    return notes


def replace(old: Note, new: Note) -> bool:
    return changed(old, lambda pipe: pipe.set(key(old.id), json.encode(new)))


def remove(old: Note) -> bool:
    return changed(old, lambda pipe: pipe.delete(key(old.id)).zrem("notes", str(old.id)))


def changed(old: Note, write: Callable[[Any], object]) -> bool:
    """Write in a transaction, which fails if somebody else writes the note after the comparison."""
    pipe: Any = client().pipeline()
    with pipe, suppress(WatchError):
        pipe.watch(key(old.id))
        if decode(pipe.get(key(old.id))) == old:
            pipe.multi()
            write(pipe)
            pipe.execute()
            return True
    return False


def key(note_id: object) -> str:
    return f"note:{note_id}"


def decode(text: Any) -> Note | None:
    return json.decode(text, type=Note) if text else None
