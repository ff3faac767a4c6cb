"""Services run on every Python that there is here; formatting and types depend on none, and are checked elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from databases import missing
from matrix import some
from running import run

# 3.11 is what the other tests run on.
VERSIONS = ["3.12", "3.13"]
#: Every module is imported, and the service's own views answer. ``make prove`` runs all tests, and measures coverage.
SHORT = ["test", "ARGS=tests/test_app.py tests/test_imports.py tests/blueprints"]
FIRST = [("3.13", "full", "short"), ("3.12", "minimal", "test")]
RUNS = some([*FIRST, ("3.13", "full", "check"), ("3.12", "api", "test"), ("3.12", "full", "test")], *FIRST)


def interpreter(version: str) -> str | None:
    """The path of a Python of this version: one on PATH that really starts, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in (shutil.which(f"python{version}"), *sorted(pyenv.glob(f"versions/{version}.*/bin/python"))):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


@pytest.mark.slow
@pytest.mark.parametrize(("version", "preset", "command"), RUNS)
def test_own_tests(version: str, preset: str, command: str, bake: Any) -> None:
    python = interpreter(version)
    if python is None:
        missing(f"Python {version}", f"pyenv install {version}")
    service: Path = bake(preset=preset, project_name=f"On Python {version}").path
    run(service, "make", *(SHORT if command == "short" else [command]), f"PYTHON={python}")
    assert f"Python {version}." in run(service, ".venv/bin/python", "--version")
