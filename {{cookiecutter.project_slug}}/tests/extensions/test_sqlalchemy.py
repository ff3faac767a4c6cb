import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from sqlalchemy import orm
from structlog.testing import capture_logs

MakeApp = Callable[..., Flask]


class Scratch(orm.DeclarativeBase):
    """Models of these tests; those of the service subclass its own ``Base``."""


class Memo(Scratch):
    __tablename__ = "scratch_memos"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    text: orm.Mapped[str] = orm.mapped_column(sa.String(200), unique=True)
    parent_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("scratch_memos.id"))


@pytest.fixture(scope="module", autouse=True)
def tables(package: ModuleType, database_url: str) -> Iterator[None]:
    app = package.create_app({"APP_ENV": "testing", "DATABASE_URL": database_url})
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    Scratch.metadata.create_all(engine)
    yield
    Scratch.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.sqlalchemy", package.__name__)


@pytest.fixture
def memos(extension: ModuleType) -> Callable[[Flask], FlaskClient]:
    """Add routes to an application that use the database as a service's own would."""

    def memos(app: Flask) -> FlaskClient:
        db = extension.db

        @app.post("/memos/<text>")
        def add(text: str) -> ResponseReturnValue:
            memo = Memo(text=text)
            db.session.add(memo)
            db.session.flush()
            key = memo.id
            db.session.commit()
            return {"id": key}, 201

        @app.post("/forgotten/<text>")
        def forget_to_commit(text: str) -> ResponseReturnValue:
            db.session.add(Memo(text=text))
            db.session.flush()
            return "", 204

        @app.get("/memos/<int:key>")
        def read(key: int) -> ResponseReturnValue:
            memo = db.find(Memo, key)
            return {"text": memo.text} if memo else ("", 404)

        @app.get("/sql/<path:statement>")
        def run(statement: str) -> ResponseReturnValue:
            return {"result": db.reader.execute(sa.text(statement)).scalar()}

        @app.get("/away")
        def away() -> ResponseReturnValue:
            raise sa.exc.OperationalError("SELECT 1", None, Exception(), connection_invalidated=True)

        @app.get("/both")
        def both() -> ResponseReturnValue:
            with db.engines["read"].connect(), db.engines["read"].connect():
                return "", 204

        return app.test_client()

    return memos


@pytest.fixture
def client(app: Flask, memos: Callable[[Flask], FlaskClient]) -> FlaskClient:
    return memos(app)


# --- what is written, and what is read ---


def test_write_and_read(client: FlaskClient, db: orm.Session) -> None:
    response = client.post("/memos/milk")
    assert response.status_code == 201
    assert db.scalars(sa.select(Memo.text)).all() == ["milk"]
    assert client.get(f"/memos/{response.json['id']}").json == {"text": "milk"}  # type: ignore[index]
    assert client.get("/memos/0").status_code == 404


def test_the_test_before_has_left_nothing(db: orm.Session) -> None:
    assert db.scalar(sa.select(sa.func.count()).select_from(Memo)) == 0


def test_fixtures_and_views_see_each_other(
    client: FlaskClient, create: Callable[..., Any], db: orm.Session, make_app: MakeApp, memos: Any
) -> None:
    memo = create(Memo, text="bread")
    assert client.get(f"/memos/{memo.id}").json == {"text": "bread"}
    # Applications with other settings, too.
    assert memos(make_app(DATABASE_TIMEOUT=1)).get(f"/memos/{memo.id}").json == {"text": "bread"}
    memo.text = "butter"
    db.commit()
    assert client.get(f"/memos/{memo.id}").json == {"text": "butter"}


def test_over_http(client: FlaskClient, live_server: str, create: Callable[..., Any]) -> None:
    memo = create(Memo, text="cheese")
    with urlopen(f"{live_server}/memos/{memo.id}", timeout=10) as response:  # noqa: S310
        assert json.load(response) == {"text": "cheese"}


def test_count_queries(client: FlaskClient, create: Callable[..., Any], count_queries: Callable[[], Any]) -> None:
    memo = create(Memo, text="eggs")
    with count_queries() as queries:
        client.get(f"/memos/{memo.id}")
    assert len(queries) == 1
    assert "scratch_memos" in queries[0]
    with count_queries() as queries:
        client.post("/memos/ham")
    assert [query.split()[0] for query in queries] == ["INSERT"]


def test_what_fails_is_rolled_back(app: Flask, client: FlaskClient, db: orm.Session) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert client.post("/memos/once").status_code == 201
    response = client.post("/memos/once")
    assert (response.status_code, response.mimetype) == (500, "application/problem+json")
    assert client.post("/memos/twice").status_code == 201
    assert db.scalars(sa.select(Memo.text).order_by(Memo.id)).all() == ["once", "twice"]


def test_what_is_not_committed_is_lost(client: FlaskClient, db: orm.Session) -> None:
    assert client.post("/forgotten/salt").status_code == 204
    assert db.scalars(sa.select(Memo)).all() == []


def test_the_reader_only_reads(app: Flask, extension: ModuleType, create: Callable[..., Any]) -> None:
    key = create(Memo, text="tea").id
    with app.app_context():
        found = extension.db.find(Memo, key)
        found.text = "coffee"
        with pytest.raises(TypeError, match=r"write with db\.session"):
            extension.db.reader.commit()


