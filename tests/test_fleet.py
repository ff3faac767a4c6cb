"""Several services that one file describes: made, changed, started and updated together."""

import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml
from conftest import TEMPLATE, Service
from containers import missing_programs
from databases import missing
from engine import engine, missing_parts
from receivers import listening_in
from running import free_port, until
from servers.processes import born, listening
from test_pythons import interpreter
from updates import BIN, ENVIRONMENT, commit, copy_template, public_answers, run

FLEET = """
first_port = PORT

[answers]
author_name = "Shop team"
license = "MIT"

[services.front]
answers = { tracing = true }
calls = ["orders", "bank-account"]

[services.orders]
answers = { api = true, example = true, tracing = true }

[services.bank-account]
answers = { api = true, example = true }
calls = ["orders"]
"""
#: A view of a service that calls two others.
VIEW = """

@bp.get("/tour")
def tour() -> ResponseReturnValue:
    return {"fahrenheit": orders().convert(schemas.ConversionIn(celsius=20)).fahrenheit}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_template(tmp_path_factory.mktemp("fleet") / "template")


@pytest.fixture(scope="module")
def fleet(template: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        # A platform's CI makes fleets too, where services' own `make` would write no file.
        return run(sys.executable, template / "fleet.py", *words, cwd=template.parent, check=check, CI="true")

    return call


@pytest.mark.slow
def test_services_are_made_started_changed_and_updated(
    template: Path, fleet: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    folder, port = template.parent, free_port(4)
    file = folder / "fleet.toml"
    file.write_text(FLEET.replace("PORT", str(port)))

    made = [re.split("  +", line) for line in fleet("sync").stdout.splitlines()[1:]]
    assert made == [
        ["orders", "made"],
        ["bank-account", "made, calls orders"],
        ["front", "made, calls orders, bank-account"],
        ["catalog-info.yaml is written."],
    ], "those that are called come first"
    assert public_answers(folder / "orders")["license"] == "MIT"
    use_a_client(folder)
    before = heads(folder), (folder / "catalog-info.yaml").read_bytes()
    again = fleet("sync").stdout
    assert (again.count("as it was"), again.count("written")) == (3, 0)
    assert (heads(folder), (folder / "catalog-info.yaml").read_bytes()) == before

    in_one_place(template, port)

    # Another answer for all, and one that a service has of its own; and a contract that breaks who calls.
    file.write_text(
        file.read_text().replace('"MIT"', '"BSD-3-Clause"').replace("{ tracing", "{ metrics = true, tracing")
    )
    status = what_breaks_is_named(folder, fleet)
    assert all("license" in line for line in status[1:4]), status
    fleet("sync")
    assert "BSD 3-Clause" in (folder / "front/LICENSE").read_text()
    assert (folder / "front/src/front/extensions/metrics.py").exists()
    assert all("as in the file" in line for line in fleet("status").stdout.splitlines()[1:])

    # The template goes on; one of the services has changed the same lines, and another does not pass its check.
    readme = template / "{{cookiecutter.project_slug}}/README.md"
    readme.write_text(f"New words.\n{readme.read_text()}")
    commit(template)
    mine = folder / "bank-account/README.md"
    mine.write_text(f"My words.\n{mine.read_text()}")
    save(folder / "bank-account")
    (folder / "front/tests/test_mine.py").write_text("import os\n")
    save(folder / "front")
    done = fleet("update", check=False)
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 1
    assert "2 files on template-update, checked" in rows["orders"]
    assert "conflicts in README.md: make update there, and resolve them" in rows["bank-account"]
    assert "FAILED, see front.log" in rows["front"]
    assert "`os` imported but unused" in (folder / "front.log").read_text()
    for name, branches in (("orders", 2), ("bank-account", 1), ("front", 1)):
        listed = run("git", "branch", "--format", "%(refname:short)", cwd=folder / name).stdout.split()
        assert len(listed) == branches, listed
        assert run("git", "branch", "--show-current", cwd=folder / name).stdout == "main\n"
        assert not run("git", "status", "--porcelain", cwd=folder / name).stdout, "nothing is left half done"


def heads(folder: Path) -> list[str]:
    return [run("git", "rev-parse", "HEAD", cwd=folder / name).stdout for name in ("orders", "bank-account", "front")]


def save(folder: Path) -> None:
    """Commit as an owner does, what git ignores not."""
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "mine", cwd=folder)


def use_a_client(folder: Path) -> None:
    """Let a service of the fleet call another one."""
    main = folder / "front/src/front/blueprints/main.py"
    imports = "\nfrom ..clients.orders import orders, schemas\n\nbp ="
    main.write_text(main.read_text().replace("\n\nbp =", imports, 1) + VIEW)
    run("make", "--silent", "format", cwd=folder / "front")
    save(folder / "front")


def what_breaks_is_named(folder: Path, fleet: Callable[..., subprocess.CompletedProcess[str]]) -> list[str]:
    """The line that calls; return what is told."""
    contract = folder / "orders/openapi.json"
    kept = contract.read_text()
    changed = json.loads(kept)
    del changed["components"]["schemas"]["Conversion"]["properties"]["fahrenheit"]
    contract.write_text(json.dumps(changed))
    done = fleet("status", check=False)
    contract.write_text(kept)
    told = done.stdout.splitlines()
    views = (folder / "front/src/front/blueprints/main.py").read_text().splitlines()
    (line,) = (number for number, text in enumerate(views, 1) if "orders().convert" in text)
    what = "orders, POST /api/v1/conversions, response 200, fahrenheit: the property is removed"
    assert (done.returncode, told[4:]) == (1, [f"front, src/front/blueprints/main.py:{line}: {what}"])
    return told


def in_one_place(template: Path, port: int) -> None:
    """All services answer at one address, in one trace, and end with the command that has started them."""
    command = [sys.executable, str(template / "fleet.py"), "run"]
    log = template.parent / "run.log"
    with listening_in("tracing.Receiver") as receiver, log.open("w") as output:
        sending = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100", "LOG_FORMAT": "json"}
        process = subprocess.Popen(
            command, cwd=template.parent, env=ENVIRONMENT | sending, stdout=output, stderr=output
        )
        check_running(process, receiver, log, port)


def check_running(process: subprocess.Popen[bytes], receiver: Any, log: Path, port: int) -> None:
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        for name in ("front", "orders", "bank-account"):
            while ask(f"{address}/{name}/livez")[0] != 200:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        note = json.dumps({"celsius": 20}).encode()
        status, body = ask(f"{address}/orders/api/v1/conversions", note, {"Content-Type": "application/json"})
        assert (status, json.loads(body)["fahrenheit"]) == (200, 68)
        # One calls the other, by its client.
        caller = {"X-Request-ID": "a-tour", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        status, body = ask(f"{address}/front/tour", None, caller)
        assert (status, json.loads(body)) == (200, {"fahrenheit": 68})
        until(lambda: len(traced(receiver)) == 3, 30)
        assert [(service, name) for service, name, _ in traced(receiver)] == [
            ("front", "GET /tour"),
            ("front", "POST /api/v1/conversions"),
            ("orders", "POST /api/v1/conversions"),
        ]
        until(lambda: len(lines_of(log, "a-tour")) == 2, 30)
        assert [line["service"] for line in lines_of(log, "a-tour")] == ["orders", "front"]
        assert {line["trace_id"] for line in lines_of(log, "a-tour")} == {"0af7651916cd43dd8448eb211c80319c"}
        assert ask(f"{address}/nobody/")[0] == 404
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0, log.read_text()
    for offset in range(4):
        # The command waits for the programs that it has started, and not for what these have started.
        until(lambda offset=offset: not listening(port + offset), 10)


def traced(receiver: Any) -> list[tuple[str, str, str]]:
    """Which service has which spans of the one trace."""
    spans = [span for span in receiver.spans if span["trace"] == "0af7651916cd43dd8448eb211c80319c"]
    return sorted((span["resource"]["service.name"], span["name"], span["parent"]) for span in spans)


def lines_of(log: Path, request: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("request_id") == request and line["event"] == "request"]


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    try:
        with urlopen(Request(url, body, headers or {}), timeout=10) as response:
            return response.status, response.read()
    except OSError as error:  # Also if it takes connections, and has yet to start.
        return getattr(error, "code", 0), b""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[services.a]\ncalls = ['b']\n", "a calls b, which is no service of this fleet."),
        ("[services.a]\ncalls = ['b']\n[services.b]\ncalls = ['a']\n", "These services call each other: a -> b -> a"),
        (
            "[services.a]\nanswers = {metrcs = 'yes'}\n",
            "a: metrcs: the template asks no such question, did you mean metrics?",
        ),
        ("[services.a]\nanswers = {project_slug = 'b'}\n", "a: its project_slug is b: call the service that."),
        ("[services.a]\nport = 1\n[services.b]\nport = 1\n", "a and b have the same port, 1."),
        ("[services.a]\nport = 8000\n", "a: port 8000 is that of the one address, first_port."),
        ("first_port = 65535\n[services.a]\n", "a: port 65536 is none: write one from 1 to 65535."),
        ("[services.a-b]\n[services.b]\nanswers = {package_name = 'a_b'}\n", "a-b and b have the same package, a_b."),
        (
            "[services.a]\n[services.'../a']\n",
            'services."../a": use lower-case letters, digits and single hyphens, a letter first, at most 50 in all.',
        ),
        (
            "[services.a]\n[services.b]\ncalls = ['a']\nanswers = {http_client = false}\n",
            "b calls others: do not answer http_client = false.",
        ),
        ("[services.a]\nanswers = {sql = 1979-05-27}\n", 'a: sql="1979-05-27": write a text, in quotes.'),
        (
            "[services.a]\nport = true\n",
            "services.a.calls is a list of names, services.a.answers a table, services.a.port a number.",
        ),
        ("[services.a]\nneeds = 1\n", "services.a.needs: there are answers, calls and port."),
        (
            "colour = 1\n[services.a]\n",
            "colour: there is no such setting; there are answers, first_port, one_repository, services, template.",
        ),
        ("[services.a]\n[services.a]\n", "fleet.toml: Cannot declare ('services', 'a') twice (at line 2, column 12)"),
        ("first_port = 1\n", "fleet.toml names no services: write [services.orders], and a number as first_port."),
        ("services = 1\n", "fleet.toml names no services: write [services.orders], and a number as first_port."),
        (
            "[services.a]\ncalls = 'b'\n",
            "services.a.calls is a list of names, services.a.answers a table, services.a.port a number.",
        ),
        ("services.a = 1\n", "services.a is a table: write [services.a]."),
    ],
)
def test_a_wrong_file(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    program = Path(__file__).parents[1] / "fleet.py"
    done = run(sys.executable, program, "sync", cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (2, f"{told}\n")
    assert os.listdir(tmp_path) == ["fleet.toml"]


def test_a_wrong_call(tmp_path: Path) -> None:
    program = Path(__file__).parents[1] / "fleet.py"
    done = run(sys.executable, program, "fly", cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr[:17]) == (2, "Usage: fleet.py s")
    done = run(sys.executable, program, "sync", cwd=tmp_path, check=False)
    assert done.stderr == "fleet.toml: [Errno 2] No such file or directory: 'fleet.toml'\n"
    command = run("make", "--dry-run", "-o", ".venv/ready", "fleet", "DO=update", "FILE=x.toml", cwd=TEMPLATE).stdout
    assert 'fleet.py update "x.toml"' in command


# --- beside services that were made before ---


class Standing:
    """A fleet that `sync` would leave as it is, without the environments of its services."""

    def __init__(self, folder: Path, bake: Callable[..., Service]) -> None:
        self.folder, self.bake, self.port = folder, bake, free_port(4)
        self.text = f"first_port = {self.port}\n"

    def add(self, name: str, *calls: str, **answers: str) -> Path:
        given = {"project_name": name.capitalize(), **answers}
        service = self.folder / name
        shutil.copytree(self.bake(**given).path, service, symlinks=True)
        for peer in calls:
            client = service / f"src/{name}/clients/{peer}/openapi.json"
            client.parent.mkdir(parents=True)
            shutil.copy(self.folder / peer / "openapi.json", client)
        if answers.get("api") == "yes":
            (service / "openapi.json").write_text('{"openapi": "3.1.0", "paths": {}}\n')
        run("git", "init", "--quiet", "-b", "main", cwd=service)
        commit(service)
        (service / ".venv").mkdir()
        (service / ".venv/ready").touch()
        self.text += f"[services.{name}]\ncalls = {[*calls]}\nanswers = {{"
        self.text += ", ".join(f'{question} = "{answer}"' for question, answer in given.items()) + "}\n"
        (self.folder / "fleet.toml").write_text(self.text)
        return service

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, TEMPLATE / "fleet.py", *words, cwd=self.folder, check=False)


@pytest.fixture
def standing(tmp_path: Path, bake: Callable[..., Service]) -> Standing:
    return Standing(tmp_path, bake)


@pytest.mark.slow
def test_one_compose_file(standing: Standing) -> None:
    """As Compose reads it: no container or volume has the name of another one, and each finds what it found alone."""
    answers = {"sql": "postgresql", "jobs": "celery_redis", "container": "yes"}
    standing.add("orders", api="yes", **answers)
    standing.add("front", "orders", http_client="yes", **answers)
    standing.add("alone")
    for name in ("orders", "front"):
        run("make", ".env.production", "DOCKER=true", cwd=standing.folder / name)
    done = standing("sync")
    written = ["catalog-info.yaml", "compose.yaml", ".compose/orders.yaml", ".compose/front.yaml"]
    assert done.stdout.splitlines()[4:] == [f"{name} is written." for name in written], done.stderr
    texts = [(standing.folder / name).read_bytes() for name in written]
    assert standing("sync").stdout.count("written") == 0
    assert [(standing.folder / name).read_bytes() for name in written] == texts

    model = json.loads(run(BIN / "docker-compose", "config", "--format", "json", cwd=standing.folder).stdout)
    alone = {
        name: json.loads(run(BIN / "docker-compose", "config", "--format", "json", cwd=standing.folder / name).stdout)
        for name in ("orders", "front")
    }
    names = {
        (service, name): service if name == "web" else f"{service}.{name}"
        for service, told in alone.items()
        for name in told["services"]
    }
    assert model["services"].keys() == {*names.values()}
    assert model["volumes"].keys() == {f"{name}.{volume}" for name in alone for volume in ("postgresql", "broker")}
    for (service, name), called in names.items():
        before, now = alone[service]["services"][name], model["services"][called]
        own = {"ORDERS_URL": "http://orders:8000"} if service == "front" and "build" in before else {}
        assert now.get("environment", {}) == before.get("environment", {}) | own
        assert now.get("depends_on", {}) == {
            names[service, peer]: how for peer, how in before.get("depends_on", {}).items()
        }
        # A database is seen by its own service alone.
        shared = {"default"} if "build" in before else set()
        assert now["networks"].keys() == {service} | shared
        assert now["networks"][service]["aliases"] == [name]
        assert [mount["source"] for mount in now.get("volumes", [])] == [
            f"{service}.{mount['source']}" for mount in before.get("volumes", [])
        ]
        changing = {"environment", "depends_on", "networks", "volumes", "ports"}
        assert {key: told for key, told in now.items() if key not in changing} == {
            key: told for key, told in before.items() if key not in changing
        }
    ports = {model["services"][name]["ports"][0]["published"] for name in alone}
    assert ports == {str(standing.port + 1), str(standing.port + 2)}


STARTED = """
[answers]
container = true
python_version = "VERSION"

