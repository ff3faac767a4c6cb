"""Relational databases: services on SQLite and on real servers, and what they do when these are away."""

import http.client
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Self

import pytest
from conftest import Service
from databases import PASSWORD, SERVERS, Private, listening, missing, private
from manifest import ENGINES
from running import Server, clean_environment, prepare, required_settings, run, serving, until
from test_readme import blocks

#: Seconds; what a request may take is both, and some for the machine.
TIMEOUT, CONNECT_TIMEOUT, SLACK = 2, 2, 1.5

MODELS = """
from sqlalchemy.orm import Mapped, mapped_column

from ...extensions.sqlalchemy import Base, db


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
    found = db.find(Mark, key)
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


@contextmanager
def running(service: Path, log: Path, url: str, **variables: str) -> Iterator[Server]:
    settings = required_settings(service) | {
        "DATABASE_URL": url,
        "DATABASE_TIMEOUT": str(TIMEOUT),
        "DATABASE_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
    }
    with serving(service, log, [".venv/bin/python", "-m", "marks", "serve"], **settings | variables) as server:
        yield server


# --- their own tests ---


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_own_tests_in_parallel(engine: str, bake: Callable[..., Service]) -> None:
    service = bake(sql=engine).path
    assert re.search(r"\d+ passed", run(service, "make", "test", "ARGS=-n 2"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_own_tests_on_a_server(engine: str, bake: Callable[..., Service]) -> None:
    url = SERVERS[engine]
    match = re.search(r"@([^/:]+):(\d+)/", url)
    assert match
    if not listening(int(match[2]), match[1]):
        missing(f"no {engine} server listens at {url}")
    service = bake(sql=engine).path
    passed = run(service, "make", "test", "ARGS=-n 2 -rs", TEST_DATABASE_URL=url)
    assert re.search(r"\d+ passed", passed)
    assert "skipped" not in passed


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_the_readme_of_a_service(engine: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """The model is added as written, migrated by the first `make check`, and used as written."""
    service = bake(sql=engine, project_name="Visits").path
    section = (service / "README.md").read_text().split("\n## Database\n")[1].split("\n## ")[0]
    model, use = blocks(section, "python")
    (service / "src/visits/blueprints/main/models.py").write_text(model)
    module = service / "src/visits/blueprints/main/__init__.py"
    text = module.read_text().replace("from flask import ", "from flask import request\nfrom flask import ", 1)
    text = text.replace("\nbp =", "\nfrom ...extensions.sqlalchemy import db\nfrom .models import Visit\n\nbp =")
    lines = "".join(f"    {line}\n" for line in use.splitlines())
    module.write_text(
        text + f'\n\n@bp.post("/visits")\ndef visit() -> ResponseReturnValue:\n{lines}    return "", 204\n'
    )
    (service / "tests/blueprints/test_visits.py").write_text(VISITS_TEST)
    run(service, "make", "format")
    run(service, "make", "check")
    (first,) = service.glob("src/visits/migrations/versions/*_first.py")
    assert "visits" in first.read_text()
    # It is formatted like all else, and typed.
    run(service, "make", "lint", "types")

    models = service / "src/visits/blueprints/main/models.py"
    models.write_text(models.read_text() + "    agent: Mapped[str | None] = mapped_column(String(200))\n")
    refused = subprocess.run(
        ["make", "check"], cwd=service, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "agent" in refused.stdout + refused.stderr
    (command,) = re.findall(r"`(\.venv/bin/flask db migrate .*?)`", section.replace("\n", " "))
    run(service, "sh", "-c", command)
    run(service, "make", "check")


VISITS_TEST = """from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session


def test_visits(client: FlaskClient, db: Session) -> None:
    assert client.post("/visits").status_code == 204
    assert db.execute(text("SELECT path FROM visits")).all() == [("/visits",)]
"""


@pytest.mark.slow
def test_without_models_nothing_is_made(bake: Callable[..., Service]) -> None:
    service = bake(sql="sqlite").path
    run(service, "make", "check")
    assert not list(service.glob("src/*/migrations/versions/*.py"))


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


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "driver"), [("postgresql", "psycopg"), ("mysql", "pymysql")])
def test_a_missing_driver(engine: str, driver: str, service: Path, tmp_path: Path) -> None:
    (tmp_path / f"{driver}.py").write_text(f"raise ImportError('no {driver}')")
    settings = required_settings(service) | {"DATABASE_URL": f"{engine}://host/name", "PYTHONPATH": str(tmp_path)}
    done = flask(service, "serve", **settings)
    assert done.returncode == 1
    assert "pip install" in done.stderr
    assert driver in done.stderr
    assert "Traceback" not in done.stderr


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
    url = servers(engine).url
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
        self.ended = Event()
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
        database.stop() if fault == "stop" else database.pause()
        try:
            until(lambda: load.statuses[503] > 10, 15)
            for _ in range(5):
                started = time.monotonic()
                assert server.get("/livez")[0] == 200
                assert time.monotonic() - started < 1
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
    assert load.slowest < TIMEOUT + CONNECT_TIMEOUT + SLACK
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


def test_servers_are_those_of_the_manifest() -> None:
    assert SERVERS.keys() | {"sqlite"} == set(ENGINES)
