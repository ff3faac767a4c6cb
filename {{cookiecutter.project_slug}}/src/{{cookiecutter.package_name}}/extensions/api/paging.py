"""Pages of a list, by cursor: stable while items come and go, and as fast on the last page as on the first.

A cursor holds the sort key of the last item seen, which has to be unique, such as ``(created, id)``. Clients treat a
cursor as opaque. It is validated and not signed: a client that forges one starts where it likes. A client misses an
item whose key was assigned before, and committed after, the client had read past that key.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec
from flask import abort
from msgspec import Meta, Struct

from .contract import Input

Item = TypeVar("Item")
Key = TypeVar("Key")


class Page(Input):
    """The parameters of a list; derive from it to add filters."""

    #: Statuses that an operation with these parameters may also answer.
    errors: ClassVar = {404}

    limit: Annotated[int, Meta(ge=1, le=100, description="Items on a page.", examples=[20])] = 20
    cursor: Annotated[str, Meta(max_length=500, description="`next` of the page before; none for the first.")] = ""


class Items(Struct, Generic[Item]):
    """A page."""

    items: list[Item]
    next: Annotated[str | None, Meta(description="The cursor of the next page; null on the last.")]


def decode_cursor(cursor: str, key: type[Key]) -> Key | None:
    """The sort key after which the page begins; None for the first page. An invalid cursor is answered 404."""
    if not cursor:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor.encode() + b"=="), type=key)
    except (ValueError, RecursionError):
        abort(404, "There is no page with this cursor: begin without one.")


def paginate(items: Sequence[Item], limit: int, key: Callable[[Item], object]) -> Items[Item]:
    """Make a page of up to ``limit + 1`` items; one more than ``limit`` says that there is a next page."""
    if len(items) <= limit:
        return Items(list(items), None)
    cursor = urlsafe_b64encode(msgspec.json.encode(key(items[limit - 1])))
    return Items(list(items[:limit]), cursor.decode().rstrip("="))
