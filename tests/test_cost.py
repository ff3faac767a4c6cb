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


#: How many times what Flask alone costs a request may cost: what is always there, and counting requests besides.
MOST = [({"preset": "minimal"}, 1.25), ({"server": "gunicorn"}, 1.25), ({"preset": "full", "sql": "none"}, 1.35)]


@pytest.mark.parametrize(("answers", "most"), MOST, ids=str)
def test_what_a_request_costs_beside_flask_alone(answers: dict[str, str], most: float, bake: Any) -> None:
    service = bake(**answers).path
    environment = os.environ | {"PYTHONPATH": str(service / "src")}
    done = subprocess.run(
        [sys.executable, OPCODES, "flask_service"], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    flask, whole = map(int, done.stdout.split())
    print(f"{whole / flask:.3f} times the bytecodes of Flask alone")
    assert flask < whole <= most * flask
