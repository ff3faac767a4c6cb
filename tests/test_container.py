"""The container image, really built and run; the Compose file, as Compose reads it; the bill of materials.

No engine runs here: buildah builds, and the kernel's namespaces are what containers are made of anyway. Databases are
this machine's. That Compose starts what is in these files is seen in test_fleet.py, with an engine.
"""

import json
import os
import re
import secrets
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from conftest import Service
from containers import (
    ROOT,
    Image,
    buildah_command,
    contained,
    execute,
    first_process,
    kill,
    make_base,
    missing_programs,
)
from databases import missing, private
from engine import missing_parts
from manifest import QUESTIONS
from matrix import some
from running import BIN, clean_environment, free_port, required_names, required_settings, run
from test_pythons import interpreter

#: Services whose images are built: without and with each kind of database, and with both servers.
SERVICES = {
    "minimal": {"container": "yes"},
    "api": {"preset": "api"},
    "sqlite": {"preset": "api", "sql": "sqlite", "server": "gunicorn"},
}
#: What lies around in a developer's folder. No word of it may get into the image.
SECRET = f"planted-{secrets.token_hex(16)}"
PLANTED = (
    *(
        ".env",
        ".env.production",
        ".netrc",
        "id_rsa",
        "server.pem",
        "development.sqlite",
        "notes.txt",
        "deploy/kubeconfig",
    ),
    *("src/*/.env", "src/*/id_ed25519", "src/*/server.pem", "src/*/server.key", "src/*/development.sqlite"),
    *("src/*/blueprints/.netrc", "src/*/blueprints/old.sqlite3"),
)
#: Who runs it, and where data that are to stay belong.
UID, DATA = 10001, "/var/lib/service"


@pytest.mark.slow
@pytest.mark.parametrize("name", some(SERVICES, "api", "sqlite"))
def test_the_image(name: str, bake: Callable[..., Service], tmp_path: Path) -> None:
    """All in one test, so that each image is built but once."""
    if packages := missing_programs():
        missing("what images are built with", f"apt-get install {' '.join(packages)}")
    python = next(version for version in ("3.13", "3.12", "3.11") if interpreter(version))
    make_base(python)
    folder = prepare(bake(**SERVICES[name], project_name=f"Orders {name}", python_version=python).path)
    pip = tmp_path / "pip.conf"
    pip.write_text(f"[global]\ntimeout = 61\n# {SECRET}\n")
    started = time.monotonic()
    build(folder, pip)
    print(f"built in {time.monotonic() - started:.0f} s")
    image = Image.load(f"localhost/orders-{name}:latest")
    with ExitStack() as stack:
        stack.callback(image.remove)
        check_labels(image, folder)
        check_files(image, tmp_path / "pushed")
        variables, volumes = stack.enter_context(data(folder, tmp_path))
        check_start(image, variables, volumes, tmp_path / "log")
        check_other_host_names(image, variables, volumes)
        check_refusals(image)
        if name == "minimal":
            check_index(folder, pip)


def prepare(folder: Path) -> Path:
    """Make a service a repository with a release, and plant secrets beside its code."""
    run(folder, "make", ".venv/ready")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", SECRET],
        ["tag", "-m", "x", "v1.2.3"],
    ):
        run(folder, *git, *command)
    for name in (name.replace("*", next((folder / "src").iterdir()).name) for name in PLANTED):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(SECRET)
    return folder


def build(folder: Path, pip: Path) -> None:
    """Build as the README tells, but for the engine."""
    arguments = f"--isolation chroot --pull-never --format docker --secret id=pip,src={pip}"
    run(folder, "make", "image", f"DOCKER={' '.join(buildah_command())}", f"ARGS={arguments}")


@contextmanager
def data(folder: Path, tmp_path: Path) -> Iterator[tuple[dict[str, str], dict[str, Path]]]:
    """The variables and the volumes with which its containers run."""
    variables = required_settings(folder)
    requirements = (folder / "requirements.txt").read_text()
    if "psycopg" in requirements:
        with private("postgresql") as server:
            yield variables | {"DATABASE_URL": server.url}, {}
    elif "sqlalchemy" in requirements:
        volume = tmp_path / "volume"
        volume.mkdir()
        # As an engine does with a volume that is new: its owner is the one that the folder has in the image.
        execute(*ROOT, "chown", f"{UID}:{UID}", str(volume))
        yield variables | {"DATABASE_URL": f"sqlite:///{DATA}/orders.sqlite"}, {DATA: volume}
    else:
        yield variables, {}


def check_labels(image: Image, folder: Path) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in image.config["Labels"].items()}
    assert labels["title"] == folder.name
    assert labels["version"].startswith("v1.2.3")
    assert labels["revision"] == run(folder, "git", "rev-parse", "HEAD").strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", labels["created"])
    assert image.config["User"] == f"{UID}:{UID}"
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Entrypoint"] == ["python", "-m", folder.name.replace("-", "_")]
    assert image.config["Cmd"] == ["serve"]
    assert list(image.config["ExposedPorts"]) == ["8000/tcp"]
    # Nothing of whoever built it.
    assert {entry.partition("=")[0] for entry in image.config["Env"]} == {"PATH", "PYTHONUNBUFFERED"}


