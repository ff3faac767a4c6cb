"""A resource that uses all of the API's contract: memos, kept in memory."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from threading import Lock
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from flask import Blueprint, Flask, Response, abort, url_for
from flask.testing import FlaskClient
from msgspec import UNSET, Meta, Struct, UnsetType

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]

Title = Annotated[str, Meta(min_length=1, max_length=80, description="What it is about.", examples=["Shopping"])]
MemoId = Annotated[int, Meta(ge=1, le=2**31 - 1, description="The number of the memo.")]
# Without a zone it would not be documented as a date-time.
Moment = Annotated[datetime, Meta(tz=True)]
Kind = Literal["plain", "task"]


class Line(Struct, forbid_unknown_fields=True):
    text: Annotated[str, Meta(max_length=200)]
    count: Annotated[int, Meta(ge=1, le=1000)] = 1


class MemoIn(Struct, forbid_unknown_fields=True):
    title: Title
    kind: Kind = "plain"
    lines: Annotated[list[Line], Meta(max_length=100)] = []
    due: Moment | None = None


class MemoPatch(Struct, forbid_unknown_fields=True):
    title: Title | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    lines: Annotated[list[Line], Meta(max_length=100)] | UnsetType = UNSET
    due: Moment | UnsetType | None = UNSET


class Memo(Struct):
    id: MemoId
    title: Title
    kind: Kind
    lines: list[Line]
    due: Moment | None
    created: Moment


class Filter(Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Annotated[str, Meta(max_length=500)] = ""
    kind: Annotated[list[Kind], Meta(max_length=2)] = []
    done: bool = False
    above: Annotated[float, Meta(ge=0)] = 0


def make_memos(package: ModuleType) -> Blueprint:
    """The blueprint, with memos of its own."""
    contract = import_module(".extensions.api.contract", package.__name__)
    paging = import_module(".extensions.api.paging", package.__name__)
    bp = Blueprint("memos", __name__, url_prefix="/api/v1")
    operation: Callable[..., Decorator] = contract.operation
    memos: dict[int, Memo] = {}
    numbers = count(1)
    lock = Lock()

    def find(memo_id: int) -> Memo:
        return memos.get(memo_id) or abort(404)

    @bp.get("/memos")
    @operation(errors=[404])
    def list_memos(query: Filter) -> paging.Items[Memo]:  # type: ignore[name-defined]
        """List memos.

        The oldest come first.
        """
        last = paging.decode_cursor(query.cursor, int) or 0
        with lock:
            found = sorted((memo for memo in memos.values() if memo.id > last), key=lambda memo: memo.id)
        found = [memo for memo in found if not query.kind or memo.kind in query.kind]
        return paging.paginate(found[: query.limit + 1], query.limit, key=lambda memo: memo.id)

    @bp.post("/memos")
    @operation(etag=True)
    def create_memo(json: MemoIn) -> contract.Created[Memo]:  # type: ignore[name-defined]
        """Create a memo."""
        memo = Memo(next(numbers), json.title, json.kind, json.lines, json.due, datetime.now(UTC))
        memos[memo.id] = memo
        return contract.Created(memo, url_for("memos.read_memo", memo_id=memo.id))

    @bp.get("/memos/<int:memo_id>")
    @operation(etag=True)
    def read_memo(memo_id: MemoId) -> Memo:
        """Read a memo."""
        return find(memo_id)

    @bp.patch("/memos/<int:memo_id>")
    @operation(etag=True)
    def change_memo(memo_id: MemoId, json: MemoPatch) -> Memo:
        """Change a memo."""
        with lock:
            memo = find(memo_id)
            contract.check_if_match(memo)
            for name, value in contract.changed_fields(json).items():
                setattr(memo, name, value)
        return memo

    @bp.delete("/memos/<int:memo_id>")
    @operation(204, etag=True)
    def delete_memo(memo_id: MemoId) -> None:
        """Delete a memo."""
        with lock:
            contract.check_if_match(find(memo_id))
            del memos[memo_id]

    return bp


@pytest.fixture
def api(package: ModuleType) -> Callable[[str], Any]:
    """Import a module of the API by its name."""
    return lambda name: import_module(f".extensions.api.{name}", package.__name__)


@pytest.fixture
def make_api(probe: Callable[..., Flask], package: ModuleType) -> Callable[..., Flask]:
    """Make an application with the API and memos, and nothing else: ``make_api(API_DOCS="no")``."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.api", **config)
        app.register_blueprint(make_memos(package))
        return app

    return make


@pytest.fixture
def app(make_api: Callable[..., Flask]) -> Flask:
    return make_api()


@pytest.fixture
def memo(client: FlaskClient) -> Any:
    """A memo that exists: the response that created it."""
    return client.post("/api/v1/memos", json={"title": "Shopping"})
