"""The answer is kept in the transaction of the view."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, Response, abort
from sqlalchemy import orm
from werkzeug.test import TestResponse

Decorator = Callable[[Any], Callable[..., Response]]
URL = "/api/v1/rows"


class Own(orm.DeclarativeBase):
    """Tables that are not the service's."""


class Row(Own):
    __tablename__ = "idempotency_probe"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)


@pytest.fixture
def store(package: ModuleType) -> Any:
    return import_module(".extensions.api.idempotency.sqlalchemy", package.__name__)


@pytest.fixture
def entered() -> Event:
    return Event()


@pytest.fixture
def left() -> Event:
    return Event()


@pytest.fixture
def app(
    probe: Callable[..., Flask], api: Callable[[str], Any], store: Any, tmp_path: Path, entered: Event, left: Event
) -> Flask:
    """An application with a file of its own, so that two requests have two connections."""
    url = f"sqlite:///{tmp_path / 'own.sqlite'}"
    modules = ["extensions.api", "extensions.sqlalchemy", "extensions.api.idempotency.sqlalchemy"]
    app = probe(*modules, DATABASE_URL=url, DATABASE_STATEMENT_TIMEOUT=5)
    db = store.db
    idempotent: Callable[[], Decorator] = api("idempotency").idempotent
    operation: Callable[..., Decorator] = api("contract").operation
    with app.app_context():
        store.AnswerRow.__table__.create(db.engine)
        Own.metadata.create_all(db.engine)

    @app.post(f"{URL}/<int:number>")
    @idempotent()
    @operation(204, errors=[409])
    def add(number: int) -> None:
        db.session.add(Row(id=number))
        db.session.commit()
        entered.set()
        if number == 13:
            abort(409)
        if number == 7:
            assert left.wait(10)
        db.session.add(Row(id=number + 100))  # It is not committed.

    return app


def send(app: Flask, number: int, key: str = "a") -> TestResponse:
    return app.test_client().post(f"{URL}/{number}", headers={"Idempotency-Key": key})


def rows(app: Flask, store: Any) -> list[int]:
    with app.app_context():
        return sorted(store.db.session.scalars(sa.select(Row.id)))


def kept(app: Flask, store: Any) -> int:
    with app.app_context():
        return int(store.db.session.scalar(sa.select(sa.func.count()).select_from(store.AnswerRow)))


def test_what_the_view_commits_is_committed_with_the_answer(app: Flask, store: Any) -> None:
    assert [send(app, 1).status_code, send(app, 1).status_code, send(app, 2, "b").status_code] == [204, 204, 204]
    assert (rows(app, store), kept(app, store)) == ([1, 2], 2)


def test_an_error_takes_back_what_was_committed(app: Flask, store: Any) -> None:
    assert send(app, 13).status_code == 409
    assert (rows(app, store), kept(app, store)) == ([], 0)
    assert send(app, 2).status_code == 204
    assert rows(app, store) == [2]


def test_the_second_request_waits_for_the_first(app: Flask, store: Any, entered: Event, left: Event) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, app, 7)
        assert entered.wait(10)
        second = pool.submit(send, app, 7)
        time.sleep(0.1)
        assert not second.done()
        left.set()
        assert [first.result().status_code, second.result().status_code] == [204, 204]
    assert (rows(app, store), kept(app, store)) == ([7], 1)


def test_a_wait_that_is_too_long_is_a_conflict(app: Flask, store: Any) -> None:
    """As servers say it: SQLite lets one request after the other write."""

    def refuse(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO idempotency"):
            error = sqlite3.OperationalError("too long")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error

    with app.app_context():
        sa.event.listen(store.db.engine, "before_cursor_execute", refuse)
    refused = send(app, 1)
    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "1")
    assert rows(app, store) == []


def test_expired_answers_are_deleted(app: Flask, store: Any) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with app.app_context():
        old = [{"id": f"old {number}", "expires": before, "answer": b""} for number in range(store.BATCH + 1)]
        store.db.session.execute(sa.insert(store.AnswerRow), old)
        store.db.session.commit()
    send(app, 1, "a")
    assert kept(app, store) == 2
    send(app, 2, "b")
    assert kept(app, store) == 2