def check_files(image: Image, folder: Path) -> None:
    """Look into every layer: what one adds and the next removes is still there for whoever pulls it."""
    _, *layers = image.push(folder)
    members: dict[str, tarfile.TarInfo] = {}
    for layer in layers:
        with tarfile.open(layer) as archive:
            members |= {member.name: member for member in archive if not member.isdir()}
    for path in folder.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path
    code = {name for name in members if name.startswith("venv/")}
    assert any(name.endswith("/blueprints/main.py") for name in code)
    for name in code:
        if name.endswith(".py"):
            start, _, module = name.rpartition("/")
            assert [other for other in code if other.startswith(f"{start}/__pycache__/{module[:-3]}.cpython-")], name
    # Beside the environment there is bytecode of Python's library, and nothing else.
    others = {name for name in members if not name.startswith("venv/")} - {"etc/hosts", "etc/resolv.conf"}
    assert others
    assert not [
        name for name in others if not re.fullmatch(r"usr/local/lib/python[\d.]+/(.+/)?__pycache__/.+\.pyc", name)
    ]
    tools = re.compile(r"site-packages/(pip|uv|flit_core|pytest|mypy|ruff|setuptools)(/|-)|\.cache/")
    assert not [name for name in code if tools.search(name)]
    # What runs cannot change what it runs.
    assert not [name for name, member in members.items() if member.uid == UID]
    assert not [name for name, member in members.items() if not member.issym() and member.mode & 0o022]
    print(f"{sum(layer.stat().st_size for layer in layers) / 1e6:.0f} MB beside the base image")


def check_start(image: Image, variables: dict[str, str], volumes: dict[str, Path], log: Path) -> None:
    """In the order of the Compose file: the migrations of the new image, and then its web process."""
    if "DATABASE_URL" in variables:
        done = image.run("db", "upgrade", volumes=volumes, **variables)
        assert done.returncode == 0, done.stderr
    health = image.config["Healthcheck"]["Test"][1:]
    with contained(image, log, volumes=volumes, **variables) as server:
        server.await_ready()
        for path in ("/", "/livez", "/readyz"):
            assert server.get_many(path, 50) == [200] * 50
        if "DATABASE_URL" in variables:
            assert server.get("/api/v1/notes")[0] == 200
        pid = first_process(server.process)
        status = Path(f"/proc/{pid}/status").read_text()
        assert re.search(rf"^Uid:(\t{UID}){{4}}$", status, re.MULTILINE)
        assert re.search(rf"^Gid:(\t{UID}){{4}}$", status, re.MULTILINE)
        port = server.url.rpartition(":")[2]
        healthy = image.run(*health, entrypoint=False, PORT=port)
        assert healthy.returncode == 0, healthy.stderr
        stopped = time.monotonic()
        kill(pid)
        assert server.process.wait(30) == 0
        print(f"stopped in {time.monotonic() - stopped:.1f} s")
    assert image.run(*health, entrypoint=False, PORT=port).returncode != 0
    assert server.log_lines()


def check_other_host_names(image: Image, variables: dict[str, str], volumes: dict[str, Path]) -> None:
    """A service that serves under its name alone is healthy still."""
    address = {"PORT": str(free_port())}
    command = image.command(volumes=volumes, TRUSTED_HOSTS="orders.example.com", **variables, **address)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while image.run(*image.config["Healthcheck"]["Test"][1:], entrypoint=False, **address).returncode != 0:
                assert time.monotonic() < deadline
            with pytest.raises(HTTPError, match="400"):
                urlopen(f"http://127.0.0.1:{address['PORT']}/")
            kill(first_process(process), "INT")
            assert process.wait(30) == 0
        finally:
            process.kill()


def check_refusals(image: Image) -> None:
    done = image.run("python", "-c", "open('/venv/new', 'w')", entrypoint=False)
    assert "Read-only file system" in done.stderr
    done = image.run()
    assert done.returncode == 1
    assert "SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def check_index(folder: Path, pip: Path) -> None:
    """An index of packages is a secret of the build, and is asked."""
    pip.write_text("[global]\nindex-url = http://someone:hidden@127.0.0.1:9/simple\nretries = 0\n")
    with pytest.raises(AssertionError, match=r"127\.0\.0\.1"):
        build(folder, pip)


@pytest.mark.parametrize("name", SERVICES)
def test_hadolint_finds_nothing(name: str, bake: Callable[..., Service]) -> None:
    service = bake(**SERVICES[name]).path
    assert run(service, "hadolint", "--failure-threshold", "style", "Dockerfile") == ""


def test_hadolint_finds_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp && pip install flask\n")
    with pytest.raises(AssertionError, match="DL3006"):
        run(tmp_path, "hadolint", "Dockerfile")


# --- Compose ---