def test_the_database_refuses_what_the_reader_writes(app: Flask, extension: ModuleType) -> None:
    """Really, over its own connections."""
    with app.app_context(), extension.db.engines["read"].connect() as connection, pytest.raises(sa.exc.DBAPIError):
        connection.execute(sa.insert(Memo).values(text="never"))


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


def test_pools(make_app: MakeApp, extension: ModuleType, tmp_path: Path) -> None:
    with make_app(WEB_THREADS=17).app_context():
        for engine in extension.db.engines.values():
            assert engine.pool.size() == 17


# --- when it is away ---


def test_away_is_503(client: FlaskClient) -> None:
    with capture_logs() as logs:
        response = client.get("/away")
    assert (response.status_code, response.mimetype) == (503, "application/problem+json")
    assert response.headers["Retry-After"] == "5"
    assert logs[0]["event"] == "database_unavailable"


def test_a_wrong_statement_is_500(app: Flask, client: FlaskClient) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with capture_logs():
        assert client.get("/sql/SELECT nonsense").status_code == 500
        # What failed has ended with its request.


def test_no_free_connection_is_503(make_app: MakeApp, memos: Any, extension: ModuleType) -> None:
    app = make_app(WEB_THREADS=1, DATABASE_CONNECT_TIMEOUT=0.2)
    client = memos(app)
    with app.app_context():
        engine = extension.db.engines["read"]
    with engine.connect(), engine.connect():  # One of three is left.
        started = time.monotonic()
        response = client.get("/both")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert time.monotonic() - started < 1
    assert client.get("/both").status_code == 204


def test_where_nobody_listens(make_app: MakeApp, memos: Any, database_url: str, port: int) -> None:
    url = sa.make_url(database_url)
    if url.drivername == "sqlite":
        url = url.set(database="/nowhere/at/all.sqlite")
    else:
        url = url.set(host="127.0.0.1", port=port)
    client = memos(make_app(DATABASE_URL=url.render_as_string(hide_password=False)))
    with capture_logs() as logs:
        assert client.get("/memos/1").status_code == 503
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["sqlalchemy"]) == (503, "unavailable")
    events = [line["event"] for line in logs if line["event"] != "request"]
    assert events == ["database_unavailable", "not_ready"]


# --- settings ---


@pytest.mark.parametrize("url", ["nonsense", "oracle://host/name", "://", "sqlite+other:///x", "sqlite://host:port/x"])
def test_a_wrong_url_is_refused(make_app: MakeApp, package: ModuleType, url: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=r"DATABASE_URL: .*://|DATABASE_URL: .*:////"):
        make_app(DATABASE_URL=url)


def test_a_refusal_tells_no_password(make_app: MakeApp, package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError) as refusal:
        make_app(DATABASE_URL="oracle://user:hunter2@host/name")
    assert "hunter2" not in str(refusal.value)


def test_production_needs_an_address(
    make_app: MakeApp, package: ModuleType, production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(package.core.settings.ConfigError, match="DATABASE_URL: Set it to the address of the database"):
        make_app(**production)


def test_development_has_a_file(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: ModuleType
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL")
    client = make_app(APP_ENV="development").test_client()
    client.get("/readyz").close()
    assert (tmp_path / "development.sqlite").exists()


def test_processes_that_begin_at_once(extension: ModuleType, tmp_path: Path) -> None:
    """One makes the write-ahead log of a new file; the other waits."""
    with (
        closing(sqlite3.connect(tmp_path / "new", isolation_level=None, check_same_thread=False)) as first,
        closing(sqlite3.connect(tmp_path / "new", timeout=0)) as second,
    ):
        first.execute("BEGIN EXCLUSIVE")
        timer = Timer(0.2, first.execute, ["COMMIT"])
        timer.start()
        extension.lite._connect(second, None)
        timer.join()
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_in_memory(make_app: MakeApp, memos: Any, extension: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    app = make_app()
    client = memos(app)
    with app.app_context():
        Scratch.metadata.create_all(extension.db.engine)
        assert extension.db.migrating() is extension.db.engine
    key = client.post("/memos/here").json["id"]
    assert client.get(f"/memos/{key}").json == {"text": "here"}


def test_embedded_in_production_is_said(
    make_app: MakeApp,
    production: dict[str, str],
    extension: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_app(**production, DATABASE_URL=f"sqlite:///{tmp_path / 'own.sqlite'}")
    assert ("embedded_database" in capsys.readouterr().err) == bool(extension._servers())


@pytest.mark.parametrize(
    ("identity", "tag"),
    [
        ("a1-b2", "a1-b2"),
        ("*/ DROP TABLE x; --", "%2A%2F%20DROP%20TABLE%20x%3B%20--"),
        ("100%s", "100%25s"),
        ("'", "%27"),
    ],
)
def test_query_tags(
    make_app: MakeApp, memos: Any, package: ModuleType, extension: ModuleType, identity: str, tag: str
) -> None:
    """Seen by the driver: a listener that comes after ours."""
    app = make_app(DATABASE_QUERY_TAGS=True)
    seen = []
    with app.app_context():
        engine = extension.db.engines["read"]
        sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        package.core.logs.request_id.set(identity)
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT :a"), {"a": "x"}).scalar() == "x"
        package.core.logs.request_id.set("")
        with engine.connect() as connection:
            connection.execute(sa.select(1))
    assert seen[-2].replace("%%", "%").endswith(f"/*request_id='{tag}'*/")
    assert seen[-1].strip() == "SELECT 1"
