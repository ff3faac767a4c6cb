"""A second database, and tables without classes: what the README of a service says, done as it is written."""

import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import Service
from databases import private
from owned import Owned
from running import Server, run, until
from test_databases import CONNECT_TIMEOUT, SLACK, TIMEOUT, flask, request, required_settings, running
from test_readme import blocks

CORE_TEST = """from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from marks.blueprints.hits import hits


def test_hits(client: FlaskClient, db: Session, count_queries: Callable[..., Any]) -> None:
    db.execute(sa.insert(hits), [{"page": "home"}, {"page": "home"}, {"page": "other"}])
    db.commit()
    assert client.post("/hits/home").status_code == 204
    with count_queries(1):
        assert client.get("/hits/home").json == {"hits": 3}


def test_nothing_is_left(client: FlaskClient, db: Session) -> None:
    assert client.get("/hits/home").json == {"hits": 0}
"""
WAREHOUSE_TEST = """import pytest
from flask.testing import FlaskClient


@pytest.mark.usefixtures("warehouse")
def test_trips(client: FlaskClient) -> None:
    response = client.post("/trips/7")
    assert response.status_code == 201
    assert client.get(f"/trips/{response.json['id']}").json == {"miles": 7}  # type: ignore[index]
    assert client.get("/trips/4711").status_code == 404
    assert client.get("/readyz").json["checks"]["warehouse"] == "ok"  # type: ignore[index]


def test_nothing_is_left(client: FlaskClient) -> None:
    assert client.get("/readyz").json["checks"]["warehouse"] == "The database is not migrated: run `warehouse upgrade`"  # type: ignore[index]
"""


def subsection(service: Path, title: str) -> str:
    text = (service / "README.md").read_text().split(f"\n### {title}\n")[1]
    return re.split(r"\n##+ ", text)[0]


def add_core(service: Owned) -> None:
    """Do what "Without the ORM" says."""
    (module,) = blocks(subsection(service.folder, "Without the ORM"), "python")
    service.add("blueprints.hits", module)
    (service.folder / "tests/blueprints/test_hits.py").write_text(CORE_TEST)


def add_warehouse(service: Owned) -> None:
    """Do what "A second database" says."""
    section = subsection(service.folder, "A second database")
    extension, blueprint, fixtures = blocks(section, "python")
    service.add("blueprints.trips", blueprint)
    service.add("extensions.warehouse", extension)
    make_folder, _ = blocks(section)
    run(service.folder, "sh", "-ec", make_folder)
    with (service.folder / "Makefile").open("a") as makefile:
        makefile.writelines(blocks(section, "make"))
    conftest = service.folder / "tests/conftest.py"
    imports = "from pathlib import Path\nfrom types import ModuleType\n\nimport pytest\nfrom flask.testing import FlaskCliRunner\n"
    text = conftest.read_text().replace("from types import ModuleType\n\nimport pytest\n", imports)
    conftest.write_text(f"{text}\n\n{fixtures}")
    (service.folder / "tests/blueprints/test_trips.py").write_text(WAREHOUSE_TEST)


def add_kind(service: Owned, other: Path) -> None:
    """Copy what another kind of database needs from a service that has it, as "A second database" says."""
    (module,) = other.glob("src/*/extensions/mysql.py")
    service.add("extensions.mysql", module.read_text())
    lines = re.findall(r"^.*mysql.*$", (other / "pyproject.toml").read_text(), re.IGNORECASE | re.MULTILINE)
    requirement, omitted, untyped = lines
    project = service.folder / "pyproject.toml"
    text = project.read_text()
    for anchor, line in (
        ("    # Your dependencies go below this line.\n", f"{requirement}\n"),
        ('    "*/src/marks/core/*",\n', f"{omitted}\n".replace(f"/{module.parents[1].name}/", "/marks/")),
        (
            "# Settings of your tools go below this line.\n",
            f"\n[[tool.mypy.overrides]]\n{untyped}\nignore_missing_imports = true\n",
        ),
    ):
        assert anchor in text
        text = text.replace(anchor, anchor + line)
    project.write_text(text)


# --- in the tests of a service ---


