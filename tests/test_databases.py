"""Relational databases: services on SQLite and on real servers, and what they do when these are away."""

import hashlib
import http.client
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import Any, Self

import psycopg
import pytest
import sqlalchemy as sa
from conftest import Service
from databases import PASSWORD, SERVERS, Private, as_user, listening, missing, need, private
from manifest import ENGINES
from matrix import some
from running import Server, add, clean_environment, free_port, prepare, required_settings, run, serving, until
from test_readme import blocks

#: Seconds; what a request may take is both, and some for the machine.
TIMEOUT, CONNECT_TIMEOUT, SLACK = 2, 2, 1.5

MODELS = """
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions.sqlalchemy import Base, db


class Mark(Base):
    __tablename__ = "marks"

    id: Mapped[int] = mapped_column(primary_key=True)


@bp.post("/marks")
def make_mark() -> ResponseReturnValue:
    mark = Mark()
    db.session.add(mark)
    db.session.flush()
    key = mark.id
    db.session.commit()
    return {"id": key}, 201


@bp.get("/marks/<int:key>")
def read_mark(key: int) -> ResponseReturnValue:
    found = db.session.get(Mark, key)
    return {"id": found.id} if found else ({}, 404)
"""


@pytest.fixture
def service(engine: str, bake: Callable[..., Service]) -> Path:
    """A service with a route that writes and one that reads."""
    path = bake(sql=engine, project_name="Marks").path
    prepare(path, MODELS)
    return path


