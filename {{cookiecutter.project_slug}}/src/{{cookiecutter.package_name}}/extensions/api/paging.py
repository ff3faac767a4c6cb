"""Pages of a list, by cursor: stable while items come and go, and as fast on the last page as on the first.

Only what is stored with a key below the cursor, as by a transaction that took its number early and committed late, is
not seen.

A cursor holds the sort key of the last item seen, which has to be unique: ``(created, id)``, say. To
clients it is opaque. It is validated and not signed: who forges one may start where they like.

    rows = sorted(rows)[...]  # those after ``after(query.cursor, tuple[datetime, int])``
    return Notes(*page(rows, query.limit, key=lambda note: (note.created, note.id)))
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from flask import abort
from msgspec import Meta

from .contract import Input

Item = TypeVar("Item")
Key = TypeVar("Key")

#: What a page says of the next one.
Next = Annotated[str | None, Meta(description="The cursor of the next page; null on the last.")]


class Page(Input):
    """The parameters of a list; derive from it to add filters."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Items on a page.", examples=[20])] = 20
    cursor: Annotated[str, Meta(max_length=500, description="`next` of the page before; none for the first.")] = ""


def after(cursor: str, key: type[Key]) -> Key | None:
    """The sort key after which the page begins; None for the first page. A cursor of no page is answered 404."""
    if not cursor:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor.encode() + b"=="), type=key)
    except (ValueError, RecursionError):
        abort(404, "There is no page with this cursor: begin without one.")


def page(items: Sequence[Item], limit: int, key: Callable[[Item], object]) -> tuple[list[Item], str | None]:
    """Cut a page from up to ``limit + 1`` items, and make the cursor of the next if there is more."""
    shown = list(items[:limit])
    if len(items) <= limit:
        return shown, None
    return shown, urlsafe_b64encode(msgspec.json.encode(key(shown[-1]))).decode().rstrip("=")
