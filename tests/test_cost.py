"""What a request costs beside Flask alone, in bytecodes: a count, and so no matter of the machine's speed.

A database is left out: its sessions are ended after each request, which is not for the layer to save.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OPCODES = Path(__file__).with_name("opcodes.py")


@pytest.mark.parametrize(
    "answers", [{"preset": "minimal"}, {"server": "gunicorn"}, {"preset": "full", "sql": "none"}], ids=str
)
def test_a_request_costs_a_quarter_more_than_flask_alone(answers: dict[str, str], bake: Any) -> None:
    service = bake(**answers).path
    environment = os.environ | {"PYTHONPATH": str(service / "src")}
    done = subprocess.run(
        [sys.executable, OPCODES, "flask_service"], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    flask, whole = map(int, done.stdout.split())
    print(f"{whole / flask:.3f} times the bytecodes of Flask alone")
    assert flask < whole <= 1.25 * flask
