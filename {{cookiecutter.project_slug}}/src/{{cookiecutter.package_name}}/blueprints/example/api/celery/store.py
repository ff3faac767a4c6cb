"""A resource that takes time to make: a digest of the notes, which a worker writes.

The request is answered at once, 202 with the address of the digest. There, the client asks until the digest is done, or
its job was started as often as it may be.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint, Flask, url_for
from msgspec import Meta

from .....extensions.api.contract import Output, operation
from .....extensions.celery import job, job_failed, jobs
from ...store import new_id
from ..store import Note, store

bp = Blueprint("digests", __name__, url_prefix="/api/v1")

#: How many of the oldest notes a digest lists.
LONGEST = 100
#: The title of a note that stands for a digest.
FAILED = "A digest that failed"
HEADERS = {"Location": "Where to ask for it.", "Retry-After": "Seconds until it may be done."}
WAITING = {"Retry-After": "Seconds until it may be done, while it waits."}


class Digest(Output):
    id: UUID
    state: Literal["waiting", "done", "failed"]
    note: Annotated[str | None, Meta(description="Where its text is, when it is done.")]


def init_app(app: Flask) -> None:
    job_failed.connect(give_up, app)


@bp.post("/digests")
@operation(202, headers=HEADERS, errors=[503], scopes=["notes:write"])
def create_digest() -> tuple[Digest, int, dict[str, str]]:
    """Have a digest of the notes written."""
    note_id = new_id()
    write_digest.send(str(note_id))
    jobs().commit()
    digest = Digest(id=note_id, state="waiting", note=None)
    return digest, 202, {"Location": url_for("digests.read_digest", digest_id=note_id), "Retry-After": "1"}


@bp.get("/digests/<digest_id>")
@operation(headers=WAITING, scopes=["notes:read"])
def read_digest(digest_id: UUID) -> tuple[Digest, int, dict[str, str]]:
    """Ask whether a digest is done."""
    note = store().get(digest_id)
    if note is None:
        return Digest(id=digest_id, state="waiting", note=None), 200, {"Retry-After": "1"}
    if note.title == FAILED:
        return Digest(id=digest_id, state="failed", note=None), 200, {}
    return Digest(id=digest_id, state="done", note=url_for("notes.read_note", note_id=digest_id)), 200, {}


@job("example.write_digest")
def write_digest(note_id: str) -> None:
    """Write the digest, once: the request has chosen its id, and a job may run again."""
    if store().get(UUID(note_id)) is None:
        text = "\n".join(note.title for note in store().after(None, LONGEST))
        add(note_id, "Digest", text)


def give_up(_: Flask, job: str, arguments: Any) -> None:
    """Tell whoever asks that there will be no digest."""
    if job == write_digest.name:
        add(arguments[0][0], FAILED, "")


def add(note_id: str, title: str, text: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    store().add(Note(id=UUID(note_id), title=title, text=text, created=now, version=1))
