"""What a request costs beside Flask alone, in bytecodes: a count, and so no matter of the machine's speed.

A database is left out: its sessions are ended after each request, which is not for the layer to save.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from manifest import FULL_WITHOUT_SQL
from matrix import few

OPCODES = Path(__file__).with_name("opcodes.py")


#: How many times what Flask alone costs a request may cost: what is always there; in the last,
#: counting requests and asking for the token of a form besides.
MOST = [({"preset": "minimal"}, 1.25), ({"server": "gunicorn"}, 1.25), (FULL_WITHOUT_SQL, 1.38)]


@cache
def count(service: Path) -> tuple[int, int]:
    """The bytecodes of a request: of Flask alone, and of the service."""
    environment = os.environ | {"PYTHONPATH": str(service / "src")}
    done = subprocess.run(
        [sys.executable, OPCODES, "flask_service"], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    flask, whole = map(int, done.stdout.split())
    return flask, whole


@pytest.mark.parametrize(("answers", "most"), MOST, ids=str)
def test_what_a_request_costs_beside_flask_alone(answers: dict[str, str], most: float, bake: Any) -> None:
    flask, whole = count(bake(**answers).path)
    print(f"{whole / flask:.3f} times the bytecodes of Flask alone")
    assert flask < whole <= most * flask


def test_a_request_that_writes_no_text_costs_what_it_did(bake: Any) -> None:
    assert count(bake(pages="yes", i18n="yes").path) == count(bake(pages="yes").path)


def test_a_request_that_sends_no_job_costs_what_it_did(bake: Any) -> None:
    assert count(bake(jobs="celery_redis").path) == count(bake().path)


@pytest.mark.slow
def test_a_request_of_nobody_costs_what_it_did_without_accounts(bake: Any) -> None:
    answers = {"pages": "yes", "email": "yes", "sql": "sqlite"}
    assert count(bake(**answers, accounts="yes").path) == count(bake(**answers).path)


def test_origins_that_nobody_named_cost_nothing(bake: Any) -> None:
    assert count(bake(api="yes", cors="yes").path) == count(bake(api="yes").path)


@pytest.mark.parametrize("option", few(["tokens", "oidc"], 1))
def test_operations_that_ask_for_no_token_cost_what_they_did(option: str, bake: Any) -> None:
    assert count(bake(api="yes", sql="sqlite", **{option: "yes"}).path) == count(bake(api="yes", sql="sqlite").path)


@pytest.mark.parametrize("option", ["cache", "rate_limit"])
def test_a_request_of_what_is_neither_cached_nor_limited_costs_what_it_did(option: str, bake: Any) -> None:
    assert count(bake(**{option: "yes"}).path) == count(bake().path)
