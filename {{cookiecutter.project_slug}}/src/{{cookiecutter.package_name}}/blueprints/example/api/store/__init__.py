"""The example with a store: notes, from the contract to what keeps them.

The modules beside this one keep notes, each in one store: copy the one that you want, and drop what chooses. If there
are several, the first that was chosen is used, unless ``config.py`` returns another one: ``"NOTES_STORE": "redis"``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Annotated, Protocol, cast
from uuid import UUID

from flask import Blueprint, Flask, abort, current_app, url_for
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from .....extensions.api.contract import PRINTABLE, Created, Input, Output, changed_fields, check_if_match, operation
from .....extensions.api.paging import Items, Page, decode_cursor, paginate
from .....modules import CHOSEN, OWN
from ...store import new_id

bp = Blueprint("notes", __name__, url_prefix="/api/v1")

Title = Annotated[str, Meta(min_length=1, max_length=80, pattern=PRINTABLE, examples=["Shopping"])]
Content = Annotated[str, Meta(max_length=10_000, pattern=PRINTABLE, examples=["Bread, butter"])]


class NoteIn(Input):
    title: Title
    text: Content = ""


class NotePatch(Input):
    title: Title | UnsetType = UNSET
    text: Content | UnsetType = UNSET


class Note(Output):
    """What is kept, and what is answered."""

    id: UUID
    title: Title
    text: Content
    created: Annotated[datetime, Meta(tz=True)]
    version: Annotated[int, Meta(ge=1, description="How often it was written.", examples=[1])]


class Store(Protocol):
    """What each of the modules beside this one does."""

    def add(self, note: Note) -> None: ...
    def get(self, note_id: UUID) -> Note | None: ...
    def after(self, note_id: UUID | None, limit: int) -> Sequence[Note]:
        """The oldest notes that are younger than this one."""

    def replace(self, old: Note, new: Note) -> bool:
        """Write ``new``, unless somebody else has changed or removed ``old``: then return False."""

    def remove(self, old: Note) -> bool:
        """Remove ``old``, unless somebody else has changed or removed it: then return False."""


def init_app(app: Flask) -> None:
    here = f"{__name__}.".partition(".")[2]
    first = next(name for name in CHOSEN + OWN if name.startswith(here)).removeprefix(here)
    app.extensions["notes"] = import_module(f".{app.config.get('NOTES_STORE', first)}", __name__)


def store() -> Store:
    return cast(Store, current_app.extensions["notes"])


@bp.get("/notes")
@operation(etag=True, scopes=["notes:read"])
def list_notes(query: Page) -> Items[Note]:
    """List the notes, in pages, the oldest first."""
    notes = store().after(decode_cursor(query.cursor, UUID), query.limit + 1)
    return paginate(notes, query.limit, key=lambda note: note.id)


@bp.post("/notes")
@operation(etag=True, scopes=["notes:write"])
def create_note(json: NoteIn) -> Created[Note]:
    """Create a note."""
    # A whole second is what every store can keep.
    now = datetime.now(UTC).replace(microsecond=0)
    note = Note(id=new_id(), title=json.title, text=json.text, created=now, version=1)
    store().add(note)
    return Created(note, url_for("notes.read_note", note_id=note.id))


@bp.get("/notes/<note_id>")
@operation(etag=True, scopes=["notes:read"])
def read_note(note_id: UUID) -> Note:
    """Read a note."""
    return store().get(note_id) or abort(404)


@bp.patch("/notes/<note_id>")
@operation(etag=True, scopes=["notes:write"])
def change_note(note_id: UUID, json: NotePatch) -> Note:
    """Change the fields of a note that the request sends."""
    while True:  # Until nobody else writes between reading and writing.
        old = seen(note_id)
        new = replace(old, **changed_fields(json), version=old.version + 1)
        if store().replace(old, new):
            return new


@bp.delete("/notes/<note_id>")
@operation(204, etag=True, scopes=["notes:write"])
def delete_note(note_id: UUID) -> None:
    """Delete a note."""
    while not store().remove(seen(note_id)):
        pass


def seen(note_id: UUID) -> Note:
    """The note. 412 if it has changed since the client read it."""
    note = store().get(note_id) or abort(404)
    check_if_match(note)
    return note