def flask(service: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    package = next((service / "src").iterdir()).name
    return subprocess.run(
        [".venv/bin/python", "-m", package, *command],
        cwd=service,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


def with_driver(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:").replace("mysql:", "mysql+pymysql:")


@contextmanager
def running(service: Path, log: Path, url: str, **variables: str) -> Iterator[Server]:
    settings = required_settings(service) | {
        "DATABASE_URL": url,
        "DATABASE_STATEMENT_TIMEOUT": str(TIMEOUT),
        "DATABASE_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
    }
    with serving(service, log, [".venv/bin/python", "-m", "marks", "serve"], **settings | variables) as server:
        yield server


# --- their own tests ---


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", *(pytest.param(name, marks=pytest.mark.prove) for name in SERVERS)])
def test_own_tests_in_parallel(engine: str, bake: Callable[..., Service]) -> None:
    service = bake(sql=engine).path
    assert re.search(r"\d+ passed", run(service, "make", "test", "ARGS=-n 2"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_own_tests_on_a_server(engine: str, bake: Callable[..., Service]) -> None:
    url = need(engine)
    service = bake(sql=engine).path
    passed = run(service, "make", "test", "ARGS=-n 2 -rs", TEST_DATABASE_URL=url)
    assert re.search(r"\d+ passed", passed)
    assert "skipped" not in passed
    # The databases stay for the next run of a service; this one has none.
    engine_of_all = sa.create_engine(with_driver(url), isolation_level="AUTOCOMMIT")
    checkout = hashlib.sha256(str(service).encode()).hexdigest()[:8]
    with engine_of_all.connect() as connection:
        for worker in ("gw0", "gw1"):
            connection.exec_driver_sql(f"DROP DATABASE {sa.make_url(url).database}_{checkout}_{worker}")
    engine_of_all.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("engine", some(ENGINES, "postgresql", "mysql"))
def test_the_readme_of_a_service(engine: str, bake: Callable[..., Service], once: dict[str, str]) -> None:
    """The model is added as written, migrated by the first `make check`, and used as written."""
    service = bake(sql=engine, project_name="Visits").path
    section = (service / "README.md").read_text().split("\n## Database\n")[1].split("\n##")[0]
    model, use = blocks(section, "python")
    models = service / "src/visits/blueprints/visits.py"
    models.write_text(model)
    module = service / "src/visits/blueprints/main.py"
    text = module.read_text().replace("from flask import ", "from flask import request\nfrom flask import ", 1)
    imports = (
        "from sqlalchemy import select\nfrom ..extensions.sqlalchemy import conflict, db\nfrom .visits import Visit\n"
    )
    text = text.replace("\nbp =", f"\n{imports}\nbp =")
    lines = "".join(f"    {line}\n" for line in use.splitlines())
    module.write_text(
        text + f'\n\n@bp.post("/visits")\ndef visit() -> ResponseReturnValue:\n{lines}    return "", 204\n'
    )
    (service / "tests/blueprints/test_visits.py").write_text(VISITS_TEST)
    run(service, "make", "format")
    run(service, "make", "check", **once)
    (first,) = service.glob("src/visits/migrations/*_first.py")
    assert "visits" in first.read_text()
    # It is formatted like all else, and typed.
    run(service, "make", "lint", "types")

    models.write_text(models.read_text() + "    agent: Mapped[str | None] = mapped_column(String(200))\n")
    refused = subprocess.run(
        ["make", "check"], cwd=service, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "agent" in refused.stdout + refused.stderr
    (command,) = re.findall(r"`(\.venv/bin/flask db revision .*?)`", section.replace("\n", " "))
    run(service, "sh", "-c", command)
    run(service, "make", "check", **once)


VISITS_TEST = """from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session


def test_visits(client: FlaskClient, db: Session) -> None:
    assert client.post("/visits").status_code == 204
    assert client.post("/visits").status_code == 204
    assert db.execute(text("SELECT path FROM visits")).all() == [("/visits",)]
"""


@pytest.mark.slow
def test_without_models_nothing_is_made(bake: Callable[..., Service], once: dict[str, str]) -> None:
    """A service that never had the example never has its table."""
    service = bake(sql="sqlite").path
    run(service, "make", "check", **once)
    assert not list(service.glob("src/*/migrations/*.py"))


# --- what is wrong is said ---


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("url", ["nonsense", "oracle://user:hunter2@host/name", ""])
def test_a_wrong_url(engine: str, service: Path, url: str) -> None:
    done = flask(service, "serve", **required_settings(service) | {"DATABASE_URL": url})
    assert done.returncode == 1
    assert re.search(r"^  DATABASE_URL: .*://", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Private]]:
    """Private servers, made when they are asked for."""
    made: dict[str, Any] = {}

    def get(engine: str) -> Private:
        if engine not in made:
            context = private(engine)
            made[engine] = (context, context.__enter__())
        server: Private = made[engine][1]
        return server

    yield get
    for context, _ in made.values():
        context.__exit__(None, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_a_wrong_password_and_an_old_schema(
    engine: str, service: Path, servers: Callable[[str], Private], tmp_path: Path
) -> None:
    url = make_database(servers(engine), "old")  # In the one of other tests, the schema may be new already.
    with running(service, tmp_path / "wrong", url.replace(PASSWORD, "wrong")) as server:
        status, body = server.get("/readyz")
        assert (status, json.loads(body)["checks"]["sqlalchemy"]) == (503, "unavailable")
        assert server.get("/marks/1")[0] == 503
        log = server.log.read_text()
        assert re.search("password authentication failed|Access denied for user", log)
        assert "wrong" not in log.replace("wrong password", "")
    make_first_migration(service)
    with running(service, tmp_path / "old", url) as server:
        status, body = server.get("/readyz")
        assert status == 503
        assert "`db upgrade`" in json.loads(body)["checks"]["sqlalchemy"]
        upgrade(service, url)
        assert server.get("/readyz")[0] == 200


def make_database(server: Private, name: str) -> str:
    """Make a database on a server, and return its URL."""
    administrator = sa.create_engine(with_driver(server.url), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return sa.make_url(server.url).set(database=name).render_as_string(hide_password=False)


def make_first_migration(service: Path) -> None:
    done = flask(service, "first-migration", APP_ENV="development")
    assert done.returncode == 0, done.stderr


def upgrade(service: Path, url: str) -> None:
    done = flask(service, "db", "upgrade", **required_settings(service) | {"DATABASE_URL": url})
    assert done.returncode == 0, done.stderr


# --- when it is away ---


class Load:
    """Clients that write without a pause, and note each answer."""

    def __init__(self, server: Server, clients: int) -> None:
        self.port = int(server.url.rpartition(":")[2])
        self.clients = clients
        self.ended, self.lock = Event(), Lock()
        self.statuses: Counter[int] = Counter()
        self.acknowledged: set[int] = set()
        self.slowest = 0.0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self.pool = ThreadPoolExecutor(self.clients)
        self.futures = [self.pool.submit(self.client) for _ in range(self.clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.pool.shutdown()
        for future in self.futures:
            future.result()

    def client(self) -> None:
        while not self.ended.is_set():
            started = time.monotonic()
            status, headers, body = request(self.port, "POST", "/marks")
            with self.lock:
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.statuses[status] += 1
            if status == 201:
                self.acknowledged.add(json.loads(body)["id"])
            elif (status, headers.get("Retry-After"), headers.get_content_type()) != (
                503,
                "5",
                "application/problem+json",
            ):
                self.wrong.append(f"{status} {headers} {body!r}")
            else:
                time.sleep(0.02)


def request(port: int, method: str, path: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stop", "pause"])
@pytest.mark.parametrize("engine", SERVERS)
def test_away_under_load(
    engine: str, fault: str, service: Path, servers: Callable[[str], Private], tmp_path: Path
) -> None:
    """Who needs it is answered 503 in time, all else works, nothing that was acknowledged is lost, and it recovers."""
    database = servers(engine)
    make_first_migration(service)
    upgrade(service, database.url)
    with running(service, tmp_path / "log", database.url) as server, Load(server, clients=6) as load:
        until(lambda: load.statuses[201] > 50, 20)
        assert not load.statuses[503]
        usual = load.slowest  # On a machine that has other work too.
        database.stop() if fault == "stop" else database.pause()
        try:
            until(lambda: load.statuses[503] > 10, 15)
            for _ in range(5):
                started = time.monotonic()
                assert server.get("/livez")[0] == 200
                assert time.monotonic() - started < TIMEOUT
            status, body = server.get("/readyz")
            assert status == 503
            assert json.loads(body)["checks"]["sqlalchemy"] in ("unavailable", "timed out")
            assert server.get("/")[0] == 200
            assert server.get("/marks/1")[0] == 503
        finally:
            database.start() if fault == "stop" else database.resume()
        recovered = until(lambda: server.get("/readyz")[0] == 200, 15)
        written = load.statuses[201]
        until(lambda: load.statuses[201] > written + 100, 20)
    print(f"{engine}, {fault}: {dict(load.statuses)}, slowest {load.slowest:.2f} s, ready after {recovered:.2f} s")
    assert not load.wrong
    assert load.slowest < TIMEOUT + CONNECT_TIMEOUT + SLACK + usual
    with running(service, tmp_path / "after", database.url) as server:
        lost = [key for key in load.acknowledged if server.get(f"/marks/{key}")[0] != 200]
    assert not lost
    assert len(load.acknowledged) == load.statuses[201]


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_restarted_between_requests(
    engine: str, service: Path, servers: Callable[[str], Private], tmp_path: Path
) -> None:
    """Connections that the server closed while they were idle are replaced: no request notices."""
    database = servers(engine)
    make_first_migration(service)
    upgrade(service, database.url)
    with running(service, tmp_path / "log", database.url) as server:
        key = json.loads(request(int(server.url.rpartition(":")[2]), "POST", "/marks")[2])["id"]
        server.get_many(f"/marks/{key}", 50)
        database.stop()
        database.start()
        until(lambda: server.get("/readyz")[0] == 200, 15)
        assert server.get_many(f"/marks/{key}", 100) == [200] * 100


# --- migrations that are written on SQLite ---

#: Types that databases differ in.
TYPES = """
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Numeric, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions.sqlalchemy import Base, UTCDateTime


class Document(TypeDecorator[Any]):
    impl = JSON
    cache_ok = True


class Owner(Base):
    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String(80), unique=True)
    made: Mapped[datetime] = mapped_column(UTCDateTime)
    gone: Mapped[datetime | None] = mapped_column(UTCDateTime)
    key: Mapped[UUID]
    done: Mapped[bool]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    more: Mapped[Any] = mapped_column(Document)
    most: Mapped[Any] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))
"""
DROPPED = re.compile(r"    (gone|done|price): .*\n")


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_migrations_written_on_sqlite(
    engine: str, bake: Callable[..., Service], servers: Callable[[str], Private]
) -> None:
    """They upgrade and downgrade on servers, and lead to the models there."""
    service = bake(sql=engine, project_name="Things").path
    prepare(service, TYPES)
    develop = {"APP_ENV": "development"}
    done = [flask(service, *command, **develop) for command in (["first-migration"], ["db", "upgrade"])]
    (main,) = service.glob("src/*/blueprints/main.py")
    main.write_text(DROPPED.sub("", main.read_text()))
    done += [flask(service, *command, **develop) for command in (["db", "revision", "Drop"], ["db", "upgrade"])]
    url = make_database(servers(engine), "things")  # The one of other tests has other migrations.
    settings = required_settings(service) | {"DATABASE_URL": url}
    for command in ("upgrade", "check", "downgrade", "upgrade", "downgrade base", "upgrade", "check"):
        done.append(flask(service, "db", *command.split(), **settings))
        if (len(done), engine) == (7, "postgresql"):  # What was dropped is there again.
            with psycopg.connect(settings["DATABASE_URL"]) as connection:
                found = connection.execute("SELECT column_name, data_type FROM information_schema.columns").fetchall()
            assert {("made", "timestamp with time zone"), ("gone", "timestamp with time zone")} <= set(found)
            assert {("most", "jsonb"), ("key", "uuid"), ("price", "numeric"), ("done", "boolean")} <= set(found)
    assert [(each.args[3:], each.stderr) for each in done if each.returncode] == []
    run(service, ".venv/bin/ruff", "check", "src/things/migrations")
    run(service, ".venv/bin/ruff", "format", "--check", "src/things/migrations")
    run(service, "make", "types")


DOCUMENT = """
from typing import Any

from sqlalchemy import TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions.sqlalchemy import Base


class Document(TypeDecorator[Any]):
    impl = JSONB


class Paper(Base):
    __tablename__ = "papers"

    id: Mapped[int] = mapped_column(primary_key=True)
    more: Mapped[Any] = mapped_column(Document)
"""


@pytest.mark.slow
def test_a_type_of_another_database_is_written_as_it_is(bake: Callable[..., Service]) -> None:
    service = bake(sql="postgresql", project_name="Papers").path
    add(service, DOCUMENT)
    command = [sys.executable, "-m", "papers", "first-migration"]
    run(service, *command, PYTHONPATH="src", APP_ENV="development")
    (migration,) = service.glob("src/papers/migrations/*_first.py")
    text = migration.read_text()
    assert 'sa.Column("more", papers.blueprints.main.Document(astext_type=Text()), nullable=False)' in text
    run(service, sys.executable, "-m", "ruff", "check", str(migration))


# --- what is between, and what can only be read ---

POOLER = """
[databases]
postgres = host=127.0.0.1 port={server} dbname=postgres user=owner password={password} pool_size={size}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = {mode}
"""
SLEEP = """
from sqlalchemy import text


@bp.get("/sleep")
def sleep() -> ResponseReturnValue:
    return str(db.session.scalar(text("SELECT pg_sleep(30)")))
"""


@contextmanager
def pooler(url: str, mode: str) -> Iterator[str]:
    """PgBouncer before a PostgreSQL server, with no other setting than its mode: its URL."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        missing("pgbouncer", "apt-get install pgbouncer")
    port, server = free_port(), re.findall(r":(\d+)/", url)[0]
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # It is not the one who runs the tests that reads the file.
        file = Path(folder, "pgbouncer.ini")
        size = 3 if mode == "transaction" else 20
        file.write_text(POOLER.format(server=server, port=port, password=PASSWORD, mode=mode, size=size))
        with subprocess.Popen([str(program), "-q", str(file)], **as_user("postgres")) as process:  # type: ignore[call-overload]
            try:
                until(lambda: listening(port), 10)
                yield url.replace(f":{server}/", f":{port}/")
            finally:
                process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("engine", ["postgresql"])
def test_behind_a_pooler(
    engine: str, mode: str, service: Path, servers: Callable[[str], Private], tmp_path: Path
) -> None:
    """No request fails, time-outs hold, and none of them stays at a connection that others are lent."""
    add(service, SLEEP)
    with pooler(servers(engine).url, mode) as url:
        make_first_migration(service)
        upgrade(service, url)
        with running(service, tmp_path / "log", url) as server:
            with Load(server, clients=6) as load:
                until(lambda: load.statuses[201] > 500 or set(load.statuses) - {201}, 30)
            assert set(load.statuses) == {201}
            assert server.get_many("/marks/1", 100) == [200] * 100
            started = time.monotonic()
            assert server.get("/sleep")[0] == 503
            assert TIMEOUT * 0.8 < time.monotonic() - started < TIMEOUT + SLACK
            assert "canceling statement due to statement timeout" in server.log.read_text()
            for _ in range(10):
                with psycopg.connect(url) as connection:
                    assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_a_database_that_became_read_only(
    engine: str, service: Path, servers: Callable[[str], Private], tmp_path: Path
) -> None:
    """Writers are answered 503, and it is not ready; readers go on."""
    url = servers(engine).url
    make_first_migration(service)
    upgrade(service, url)
    administrator = sa.create_engine(with_driver(url))

    def execute(*statements: str) -> None:
        with administrator.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    if engine == "mysql":  # An administrator may always write.
        execute("CREATE USER app@'127.0.0.1' IDENTIFIED BY 'p'", "GRANT ALL ON test.* TO app@'127.0.0.1'")
        url = url.replace(f"owner:{PASSWORD}", "app:p")
        change, undo = ["SET GLOBAL read_only = 1"], ["SET GLOBAL read_only = 0", "DROP USER app@'127.0.0.1'"]
    else:
        change = ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]
        undo = ["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"]
    with running(service, tmp_path / "log", url) as server:
        port = int(server.url.rpartition(":")[2])
        key = json.loads(request(port, "POST", "/marks")[2])["id"]
        execute(*change)
        try:
            until(lambda: request(port, "POST", "/marks")[0] == 503, 5)
            assert [request(port, "POST", "/marks")[0] for _ in range(20)] == [503] * 20
            status, body = server.get("/readyz")
            assert (status, "read-only" in json.loads(body)["checks"]["sqlalchemy"]) == (503, True)
            assert server.get(f"/marks/{key}")[0] == 200
            refused = flask(service, "db", "downgrade", **required_settings(service) | {"DATABASE_URL": url})
            assert (refused.returncode, refused.stderr.splitlines()[-1][:6]) == (1, "Error:"), refused.stderr
        finally:
            execute(*undo)
        until(lambda: server.get("/readyz")[0] == 200, 5)
    administrator.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_file_that_is_read_only(engine: str, service: Path, tmp_path: Path) -> None:
    """As on a disk that was mounted anew after an error: writers are answered 503 until the file can be written."""
    folder = tmp_path / "disk"
    folder.mkdir()
    url = f"sqlite:///{folder / 'marks.sqlite'}"
    make_first_migration(service)
    upgrade(service, url)
    with running(service, tmp_path / "before", url) as server:
        key = json.loads(request(int(server.url.rpartition(":")[2]), "POST", "/marks")[2])["id"]
        other = sqlite3.connect(folder / "marks.sqlite")  # What it leaves behind is what a killed process leaves.
        other.execute("SELECT count(*) FROM marks")
    assert (folder / "marks.sqlite-wal").exists()
    for path in [*folder.iterdir(), folder]:
        path.chmod(0o555)
    # An administrator may write all the same, unless the right to do so is taken away.
    command = [".venv/bin/python", "-m", "marks", "serve"]
    if os.getuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    settings = required_settings(service) | {"DATABASE_URL": url}
    with serving(service, tmp_path / "log", command, **settings) as server:
        port = int(server.url.rpartition(":")[2])
        assert [request(port, "POST", "/marks")[0] for _ in range(20)] == [503] * 20
        assert server.get("/readyz")[0] == 503
        assert server.get(f"/marks/{key}")[0] == 200
        for path in [folder, *folder.iterdir()]:
            path.chmod(0o755)
        assert [request(port, "POST", "/marks")[0] for _ in range(40)][-20:] == [201] * 20
        assert server.get("/readyz")[0] == 200
    other.close()


def test_servers_are_those_of_the_manifest() -> None:
    assert SERVERS.keys() | {"sqlite"} == set(ENGINES)