[services.orders]
answers = { api = true, example = true, sql = "sqlite" }

[services.front]
calls = ["orders"]
"""


@pytest.mark.slow
def test_the_one_compose_file_starts(tmp_path: Path) -> None:
    """By the commands that stand in it: healthy containers, that find each other, and keep what they were given."""
    if packages := [*missing_programs(), *missing_parts()]:
        missing("what containers are run with", f"apt-get install {' '.join(packages)}")
    python = next(version for version in ("3.13", "3.12", "3.11") if interpreter(version))
    (tmp_path / "fleet.toml").write_text(STARTED.replace("VERSION", python))
    run(sys.executable, TEMPLATE / "fleet.py", "sync", cwd=tmp_path, CI="true")
    use_a_client(tmp_path)
    made, started = re.findall("^# ((?:for|docker) .*)", (tmp_path / "compose.yaml").read_text(), re.MULTILINE)
    with engine(python) as docker:

        def call(command: str) -> str:
            return run("timeout", "180", "sh", "-ec", command, cwd=tmp_path, **docker.environment).stdout

        call(made)
        call(started)
        assert json.loads(docker.ask("http://127.0.0.1:8002/tour")) == {"fahrenheit": 68}
        docker.ask("http://127.0.0.1:8001/api/v1/notes", '{"title": "kept"}')
        # Each has a key of its own, and by the names of its own containers it finds no other service's.
        code = "import os, urllib.request as r; print(os.environ['SECRET_KEY'], r.urlopen('http://web:8000').read().decode())"
        keys, names = zip(
            *(call(f'docker compose exec -T {name} python -c "{code}"').split() for name in ("orders", "front")),
            strict=True,
        )
        assert [json.loads(name) for name in names] == [{"service": "orders"}, {"service": "front"}]
        assert keys[0] != keys[1]
        call("docker compose down")
        assert call("docker ps --all --quiet") == ""

        # It is there again, and beside it a second one, and one of the services alone, which share nothing with it.
        call(started)
        second = "ENVIRONMENT=staging ORDERS_PORT=8101 FRONT_PORT=8102"
        call(f"{made.replace('.env.production image', '.env.staging')}; {second} {started}")
        call("make -C orders up PORT=8201")
        assert json.loads(docker.ask("http://127.0.0.1:8102/tour")) == {"fahrenheit": 68}
        kept = ["kept" in docker.ask(f"http://127.0.0.1:{port}/api/v1/notes") for port in (8001, 8101, 8201)]
        assert kept == [True, False, False]
        call(f"make -C orders down; docker compose down; {second} docker compose down")
        assert call("docker ps --all --quiet") == ""


def test_the_catalogue(standing: Standing) -> None:
    """https://backstage.io/docs/features/software-catalog/descriptor-format"""
    standing.add("orders", api="yes", description="Sells: #1", author_name="Équipe du Magasin, 2")
    standing.add("front", "orders", http_client="yes")
    assert standing("sync").returncode == 0
    orders, contract, front = yaml.safe_load_all((standing.folder / "catalog-info.yaml").read_text())
    about = {"name": "orders", "title": "Orders", "description": "Sells: #1"}
    common = {"lifecycle": "production", "owner": "equipe-du-magasin-2"}
    assert orders == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": about,
        "spec": {"type": "service", **common, "providesApis": ["orders"]},
    }
    definition = (standing.folder / "orders/openapi.json").read_text()
    assert contract == orders | {"kind": "API", "spec": {"type": "openapi", **common, "definition": definition}}
    assert front["spec"]["consumesApis"] == ["orders"]
    # Another fleet in this folder would replace it.
    (standing.folder / "other.toml").write_text(standing.text)
    done = standing("sync", "other.toml")
    told = "catalog-info.yaml was not written from other.toml: move one of them to another folder.\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.parametrize(
    ("commands", "what", "told"),
    [
        ("echo mine >>README.md", "update", "it has changes that are not committed: commit or stash them first"),
        ("echo mine >new.txt", "update", "it has changes that are not committed: commit or stash them first"),
        ("echo mine >>README.md; sed -i s/MIT/X/ ../fleet.toml", "sync", "it has changes that are not committed"),
        ("git checkout --quiet --detach", "update", "no branch is checked out: git switch to one first"),
        ("git branch template-update", "update", "it has a branch template-update: merge it, or delete it"),
        ("rm .cruft.json", "sync", "/orders has no .cruft.json or no .git: it is no service of a template, move it"),
        ("rm -r .git", "check", "/orders has no .cruft.json or no .git: it is no service of a template, move it"),
    ],
)
def test_what_is_refused_leaves_a_service_as_it_was(commands: str, what: str, told: str, standing: Standing) -> None:
    service = standing.add("orders", license="MIT")
    commands = commands.replace("s/MIT/X/", "s/MIT/Apache-2.0/")
    run("sh", "-ec", commands, cwd=service)
    before = state(service)
    done = standing(what)
    (row,) = done.stdout.splitlines()[1:]
    assert (done.returncode, row.startswith("orders"), told in row) == (1, True, True), done
    assert state(service) == before
    assert not list(standing.folder.glob("*.log"))


