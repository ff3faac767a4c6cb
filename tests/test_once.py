"""The plugin ``once``: of the tests of services, what has passed and sees nothing of the service is left out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import clean_environment

TESTS = """
import subprocess, sys
import pytest
from flask import Flask

@pytest.fixture
def app():
    return Flask("service")

def test_modules(): Flask("probe")
def test_nothing(): pass
def test_service(): Flask("service")
def test_fixture(app): pass
def test_process(): subprocess.run([sys.executable, "-c", ""], check=True)
def test_wrong(): assert False
@pytest.mark.skip
def test_skipped(): pass
"""


def passed(folder: Path, once: dict[str, str]) -> dict[str, str]:
    command = [sys.executable, "-m", "pytest", "-v", str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(**once), capture_output=True, text=True, check=False
    )
    found = dict(re.findall(r"::(test_\w+) (\w+)", done.stdout))
    assert "test_wrong" in found, done.stdout + done.stderr
    return found


@pytest.mark.slow
def test_what_is_left_out(tmp_path: Path, once: dict[str, str]) -> None:
    # Not the file of the run: names of services' tests stand there.
    once = once | {"PYTEST_ADDOPTS": re.sub(r"--once=\S+", f"--once={tmp_path / 'passed'}", once["PYTEST_ADDOPTS"])}
    service = tmp_path / "service"
    service.mkdir()
    (service / "pytest.ini").write_text("[pytest]\n")
    (service / "test_it.py").write_text(TESTS)
    everything = {
        "test_modules": "PASSED",
        "test_nothing": "PASSED",
        "test_service": "PASSED",
        "test_fixture": "PASSED",
        "test_process": "PASSED",
        "test_wrong": "FAILED",
        "test_skipped": "SKIPPED",
    }
    assert passed(service, once) == everything
    left_out = {"test_modules", "test_nothing"}
    assert passed(service, once) == {name: end for name, end in everything.items() if name not in left_out}
    assert passed(service, once | {"PYTEST_ADDOPTS": once["PYTEST_ADDOPTS"] + " --each=it"}) == everything
    (service / "conftest.py").write_text("# Another fixture\n")
    assert passed(service, once) == everything