@pytest.fixture(scope="module")
def owned(bake: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Owned:
    """A service with both, which is not installed."""
    service = Owned(bake(sql="postgresql", project_name="Marks"), tmp_path_factory.mktemp("owned") / "marks")
    add_core(service)
    add_warehouse(service)
    service.command("first-migration")
    return service


@pytest.mark.slow
def test_what_an_owner_adds_is_tested(owned: Owned) -> None:
    """With the fixtures of the template, and no test of the template breaks."""
    first, second = owned.package.glob("migrations/**/*_first.py")
    assert {first.parent.name, second.parent.name} == {"migrations", "warehouse"}
    owned.test("tests/blueprints", "tests/extensions/sqlalchemy", "tests/test_app.py", "tests/test_imports.py")


@pytest.mark.slow
def test_a_missing_or_wrong_second_url_is_named(owned: Owned) -> None:
    settings = required_settings(owned.folder) | {"DATABASE_URL": "postgresql://host/name"}
    for url, message in (
        ("", "Set it to the address of a database such as postgresql://"),
        ("oracle://user:hunter2@host/name", "Set it to the address of a database such as postgresql://"),
        ("postgresql://host/name?foo=bar", 'invalid connection option "foo"'),
    ):
        with pytest.raises(AssertionError) as refusal:
            owned.python("-m", "marks", "routes", **settings, WAREHOUSE_URL=url)
        (line,) = re.findall(r"^  (\w+): (.*)$", str(refusal.value), re.MULTILINE)
        assert line[0] == "WAREHOUSE_URL"
        assert line[1].startswith(message)
        assert "hunter2" not in str(refusal.value)


# --- on two servers ---


@pytest.fixture(scope="module")
def service(bake: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service on PostgreSQL with all of it, which has passed `make check`."""
    made = bake(sql="postgresql", project_name="Marks")
    service = Owned(made, tmp_path_factory.mktemp("owned") / "marks")
    run(service.folder, "git", "init", "--quiet")
    run(service.folder, "git", "add", "--all")
    add_core(service)
    add_warehouse(service)
    add_kind(service, bake(sql="mysql").path)
    run(service.folder, "make", "format")
    run(service.folder, "make", "check")
    run(service.folder, "make", "lint", "types")  # What `make check` wrote is formatted and typed as well.
    return service.folder


def test_the_files_of_a_deployment_are_listed(bake: Callable[..., Service], tmp_path: Path) -> None:
    """By the command that the README has for it."""
    folder = tmp_path / "service"
    shutil.copytree(bake(preset="full").path, folder)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    _, search = blocks(subsection(folder, "A second database"))
    found = set(run(folder, "sh", "-ec", search).split())
    assert {"Procfile", "compose/release.yaml", "compose/web.yaml", "kubernetes/base/release.yaml"} <= found
    assert len(found) < 10


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_two_servers(engine: str, service: Path, tmp_path: Path) -> None:
    """Each has migrations of its own; while one is away, what needs it is 503 in time, and all else is as it was."""
    with ExitStack() as stack:
        own, warehouse = (stack.enter_context(private(kind)) for kind in ("postgresql", engine))
        urls = {"DATABASE_URL": own.url, "WAREHOUSE_URL": warehouse.url}
        server = stack.enter_context(running(service, tmp_path / "log", own.url, WAREHOUSE_URL=warehouse.url))
        states = {
            check: f"The database is not migrated: run `{command} upgrade`" for check, command in COMMANDS.items()
        }
        for check, command in COMMANDS.items():
            assert checks(server) == (503, states)
            for _ in range(2):
                done = flask(service, command, "upgrade", **required_settings(service) | urls)
                assert done.returncode == 0, done.stderr
            states[check] = "ok"
        assert checks(server) == (200, states)
        port = int(server.url.rpartition(":")[2])

        def ask(method: str, path: str) -> tuple[int, Any, bytes]:
            started = time.monotonic()
            answer = request(port, method, path)
            assert time.monotonic() - started < TIMEOUT + CONNECT_TIMEOUT + SLACK
            return answer

        assert ask("POST", "/hits/home")[0] == 204
        status, _, body = ask("POST", "/trips/7")
        assert status == 201
        uses = {
            "sqlalchemy": ["GET /hits/home", "POST /hits/home"],
            "warehouse": [f"GET /trips/{json.loads(body)['id']}", "POST /trips/8"],
        }
        for check, database in (("sqlalchemy", own), ("warehouse", warehouse)):
            (other,) = uses.keys() - {check}
            for take_away, bring_back in ((database.stop, database.start), (database.pause, database.resume)):
                take_away()
                try:
                    for use in uses[check]:
                        status, headers, _ = ask(*use.split())
                        assert (status, headers["Retry-After"]) == (503, "5"), use
                    for use in [*uses[other], "GET /livez"] * 3:
                        started = time.monotonic()
                        assert ask(*use.split())[0] < 300, use
                        assert time.monotonic() - started < TIMEOUT
                    status, found = checks(server)
                    assert (status, found[other]) == (503, "ok")
                    assert found[check] in ("unavailable", "timed out")
                finally:
                    bring_back()
                recovered = until(lambda: checks(server)[0] == 200, 15)
                print(f"{check} on {database.command[0]}, {take_away.__name__}: ready after {recovered:.2f} s")
                assert [ask(*use.split())[0] < 300 for use in uses[check]] == [True, True]


#: The commands of migrations, by the names of the checks.
COMMANDS = {"warehouse": "warehouse", "sqlalchemy": "db"}


def checks(server: Server) -> tuple[int, dict[str, str]]:
    status, body = server.get("/readyz")
    return status, json.loads(body)["checks"]