@pytest.mark.slow
def test_what_git_ignored_is_neither_committed_nor_lost(standing: Standing) -> None:
    """The template ignores it for the sake of an option that goes."""
    service = standing.add("orders", sql="sqlite")
    (service / "development.sqlite").write_text("rows")
    file = standing.folder / "fleet.toml"
    file.write_text(file.read_text().replace('sql = "sqlite"', 'sql = "none"'))
    before = state(service)
    done = standing("sync")
    assert "git would no longer ignore development.sqlite: move them, or add them" in done.stdout
    assert (done.returncode, state(service)) == (1, before)
    assert (service / "development.sqlite").read_text() == "rows"


def test_what_cannot_be_done_takes_nothing_along(standing: Standing) -> None:
    """Neither what git ignores, nor what is beside the service in its repository."""
    service = standing.add("orders", license="MIT")
    shutil.rmtree(service / ".git")
    file = standing.folder / "fleet.toml"
    file.write_text(f"one_repository = true\n{standing.text}")
    told = standing("sync").stderr
    assert told.startswith(f"one_repository: {standing.folder} is in no git repository that has a commit: git init")
    (service / "LICENSE").write_text("Mine.\n")
    run("git", "init", "--quiet", "-b", "main", cwd=standing.folder)
    commit(standing.folder)
    file.write_text(file.read_text().replace("MIT", "Apache-2.0"))
    run("git", "commit", "--quiet", "--all", "--message", "mine", cwd=standing.folder)
    kept = [service / ".env", standing.folder / "notes.txt"]
    for path in kept:
        path.write_text("mine")
    before = state(service)
    done = standing("sync")
    assert (done.returncode, "orders   FAILED, see orders.log: conflicts in" in done.stdout) == (1, True), done
    (standing.folder / "orders.log").unlink()
    assert state(service) == before
    assert [path.read_text() for path in kept] == ["mine", "mine"]


