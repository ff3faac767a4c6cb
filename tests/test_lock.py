"""Exact versions: written by the first ``make``, kept while they fit, and checked where nothing may be written."""

import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Service
from databases import missing
from running import clean_environment, run
from test_pythons import VERSIONS, interpreter

LOCKS = ("requirements.txt", "requirements-dev.txt")


def pins(service: Path, name: str) -> dict[str, str]:
    """The versions that a file names. One that differs between platforms or Pythons has several."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (service / name).read_text(), re.MULTILINE))


def require(service: Path, old: str, new: str) -> None:
    path = service / "pyproject.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def ready(service: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", ".venv/ready"],
        cwd=service,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def service(bake: Callable[..., Service]) -> Path:
    """A service with its exact versions, as they were written first."""
    path = bake(project_name="Locked").path
    run(path, "git", "init", "--quiet")
    if not (path / LOCKS[0]).exists():
        run(path, "make", "lock")
        run(path, "git", "add", ".")
        run(path, "git", *"-c user.name=x -c user.email=x@example.com commit --quiet -m first".split())
    run(path, "git", "checkout", "--quiet", ".")
    # Nothing is newer than what is made of it, and what a test changes is.
    for age, name in enumerate([*LOCKS, "pyproject.toml"], 1):
        os.utime(path / name, (time.time() - age,) * 2)
    return path


@pytest.mark.slow
def test_all_is_pinned_and_hashed(service: Path) -> None:
    run_time, all_of_it = (pins(service, name) for name in LOCKS)
    assert {"flask", "flit-core", "granian"} <= run_time.keys()
    assert {"pytest", "mypy"} <= all_of_it.keys() - run_time.keys()
    assert run_time.items() <= all_of_it.items()
    for name in LOCKS:
        text = (service / name).read_text()
        for pin in re.findall(r"^[\w.-]+==.*?(?=^[\w.-]+==|\Z)", text, re.DOTALL | re.MULTILINE):
            assert "--hash=sha256:" in pin
        # No index, no folder of this machine.
        assert not re.search(r"://|--\w*index|(^|\s)/\w", text)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_the_same_with_another_python(service: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        missing(f"Python {version}", f"pyenv install {version}")
    run(service, "make", "upgrade", f"PYTHON={python}")
    assert run(service, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_what_fits_stays_and_an_upgrade_takes_the_newest(service: Path) -> None:
    newest = pins(service, LOCKS[0])["click"]
    require(service, "click>=8.2,<9", "click>=8.2,<8.3")
    assert ready(service).returncode == 0
    older = pins(service, LOCKS[0])["click"]
    assert older.startswith("8.2.") and older != newest  # noqa: PT018
    require(service, "click>=8.2,<8.3", "click>=8.2,<9")
    assert ready(service).returncode == 0
    assert {pins(service, name)["click"] for name in LOCKS} == {older}
    run(service, "make", "upgrade")
    assert {pins(service, name)["click"] for name in LOCKS} == {newest}
    assert run(service, "git", "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    { include-group", '    "iniconfig>=99",\n    { include-group'),
        ("dependencies = [", 'dependencies = [\n    "sqids",'),
        ("click>=8.2,<9", "click>=8.2,<8.3"),
    ],
)
def test_ci_fails_when_they_do_not_fit(service: Path, old: str, new: str) -> None:
    """And writes nothing, whatever is older; on a developer's machine they are written anew."""
    require(service, old, new)
    before = [(service / name).read_bytes() for name in LOCKS]
    done = ready(service, CI="true")
    assert done.returncode != 0
    assert "does not fit pyproject.toml: make lock" in done.stderr
    assert [(service / name).read_bytes() for name in LOCKS] == before


@pytest.mark.slow
def test_one_that_was_forgotten_is_found(service: Path) -> None:
    require(service, "dependencies = [", 'dependencies = [\n    "sqids",')
    run(service, "make", "lock")
    run(service, "git", "checkout", "--quiet", LOCKS[0])
    done = ready(service, CI="true")
    assert done.returncode != 0
    assert "sqids" in done.stderr


@pytest.mark.slow
def test_a_wrong_file_is_not_installed(service: Path) -> None:
    """What the index hands out has to be what it was when the versions were written."""
    path = service / LOCKS[0]
    path.write_text(
        re.sub(
            r"(click==[^@]*?)(?=\n\w)", lambda pin: re.sub(":[0-9a-f]{64}", ":" + "0" * 64, pin[1]), path.read_text()
        )
    )
    shutil.rmtree(service / ".venv", ignore_errors=True)
    done = ready(service, CI="true", UV_NO_CACHE="true")
    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"])
def test_an_index_of_ones_own(service: Path, variable: str) -> None:
    """It is asked, also where only pip knows it; its password is not written into any file."""
    # uv remembers for a while what an index answered; a name of its own is new to it.
    index = f"127.0.0.1:9/index-{uuid.uuid4()}/simple"
    require(service, "click>=8.2,<9", "click>=8.2,<8.3")
    done = ready(service, **{variable: f"http://someone:pass$word@{index}"}, UV_NO_CACHE="true", UV_HTTP_RETRIES="0")
    assert done.returncode != 0
    assert index in done.stderr
    assert not [path for path in service.glob("*.t*") if re.search(r"127\.0\.0\.1|someone:", path.read_text())]