ENGINES = QUESTIONS["sql"]


def compose(service: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "docker-compose", *arguments],
        cwd=service,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=ENGINES)
def composed(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path: Path) -> tuple[str, Path]:
    """A service with credentials of two environments, and an engine that has no volumes yet."""
    path = bake(preset="api", sql=request.param, project_name="Composed").path
    for environment in ("production", "staging"):
        (path / f".env.{environment}").unlink(missing_ok=True)
        run(path, "make", f".env.{environment}", "DOCKER=true")
    return request.param, path


def test_compose_reads_it(composed: tuple[str, Path]) -> None:
    """Every container is locked down; the web process waits for migrations, and these for the database."""
    engine, service = composed
    done = compose(service, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    model = json.loads(done.stdout)
    services = model["services"]
    servers = services.keys() & {"postgresql", "mysql"}
    assert servers == {engine} & {"postgresql", "mysql"}
    assert services.keys() - servers == ({"web"} if engine == "none" else {"web", "release"})
    for name in services.keys() - servers:
        container = services[name]
        assert container["read_only"]
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]
        assert container["tmpfs"] == ["/tmp"]  # noqa: S108
        assert container["init"]
        assert Path(container["build"]["context"]) == service
        written = dict(line.split("=") for line in (service / ".env.production").read_text().splitlines())
        assert container["environment"].items() >= written.items()
        needed = {name: entry["condition"] for name, entry in container.get("depends_on", {}).items()}
        expected = dict.fromkeys(servers, "service_healthy")
        if name == "web" and engine != "none":
            expected["release"] = "service_completed_successfully"
        assert needed == expected
    for name in servers:
        assert services[name]["healthcheck"]["test"]
        assert written["DATABASE_PASSWORD"] in services[name]["environment"].values()
        assert f":{written['DATABASE_PASSWORD']}@{name}/" in services["web"]["environment"]["DATABASE_URL"]
    if engine != "none":
        assert services["release"]["command"] == ["python -m composed db upgrade\n"]
        assert services["release"]["healthcheck"]["disable"]
        assert "ports" not in services["release"]
        assert model["volumes"]
    missing_settings = {name for name in required_names(service) if name not in services["web"]["environment"]}
    assert not missing_settings


def test_environments_share_nothing(composed: tuple[str, Path]) -> None:
    _, service = composed
    names = ("production", "staging")
    models = [json.loads(compose(service, "config", "--format", "json", ENVIRONMENT=name).stdout) for name in names]
    assert [model["name"] for model in models] == ["composed-production", "composed-staging"]
    volumes = [{volume["name"] for volume in model.get("volumes", {}).values()} for model in models]
    assert not volumes[0] & volumes[1]
    secret = [model["services"]["web"]["environment"]["SECRET_KEY"] for model in models]
    assert secret[0] != secret[1]
    assert compose(service, "config", ENVIRONMENT="unknown").returncode != 0


def test_credentials_are_written_once(composed: tuple[str, Path], tmp_path: Path) -> None:
    """And not beside a volume that was made with others, which would keep the new ones out."""
    _, service = composed
    path = service / ".env.production"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert {line.partition("=")[0] for line in before.splitlines()} >= {"SECRET_KEY"}
    run(service, "make", ".env.production", "DOCKER=false")
    assert path.read_text() == before
    path.unlink()
    engine = tmp_path / "engine"
    engine.write_text('#!/bin/sh\ncase "$*" in *project=composed-production) echo composed-production_data;; esac\n')
    engine.chmod(0o755)
    for status, environment in ((2, "production"), (0, "other")):
        done = subprocess.run(
            ["make", f".env.{environment}", f"DOCKER={engine}"],
            cwd=service,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status
        assert (service / f".env.{environment}").exists() == (status == 0)
    assert "composed-production_data" not in done.stderr
    (service / ".env.other").unlink()


# --- the bill of materials ---

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open("sbom.json").read()
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text))
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"version"', '"wersion"')) is None)
"""


@pytest.mark.slow
def test_the_bill_of_materials(bake: Callable[..., Service]) -> None:
    """It is valid CycloneDX, and lists what is installed to run, with versions and hashes."""
    service = bake(preset="api", project_name="Billed").path
    run(service, "make", "sbom")
    bill = json.loads((service / "sbom.json").read_text())
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (service / "requirements.txt").read_text(), re.MULTILINE)
    assert {(part["name"], part["version"]) for part in bill["components"]} == set(pinned)
    assert all(part["externalReferences"][0]["hashes"] for part in bill["components"])
    assert bill["metadata"]["component"]["name"] == "billed"
    validated = run(service, "uv", "run", "--no-project", "--with", "cyclonedx-bom>=7.2,<8", "python", "-c", VALIDATE)
    assert "None\nFalse\n" in validated


def test_ci_installs_what_images_are_built_with() -> None:
    """So that a skip for want of a tool is one on other machines only."""
    if os.environ.get("CI"):
        assert not [*missing_programs(), *missing_parts()]
