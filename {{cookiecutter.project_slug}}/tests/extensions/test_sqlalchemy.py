import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from sqlalchemy import orm
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs
from werkzeug.serving import make_server

Probe = Callable[..., Flask]


class Scratch(orm.DeclarativeBase):
    """Models of these tests; those of the service subclass its own ``Base``."""


class Memo(Scratch):
    __tablename__ = "scratch_memos"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str] = orm.mapped_column(sa.String(20), unique=True)
    parent_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("scratch_memos.id"))


class Pair(Scratch):
    __tablename__ = "scratch_pairs"

    a: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    b: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    size: orm.Mapped[int] = orm.mapped_column(sa.CheckConstraint("size < 1000"), default=0)


class Everything(Scratch):
    """A column of each type that ``create`` makes values for."""

    __tablename__ = "scratch_everything"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    memo_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("scratch_memos.id"))
    memo: orm.Mapped[Memo] = orm.relationship()
    short: orm.Mapped[str] = orm.mapped_column(sa.String(3), unique=True)
    price: orm.Mapped[Decimal] = orm.mapped_column(sa.Numeric(10, 2))
    weight: orm.Mapped[float]
    done: orm.Mapped[bool]
    day: orm.Mapped[date]
    moment: orm.Mapped[datetime]
    picture: orm.Mapped[bytes]
    more: orm.Mapped[dict[str, Any]] = orm.mapped_column(sa.JSON)
    kind: orm.Mapped[str] = orm.mapped_column(sa.Enum("small", "large", name="scratch_kind"))
    left: orm.Mapped[str] = orm.mapped_column(sa.String(9), server_default="out")


@pytest.fixture(scope="module", autouse=True)
def tables(engine_of_tests: sa.Engine, package: ModuleType) -> Iterator[None]:
    moment = import_module(".extensions.sqlalchemy", package.__name__).UTCDateTime
    sa.Table("scratch_moments", Scratch.metadata, sa.Column("moment", moment), extend_existing=True)
    Scratch.metadata.create_all(engine_of_tests)
    yield
    Scratch.metadata.drop_all(engine_of_tests)


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.sqlalchemy", package.__name__)


@pytest.fixture
def make(probe: Probe, extension: ModuleType) -> Probe:
    """Make an application with routes that use the database as a service's own would: ``make(WEB_THREADS=1)``."""

    def make(**config: Any) -> Flask:
        app, db = probe("extensions.sqlalchemy", **config), extension.db

        @app.post("/memos/<text>")
        def add(text: str) -> ResponseReturnValue:
            memo = Memo(text=text)
            db.session.add(memo)
            with extension.conflict("A memo has this text."):
                db.session.commit()
            return {"id": memo.id}, 201

        @app.post("/forgotten/<text>")
        def forget_to_commit(text: str) -> ResponseReturnValue:
            db.session.add(Memo(text=text))
            db.session.flush()
            return "", 204

        @app.get("/memos/<int:key>")
        def read(key: int) -> ResponseReturnValue:
            return {"text": db.get_or_abort(Memo, key).text}

        @app.delete("/memos/<int:key>")
        def delete(key: int) -> ResponseReturnValue:
            db.session.delete(db.get_or_abort(Memo, key))
            with extension.conflict("Other memos refer to it."):
                db.session.commit()
            return "", 204

        @app.get("/sql/<path:statement>")
        def run(statement: str) -> ResponseReturnValue:
            return {"result": db.session.execute(sa.text(statement)).scalar()}

        @app.get("/away")
        def away() -> ResponseReturnValue:
            raise sa.exc.OperationalError("SELECT 1", None, Exception(), connection_invalidated=True)

        @app.get("/both")
        def both() -> ResponseReturnValue:
            with db.engine.connect(), db.engine.connect():
                return "", 204

        return app

    return make


@pytest.fixture
def probed(make: Probe) -> Flask:
    return make()


@pytest.fixture
def client(probed: Flask) -> FlaskClient:
    return probed.test_client()


# --- one session, which behaves in tests as it does in production ---


@pytest.fixture(params=["in tests", "as it runs"])
def running(request: pytest.FixtureRequest, make: Probe, extension: ModuleType) -> Iterator[Any]:
    """The extension in an application whose session is that of the tests, or that of production."""
    if request.param == "in tests":
        request.getfixturevalue("db")
    with make().app_context():
        if request.param == "as it runs":
            extension.db.sessionmaker.configure(bind=extension.db.engine, join_transaction_mode="conditional_savepoint")
        yield extension.db
        extension.db.session.rollback()
        for model in (Memo, Pair):
            extension.db.session.execute(sa.delete(model))
        extension.db.session.commit()


