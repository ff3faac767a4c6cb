"""A deployment that replaces processes one by one: the version before and the new one, on one schema, under load."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from databases import SERVERS, private
from running import prepare, required_settings, run, until
from test_databases import MODELS, Load, flask, make_first_migration, running, upgrade

KEY = "    id: Mapped[int] = mapped_column(primary_key=True)\n"
#: What the new version adds to the model: what the one before need not know, and what it would have to.
EXPANDED = KEY + '    note: Mapped[str] = mapped_column(Text, server_default="none")\n'
BREAKING = KEY + "    note: Mapped[str] = mapped_column(Text)\n"
#: Releases that reach a database that has nothing in the same moment, five times.
RELEASES = """
import os
import sys
from importlib import import_module
from multiprocessing import get_context

import sqlalchemy


def release(app, barrier):
    barrier.wait()
    result = app.test_cli_runner().invoke(args=["db", "upgrade"])
    if result.exit_code:
        print(result.output, result.exception, file=sys.stderr)
    os._exit(result.exit_code)


app = import_module(sys.argv[1]).create_app()
with app.app_context():
    engine = import_module(f"{sys.argv[1]}.extensions.sqlalchemy").db.engine
for _ in range(5):
    context = get_context("fork")
    barrier = context.Barrier(3)
    releases = [context.Process(target=release, args=(app, barrier)) for _ in range(3)]
    for process in releases:
        process.start()
    for process in releases:
        process.join(30)
        assert process.exitcode == 0
    with engine.begin() as connection:
        for table in sqlalchemy.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {table}")
    engine.dispose()
"""
#: Reads the table, and leaves the transaction open until it is told to end.
READ = """
import sys
import sqlalchemy

url = sqlalchemy.make_url(sys.argv[1])
driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}[url.drivername]
with sqlalchemy.create_engine(url.set(drivername=driver)).connect() as connection:
    connection.execute(sqlalchemy.text("SELECT * FROM marks"))
    print("read", flush=True)
    sys.stdin.readline()
"""


def new_version(old: Path, folder: Path, model: str) -> Path:
    """Copy a service, change its model, and make the migration, as its README tells."""
    new = Path(shutil.copytree(old, folder, ignore=shutil.ignore_patterns(".venv", "*.sqlite*")))
    module = next(new.glob("src/*/blueprints/main.py"))
    text = module.read_text().replace(KEY, model).replace("mark = Mark()", 'mark = Mark(note="new")')
    text = text.replace('{"id": found.id}', '{"id": found.id, "note": found.note}')
    module.write_text(text.replace("from sqlalchemy.orm", "from sqlalchemy import Text\nfrom sqlalchemy.orm"))
    run(new, "make", "--silent", ".venv/ready")
    for command in (("upgrade",), ("revision", "note")):
        run(new, ".venv/bin/flask", "db", *command)
    return new


@pytest.fixture
def old(engine: str, bake: Callable[..., Service]) -> Path:
    path = bake(sql=engine, project_name="Marks", description="Deployed.").path
    prepare(path, MODELS)
    make_first_migration(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_both_versions_run_on_one_schema(engine: str, old: Path, tmp_path: Path) -> None:
    """No request fails, from before the migration until the old process has gone."""
    new = new_version(old, tmp_path / "new", EXPANDED)
    with private(engine) as database:
        upgrade(old, database.url)
        with running(new, tmp_path / "new.log", database.url) as after:
            # It waits for the migration before it is given requests.
            assert after.get("/readyz")[0] == 503
            with running(old, tmp_path / "old.log", database.url) as before:
                with Load(before, clients=3) as load:
                    until(lambda: load.statuses[201] > 50, 20)
                    upgrade(new, database.url)
                    assert [server.get("/readyz")[0] for server in (before, after)] == [200, 200]
                    with Load(after, clients=3) as others:
                        written = load.statuses[201]
                        until(lambda: min(load.statuses[201] - written, others.statuses[201]) > 50, 30)
                        # What one writes, the other reads.
                        for key in sorted(load.acknowledged)[-20:]:
                            assert json.loads(after.get(f"/marks/{key}")[1]) == {"id": key, "note": "none"}
                        for key in sorted(others.acknowledged)[-20:]:
                            assert json.loads(before.get(f"/marks/{key}")[1]) == {"id": key}
                assert before.get("/readyz")[0] == 200
            assert set(load.statuses) | set(others.statuses) == {201}
            print(f"{engine}: {load.statuses[201]} requests to the old version, {others.statuses[201]} to the new one")
            assert after.get_many("/marks/1", 50) == [200] * 50


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_releases_at_once_wait_for_each_other(engine: str, old: Path) -> None:
    """Each finds an empty database, unless another has been there."""
    with private(engine) as database:
        settings = required_settings(old) | {"DATABASE_URL": database.url}
        run(old, ".venv/bin/python", "-c", RELEASES, old.name.replace("-", "_"), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("engine", SERVERS)
def test_a_migration_that_does_not_get_its_lock_fails_and_can_be_tried_again(
    engine: str, old: Path, tmp_path: Path
) -> None:
    """Nobody waits behind it for a transaction that stays open, as that of a report does."""
    new = new_version(old, tmp_path / "new", EXPANDED)
    with private(engine) as database:
        upgrade(old, database.url)
        command = [new / ".venv/bin/python", "-c", READ, database.url]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reading:
            assert reading.stdout
            assert reading.stdout.readline() == "read\n"
            done = flask(new, "db", "upgrade", **required_settings(new) | {"DATABASE_URL": database.url})
            assert done.returncode == 1, done.stderr
            assert "lock timeout" in done.stderr or "Lock wait timeout" in done.stderr, done.stderr
            reading.communicate("end\n")
            assert reading.returncode == 0
        upgrade(new, database.url)
        done = flask(old, "db", "upgrade", **required_settings(old) | {"DATABASE_URL": database.url})
        assert (done.returncode, "newer than this release" in done.stdout) == (0, True), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"])
def test_a_migration_that_is_not_safe_would_be_seen(engine: str, old: Path, tmp_path: Path) -> None:
    new = new_version(old, tmp_path / "new", BREAKING)
    (migration,) = new.glob("src/*/migrations/*_note.py")
    assert re.search(r"add_column\(.*nullable=False", migration.read_text())
    with private(engine) as database:
        upgrade(old, database.url)
        with running(old, tmp_path / "old.log", database.url) as before:
            upgrade(new, database.url)
            with Load(before, clients=1) as load:
                until(lambda: load.statuses[500] > 0, 20)
    assert not load.statuses[201]