def test_a_service_that_was_made_by_hand_keeps_its_package(standing: Standing) -> None:
    standing.add("orders", api="yes", package_name="shop")
    front = standing.add("front", "orders", http_client="yes")
    (front / "src/front/clients/orders").rename(front / "src/front/clients/shop")
    commit(front)
    file = standing.folder / "fleet.toml"
    file.write_text(file.read_text().replace(', package_name = "shop"', ""))
    done = standing("sync")
    assert done.stdout.count("as it was") == 2, done


def test_what_tests_said_is_told_and_not_a_log(standing: Standing) -> None:
    """The check of a service migrates a database before its tests, which is logged to standard error."""
    service = standing.add("orders")
    (service / "Makefile").write_text("check: ; @echo log >&2; echo '=== 1 failed ==='; exit 1\n")
    done = standing("check")
    assert "orders   FAILED, see orders.log: make --silent check: 1 failed\n" in done.stdout, done
    (service / "Makefile").write_text("check: ; @echo '=== 1 passed ==='; echo log >&2\n")
    assert "orders   1 passed\n" in standing("check").stdout


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"context": {"cookiecutter": []}}'])
def test_a_damaged_record(record: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[services.orders]\n")
    (tmp_path / "orders/.git").mkdir(parents=True)
    path = tmp_path / "orders/.cruft.json"
    path.write_text(record)
    done = run(sys.executable, TEMPLATE / "fleet.py", "sync", cwd=tmp_path, check=False)
    (told,) = (done.stdout + done.stderr).splitlines()
    assert (done.returncode, told.startswith(f"{path}")) == (2, True), told
    assert path.read_text() == record


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: [", "/compose.yaml: while parsing a flow node"),
        ("[web]", "/compose.yaml: "),
        ("include: [none.yaml]", "/none.yaml: [Errno 2] No such file or directory"),
        ("services: {web: }", "orders: a container of its Compose files is empty"),
        ("services: {web: {container_name: a, pid: 'service:b'}}", "orders: leave out of its Compose files container_"),
        ("services: {web: {extends: {service: a}}}", "orders: leave out of its Compose files extends without a file"),
        ("networks: {}", "orders: leave out of its Compose files networks"),
    ],
)
def test_a_compose_file_that_is_not_understood(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    documents = runpy.run_path(str(TEMPLATE / "fleet_files.py"))["documents"]
    with pytest.raises(ValueError, match=re.escape(told)) as raised:
        documents(SimpleNamespace(name="orders", folder=tmp_path))
    assert len(str(raised.value).splitlines()) == 1


def test_an_interrupted_change_leaves_a_service_as_it_was(standing: Standing) -> None:
    service = standing.add("orders", license="MIT")
    (service / "Makefile").write_text("test:\n\techo $$$$ >../pid; exec sleep 600\n")
    commit(service)
    file = standing.folder / "fleet.toml"
    file.write_text(file.read_text().replace("MIT", "Apache-2.0"))
    before = state(service)
    command = [sys.executable, str(TEMPLATE / "fleet.py"), "sync"]
    process = subprocess.Popen(command, cwd=standing.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    sleeping = standing.folder / "pid"
    until(lambda: process.poll() is not None or (sleeping.exists() and sleeping.read_text()), 60)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert (process.returncode, "orders   FAILED: stopped" in printed) == (1, True), printed
    assert state(service) == before
    until(lambda: born(int(sleeping.read_text())) is None, 30)


def state(service: Path) -> tuple[str, str]:
    told = [run("git", *words, cwd=service, check=False).stdout for words in (["status", "--branch"], ["log", "--all"])]
    return "".join(told), (service / "README.md").read_text()


def test_nothing_is_started_where_a_port_is_taken(standing: Standing) -> None:
    service = standing.add("orders")
    (service / ".venv/bin").mkdir()
    (service / ".venv/bin/python").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", standing.port + 1))
        taken.listen()
        done = standing("run")
    told = f"orders: port {standing.port + 1} cannot be taken, Address already in use: free it, or name another one.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
    shutil.rmtree(standing.folder / "orders")
    assert standing("run").stderr == "orders: it is not made: fleet.py sync\n"


@pytest.mark.slow
@pytest.mark.parametrize("moment", [".making-*", "orders/requirements*.txt"])
def test_an_interrupted_service_leaves_no_folder(moment: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[services.orders]\n[services.billing]\n[services.front]\n")
    command = [sys.executable, str(TEMPLATE / "fleet.py"), "sync"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    until(lambda: process.poll() is not None or [*tmp_path.glob(moment)], 60)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=30)
    rows = dict(line.split(maxsplit=1) for line in printed.splitlines()[1:])
    # One that was whole before the others were stopped stays.
    made = {name for name, told in rows.items() if told == "made"}
    assert process.returncode == 1, printed
    assert {rows[name] for name in {"orders", "billing", "front"} - made} == {"FAILED: stopped"}
    assert {*os.listdir(tmp_path)} == {"fleet.toml", *made}
    for name in made:
        assert not run("git", "status", "--porcelain", cwd=tmp_path / name).stdout


@pytest.mark.slow
def test_all_in_one_repository(tmp_path: Path) -> None:
    """Each service is a folder, with commits of its own; what fails leaves the others, and the file, as they were."""
    template, folder = copy_template(tmp_path / "template"), tmp_path / "shop"
    folder.mkdir()
    file = folder / "fleet.toml"
    file.write_text("one_repository = true\n[services.orders]\n[services.front]\n")

    def fleet(*words: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, template / "fleet.py", *words, cwd=folder, check=False, CI="true")

    def git(*words: str) -> list[str]:
        return run("git", *words, cwd=folder).stdout.splitlines()

    assert fleet("sync").stderr.startswith(f"one_repository: {folder} is in no git repository that has a commit:")
    git("init", "--quiet", "-b", "main")
    save(folder)
    done = fleet("sync")
    assert done.returncode == 0, done
    assert git("log", "--reverse", "--format=%s") == [
        "mine",
        *(f"{name}: {what}" for name in ("orders", "front") for what in ("As generated", "What the first make writes")),
        "Write what is of all services",
    ]
    assert git("status", "--porcelain") == []
    assert fleet("sync").stdout.count("as it was") == 2

    file.write_text(file.read_text().replace("[services.front]", "[services.front]\nanswers = { metrics = true }"))
    done = fleet("sync")
    assert (done.returncode, done.stderr[-63:]) == (
        2,
        "has changes that are not committed: commit or stash them first\n",
    )
    save(folder)
    assert "front    changed metrics" in fleet("sync").stdout
    assert git("show", "--format=%s", "--name-only", "HEAD~")[0] == "front: Change answers: metrics"

    # The template goes on; one of the services cannot be made any more, and another one conflicts.
    readme = template / "{{cookiecutter.project_slug}}/README.md"
    readme.write_text(f"New words.\n{readme.read_text()}")
    commit(template)
    mine = folder / "front/README.md"
    mine.write_text(f"My words.\n{mine.read_text()}")
    file.write_text(f'{file.read_text()}[services.billing]\nanswers = {{ author_email = "nobody" }}\n')
    save(folder)
    before = git("log", "--format=%s")
    done = fleet("sync")
    assert done.returncode == 1
    assert "billing  FAILED" in done.stdout
    assert not (folder / "billing").exists()
    assert git("log", "--format=%s") == before
    file.write_text(file.read_text().partition("[services.billing]")[0])
    save(folder)
    done = fleet("update")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "files on template-update-orders, checked" in rows["orders"]
    assert "conflicts in front/README.md" in rows["front"] or "conflicts in README.md" in rows["front"]
    assert git("branch", "--format=%(refname:short)") == ["main", "template-update-orders"]
    assert git("branch", "--show-current") == ["main"]
    assert git("status", "--porcelain", "--untracked-files=no") == []
    changed = git("diff", "--name-only", "main", "template-update-orders")
    assert changed
    assert all(name.startswith("orders/") for name in changed)