def test_what_was_flushed_is_found(running: Any) -> None:
    memo = Memo(text="flushed")
    running.session.add(memo)
    running.session.flush()
    assert running.session.get(Memo, memo.id) is memo
    assert running.session.scalars(sa.select(Memo.text)).all() == ["flushed"]


def test_what_was_changed_is_written(running: Any) -> None:
    running.session.add(Memo(text="before"))
    running.session.commit()
    running.session.scalars(sa.select(Memo)).one().text = "after"
    running.session.commit()
    running.session.expunge_all()
    assert running.session.scalars(sa.select(Memo.text)).all() == ["after"]


def test_what_was_committed_is_read(running: Any) -> None:
    memo = Memo(text="before")
    running.session.add(memo)
    running.session.commit()
    assert memo.text == "before"
    running.session.execute(sa.update(Memo).values(text="after"))
    running.session.commit()
    assert running.session.get(Memo, memo.id).text == memo.text == "after"


def test_what_was_not_committed_is_lost(running: Any) -> None:
    running.session.add(Memo(text="kept"))
    running.session.commit()
    running.session.add(Memo(text="lost"))
    running.session.flush()
    running.session.rollback()
    assert running.session.scalars(sa.select(Memo.text)).all() == ["kept"]


def test_a_key_of_two_columns(running: Any) -> None:
    running.session.add(Pair(a=1, b=2))
    running.session.flush()
    assert running.session.get(Pair, (1, 2)).size == 0


def test_moments_come_back_in_utc(running: Any) -> None:
    moments = Scratch.metadata.tables["scratch_moments"]
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    running.session.execute(sa.insert(moments), [{"moment": moment}, {"moment": None}])
    found, nothing = running.session.scalars(sa.select(moments.c.moment).order_by(moments.c.moment.is_(None))).all()
    assert (found, found.utcoffset(), nothing) == (moment, timedelta(0), None)


# --- requests ---


def test_write_and_read(client: FlaskClient, db: orm.Session) -> None:
    response = client.post("/memos/milk")
    assert response.status_code == 201
    assert db.scalars(sa.select(Memo.text)).all() == ["milk"]
    assert client.get(f"/memos/{response.json['id']}").json == {"text": "milk"}  # type: ignore[index]
    assert client.get("/memos/0").status_code == 404


def test_the_test_before_has_left_nothing(db: orm.Session) -> None:
    assert db.scalar(sa.select(sa.func.count()).select_from(Memo)) == 0


def test_fixtures_and_views_see_each_other(make: Probe, create: Callable[..., Any], db: orm.Session) -> None:
    """In each application that the test makes."""
    memo = create(Memo, text="bread")
    assert make().test_client().get(f"/memos/{memo.id}").json == {"text": "bread"}
    memo.text = "butter"
    db.commit()
    assert make(WEB_THREADS=1).test_client().get(f"/memos/{memo.id}").json == {"text": "butter"}


def test_taken_and_referenced_are_409(client: FlaskClient, create: Callable[..., Any], db: orm.Session) -> None:
    first = create(Memo, text="once")
    taken = client.post("/memos/once")
    assert (taken.status_code, taken.mimetype) == (409, "application/problem+json")
    assert taken.json["detail"] == "A memo has this text."  # type: ignore[index]
    second = create(Memo, text="refers", parent_id=first.id)
    assert client.delete(f"/memos/{first.id}").status_code == 409
    assert client.delete(f"/memos/{second.id}").status_code == 204
    assert client.delete(f"/memos/{first.id}").status_code == 204
    assert client.post("/memos/after").status_code == 201
    assert db.scalars(sa.select(Memo.text)).all() == ["after"]


@pytest.mark.parametrize("values", [{"size": None}, {"size": 4711}])
def test_a_bug_is_no_conflict(probed: Flask, extension: ModuleType, db: orm.Session, values: dict[str, Any]) -> None:
    with probed.app_context(), pytest.raises(sa.exc.DBAPIError), extension.conflict("No."):
        extension.db.session.execute(sa.insert(Pair).values(a=1, b=2, **values))


def test_a_request_that_does_not_commit_writes_nothing(client: FlaskClient, db: orm.Session) -> None:
    assert client.post("/forgotten/salt").status_code == 204
    assert db.scalars(sa.select(Memo)).all() == []


def test_foreign_keys_and_savepoints(db: orm.Session) -> None:
    with db.begin_nested() as savepoint:
        db.add(Memo(text="orphan", parent_id=4711))
        with pytest.raises(sa.exc.IntegrityError):
            db.flush()
        savepoint.rollback()
    db.add(Memo(text="kept"))
    db.flush()
    assert db.scalars(sa.select(Memo.text)).all() == ["kept"]


