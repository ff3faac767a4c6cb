"""Several services that one file describes: made, changed, started and updated together."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from running import free_port
from updates import ENVIRONMENT, commit, copy_template, public_answers, run

FLEET = """
first_port = PORT

[answers]
author_name = "Shop team"
license = "MIT"

[services.front]
calls = ["orders", "bank-account"]

[services.orders]
answers = { api = true, example = true }

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
    folder, port = template.parent, free_port()
    file = folder / "fleet.toml"
    file.write_text(FLEET.replace("PORT", str(port)))

    told = fleet("sync").stdout
    assert [re.split("  +", line) for line in told.splitlines()[1:]] == [
        ["orders", "made"],
        ["bank-account", "made, calls orders"],
        ["front", "made, calls orders, bank-account"],
    ], "those that are called come first"
    assert public_answers(folder / "orders")["license"] == "MIT"
    use_a_client(folder)
    before = heads(folder)
    assert fleet("sync").stdout.count("as it was") == 3
    assert heads(folder) == before

    in_one_place(template, port)
    what_breaks_is_named(folder, fleet)

    # Another answer for all, and one that a service has of its own.
    file.write_text(file.read_text().replace('"MIT"', '"BSD-3-Clause"').replace("[services.front]\n", FRONT))
    status = [line.split("  ") for line in fleet("status").stdout.splitlines()]
    assert all("license" in " ".join(line) for line in status[1:]), status
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
    (folder / "front/tests/test_mine.py").write_text("def test_mine() -> None:\n    assert 1 + 1 == 3\n")
    save(folder / "front")
    done = fleet("update", check=False)
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 1
    assert "2 files on template-update, checked" in rows["orders"]
    assert "FAILED" in rows["bank-account"]
    assert "FAILED, see front.log" in rows["front"]
    assert "1 + 1 == 3" in (folder / "front.log").read_text()
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


def what_breaks_is_named(folder: Path, fleet: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The line that calls."""
    contract = folder / "orders/openapi.json"
    kept = contract.read_text()
    changed = json.loads(kept)
    del changed["components"]["schemas"]["Conversion"]["properties"]["fahrenheit"]
    contract.write_text(json.dumps(changed))
    done = fleet("status", check=False)
    assert done.returncode == 1
    views = (folder / "front/src/front/blueprints/main.py").read_text().splitlines()
    (line,) = (number for number, text in enumerate(views, 1) if "orders().convert" in text)
    what = "orders, POST /api/v1/conversions, response 200, fahrenheit: the property is removed"
    assert f"front, src/front/blueprints/main.py:{line}: {what}" in done.stdout.splitlines()
    assert len(done.stdout.splitlines()) == 5
    contract.write_text(kept)
    assert fleet("status").stdout.count("\n") == 4


FRONT = "[services.front]\nanswers = { metrics = true }\n"


def in_one_place(template: Path, port: int) -> None:
    """All services answer at one address, and end with the command that has started them."""
    command = [sys.executable, str(template / "fleet.py"), "run"]
    log = template.parent / "run.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=template.parent, env=ENVIRONMENT, stdout=output, stderr=output)
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
        status, body = ask(f"{address}/front/tour")
        assert (status, json.loads(body)) == (200, {"fahrenheit": 68})
        assert ask(f"{address}/nobody/")[0] == 404
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0, log.read_text()
    for offset in range(4):
        with pytest.raises(URLError):
            urlopen(f"http://127.0.0.1:{port + offset}/livez", timeout=5)


def ask(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    try:
        with urlopen(Request(url, body, headers or {}), timeout=10) as response:
            return response.status, response.read()
    except URLError as error:
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
        ("[services.a-b]\n[services.a_b]\n", "a-b and a_b have the same package, a_b."),
        ("[services.a]\nneeds = 1\n", "services.a.needs: there are answers, calls and port."),
        (
            "colour = 1\n[services.a]\n",
            "colour: there is no such setting; there are answers, first_port, services, template.",
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