def test_constraints_have_names(extension: ModuleType) -> None:
    metadata = sa.MetaData(naming_convention=extension.Base.metadata.naming_convention)
    table = sa.Table("pets", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", unique=True))
    assert {constraint.name for constraint in table.constraints} == {"pk_pets", "uq_pets_a"}


def test_pool(probe: Probe, extension: ModuleType) -> None:
    with probe("extensions.sqlalchemy", WEB_THREADS=17).app_context():
        assert extension.db.engine.pool.size() == 17


def test_no_event_loop_is_started(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncio.new_event_loop", None)
    assert client.get("/").status_code == 200


# --- what the fixtures do ---


def test_a_test_that_has_not_asked_is_refused(probed: Flask, extension: ModuleType) -> None:
    with probed.app_context(), pytest.raises(AssertionError, match="give it the fixture `db`"):
        extension.db.session.execute(sa.select(1))


def test_the_database_is_that_of_the_run_before(
    database_url: str, pytestconfig: pytest.Config, package: ModuleType
) -> None:
    """And its name that of this process, which it shares with no other."""
    url, fixtures = sa.make_url(database_url), import_module("fixtures.sqlalchemy")
    assert url.database
    assert os.environ.get("PYTEST_XDIST_WORKER", "main") in url.database
    assert fixtures.database_of_tests(package, pytestconfig) == database_url


def test_over_http(client: FlaskClient, probed: Flask, create: Callable[..., Any]) -> None:
    memo = create(Memo, text="cheese")
    server = make_server("127.0.0.1", 0, probed)
    thread = Thread(target=server.handle_request)
    thread.start()
    with urlopen(f"http://127.0.0.1:{server.port}/memos/{memo.id}", timeout=10) as response:
        assert json.load(response) == {"text": "cheese"}
    thread.join()
    server.server_close()


def test_count_queries(client: FlaskClient, create: Callable[..., Any], count_queries: Callable[..., Any]) -> None:
    memo = create(Memo, text="eggs")
    with count_queries() as queries:
        client.get(f"/memos/{memo.id}")
    assert len(queries) == 1
    assert "scratch_memos" in queries[0]
    with count_queries(1):
        client.get(f"/memos/{memo.id}")
    with pytest.raises(pytest.fail.Exception, match=r"expected 2 .* there were 1:\n  SELECT"), count_queries(2):
        client.get(f"/memos/{memo.id}")


def test_values_are_made_from_types(create: Callable[..., Any], db: orm.Session) -> None:
    one, other = create(Everything), create(Everything, price=Decimal("1.50"))
    assert one.id != other.id
    assert one.short != other.short
    assert (one.done, one.kind, one.more) == (False, "small", {})
    assert (other.price, other.memo.id) == (Decimal("1.50"), other.memo_id)
    db.refresh(one)
    assert one.left == "out"
    assert create(Everything, memo=one.memo).memo_id == one.memo_id


@pytest.mark.repeats
def test_a_query_for_each_row_is_found(
    probed: Flask, db: orm.Session, extension: ModuleType, request: pytest.FixtureRequest
) -> None:
    fixtures = import_module("fixtures.sqlalchemy")
    found = request.getfixturevalue("no_repeated_queries")

    @probed.get("/each/<int:number>")
    def each(number: int) -> str:
        for key in range(number):
            extension.db.session.get(Memo, key)
        return ""

    client = probed.test_client()
    client.get(f"/each/{fixtures.REPEATS}")
    client.get(f"/each/{fixtures.REPEATS}")
    assert not found
    client.get(f"/each/{fixtures.REPEATS + 1}")
    assert len(found) == 1


# --- when it is away ---


def test_away_is_503(client: FlaskClient) -> None:
    with capture_logs() as logs:
        response = client.get("/away")
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "5"
    assert logs[0]["event"] == "database_unavailable"


def test_a_wrong_statement_is_500(probed: Flask, client: FlaskClient, db: orm.Session) -> None:
    probed.config["PROPAGATE_EXCEPTIONS"] = False
    with capture_logs():
        assert client.get("/sql/SELECT nonsense").status_code == 500
    assert client.post("/memos/next").status_code == 201


def test_a_character_that_not_all_databases_store(client: FlaskClient, db: orm.Session) -> None:
    """U+0000 is stored or refused, and never an error of the service."""
    assert client.post("/memos/a%00b").status_code in (201, 400)
    assert client.post("/memos/next").status_code == 201


def test_no_free_connection_is_503(make: Probe, extension: ModuleType, tmp_path: Path) -> None:
    app = make(WEB_THREADS=1, DATABASE_CONNECT_TIMEOUT=0.2, DATABASE_URL=f"sqlite:///{tmp_path / 'one.sqlite'}")
    client = app.test_client()
    with app.app_context():
        engine = extension.db.engine
    with engine.connect(), engine.connect():  # One of three is left.
        response = client.get("/both")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert client.get("/both").status_code == 204


def test_where_nobody_listens(make: Probe, database_url: str, port: int) -> None:
    url = sa.make_url(database_url)
    if url.drivername == "sqlite":
        url = url.set(database="/nowhere/at/all.sqlite")
    else:
        url = url.set(host="127.0.0.1", port=port)
    client = make(DATABASE_URL=url.render_as_string(hide_password=False)).test_client()
    with capture_logs() as logs:
        assert client.get("/memos/1").status_code == 503
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["sqlalchemy"]) == (503, "unavailable")  # type: ignore[index]
    events = [line["event"] for line in logs]
    assert "database_unavailable" in events
    assert "not_ready" in events


def test_a_further_engine(make: Probe, extension: ModuleType, tmp_path: Path) -> None:
    """It has the pool of the service's own, and what its kind of database needs."""
    app = make(WEB_THREADS=17, SQLALCHEMY_ENGINES={"other": f"sqlite:///{tmp_path / 'other.sqlite'}"})
    with app.app_context():
        engine = extension.db.get_engine("other")
    assert engine.pool.size() == 17
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.usefixtures("db")
def test_a_further_engine_that_is_away(make: Probe, extension: ModuleType) -> None:
    """What needs it is answered 503, whatever kind of database the service's own is."""
    app = make(SQLALCHEMY_ENGINES={"other": "sqlite:////nowhere/at/all.sqlite"}, READY_TIMEOUT=0.1)

    @app.get("/other")
    def other() -> ResponseReturnValue:
        with extension.db.get_engine("other").connect():
            return "", 204

    client = app.test_client()
    response = client.get("/other")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert client.get("/sql/SELECT 1").json == {"result": 1}
    assert client.get("/readyz").json["checks"].keys() == {"sqlalchemy"}  # type: ignore[index]


def test_a_database_that_is_read_only(make: Probe, extension: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is away for writers, and this process is not ready."""
    app = make()
    monkeypatch.setattr(extension.database(app.config["DATABASE_URL"]), "WRITABLE", "SELECT 1 = 0")
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, "read-only" in ready.text) == (503, True)


# --- settings ---


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "oracle://host/name",
        "://",
        "sqlite+other:///x",
        "sqlite://host:port/x",
        "sqlite://host:99999/x",
        "sqlite://",
    ],
)
def test_a_wrong_url_is_refused(make: Probe, package: ModuleType, url: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=r"DATABASE_URL: .*://|DATABASE_URL: .*:////"):
        make(DATABASE_URL=url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://user:hunter2@host/name", "Set it to the address of a database such as"),
        ("sqlite://user:hun@ter2@host/n", "%40"),
        ("sqlite://user:hun@host/ter2@host/n", "%40"),
        ("sqlite://user:hun@host/n?ter2@host/n", "%40"),
    ],
)
def test_a_refusal_tells_no_password(make: Probe, package: ModuleType, url: str, message: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=message) as refusal:
        make(DATABASE_URL=url)
    assert "ter2" not in str(refusal.value)


def test_production_needs_an_address(
    make: Probe, package: ModuleType, production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(package.core.settings.ConfigError, match="DATABASE_URL: Set it to the address of a database"):
        make(**production)


def test_development_has_a_file(
    make: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: ModuleType
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL")
    make(APP_ENV="development").test_client().get("/sql/SELECT 1").close()
    assert (tmp_path / "development.sqlite").exists()


def test_processes_that_begin_at_once(make: Probe, extension: ModuleType, tmp_path: Path) -> None:
    """One makes the write-ahead log of a new file; the other does without it for that time, and without an error."""
    app = make(DATABASE_URL=f"sqlite:///{tmp_path / 'new'}", DATABASE_STATEMENT_TIMEOUT=0.1)
    with app.app_context():
        engine = extension.db.engine
    with closing(sqlite3.connect(tmp_path / "new", isolation_level=None)) as first:
        first.execute("BEGIN EXCLUSIVE")
        with engine.connect():
            first.execute("COMMIT")
    engine.dispose()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_embedded_in_production_is_said(
    make: Probe, production: dict[str, str], extension: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(**production, DATABASE_URL=f"sqlite:///{tmp_path / 'own.sqlite'}")
    assert ("embedded_database" in caplog.text) == (not extension._first().EXAMPLE.startswith("sqlite"))


def test_query_tags(make: Probe, extension: ModuleType) -> None:
    """Seen by the driver: a listener that comes after ours."""
    app = make(DATABASE_QUERY_TAGS=True)
    seen = []
    with app.app_context():
        engine = extension.db.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        with bound_contextvars(request_id="a1-b2"), engine.connect() as connection:
            assert connection.execute(sa.text("SELECT :a"), {"a": "x"}).scalar() == "x"
        assert seen[-1].endswith("/*request_id='a1-b2'*/")
        with engine.connect() as connection:
            connection.execute(sa.select(1))
        assert seen[-1].strip() == "SELECT 1"
