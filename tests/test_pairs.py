"""Every pair of options, together and apart: generated, linted, typed, tested, and served in production.

The rows come from cookiecutter.json. Lint and types run in one environment that has everything;
the server of a row runs in its own, and so do its tests: those that no other row has proven.
"""

import re
import sys
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from conftest import Service
from covering import PAIRS, ROWS, covered
from manifest import ALWAYS, OPTIONS, PRESETS, QUESTIONS, allowed, chosen, is_copied, start_commands
from matrix import few
from running import BIN, required_settings, run, serving
from servers import STORES


def related(option: str) -> set[str]:
    """The questions whose answers decide whether an option can be there: all questions have too many answers together."""
    names, questions, before = {option}, set[str](), -1
    while before < len(names):
        before = len(names)
        names |= {other for name in names for key in ("needs", "excludes") for other in OPTIONS[name].get(key, ())}
        questions = {q for q in QUESTIONS for a in QUESTIONS[q] if names & chosen({q: a}) - ALWAYS}
        names |= {name for q in questions for a in QUESTIONS[q] for name in chosen({q: a}) - ALWAYS}
    return questions


def possible(first: str, second: str, there: tuple[bool, bool]) -> bool:
    """Whether two options can be there or away like that, by trying all answers that decide it."""
    asked = sorted(related(first) | related(second))
    rows = (dict(zip(asked, values, strict=True)) for values in product(*(QUESTIONS[name] for name in asked)))
    return any((first in chosen(row), second in chosen(row)) == there and allowed(row) for row in rows)


MIXES = [mix for size in range(len(STORES) + 2) for mix in combinations(sorted([*STORES, "sqlalchemy"]), size)]
NAMES = [" ".join(sorted(chosen(row))) for row in ROWS]


def test_every_pair_of_options_occurs_both_ways() -> None:
    """Pairs of answers are not enough: what counts is every option with, and without, every other."""
    states = {(*pair, *there) for pair in PAIRS for there in product([True, False], repeat=2)}
    missing = states - covered(ROWS)
    assert not [state for state in missing if possible(*state[:2], state[2:])], "give covering.py more SEEDS"
    # What others bring is among them, which has no question: it is there and away beside every option.
    assert {name for state in covered(ROWS) for name in state[:2]} == OPTIONS.keys() - ALWAYS


@pytest.fixture(params=ROWS, ids=NAMES)
def service(request: pytest.FixtureRequest, bake: Callable[..., Service]) -> Service:
    return bake(**request.param)


@pytest.fixture(params=few(PRESETS, 1))
def preset(request: pytest.FixtureRequest, bake: Callable[..., Service]) -> Service:
    return bake(preset=request.param)


def static_checks(service: Service) -> None:
    # As it was generated: another test may have worked in the folder.
    for path, text in service.texts.items():
        # A template that an owner may write stands in a README.
        shown = re.sub("^```(?:html|jinja)$.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        own = is_copied(path.replace(f"src/{service.answers['package_name']}/", "src/{{cookiecutter.package_name}}/"))
        assert not re.search(r"cookiecutter\." if own else r"cookiecutter\.|\{%|(?<!\$)\{\{", shown), (
            f"{path} was not rendered"
        )
        assert "\n\n\n\n" not in text, f"{path} has a scar"
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), f"{path} ends badly"
    folder = service.path
    run(folder, "ruff", "check", "--no-cache")
    run(folder, "ruff", "format", "--check", "--no-cache")
    run(folder, "mypy")
    # This one is files alone, without a module to import; those are imported in development alone.
    ignored = "DEP002=flask-swagger-ui,DEP004=fakeredis|moto|nx_27017"
    run(folder, "deptry", "src", "--per-rule-ignores", ignored)


@pytest.mark.slow
def test_static(service: Service) -> None:
    """Nothing is left unrendered; formatted, linted, strictly typed; requirements used, and none missing."""
    static_checks(service)


def test_static_of_preset(preset: Service) -> None:
    static_checks(preset)


@pytest.mark.prove
@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: " ".join(mix) or "none")
def test_every_mix_of_stores(mix: tuple[str, ...], bake: Callable[..., Service], tmp_path: Path) -> None:
    """Also those that no pair needs. Each starts, and asks its stores and no others whether they are ready."""
    answers = {name: "yes" if name in mix else "no" for name in STORES} | {
        "sql": "sqlite" if "sqlalchemy" in mix else "none"
    }
    service = bake(api="yes", metrics="yes", tracing="yes", example="yes", **answers)
    static_checks(service)
    code = """if True:
        from flask_service import create_app

        client = create_app().test_client()
        print(client.get("/").status_code, *client.get("/readyz").json["checks"])
    """
    # Where the embedded servers keep what they are told.
    told = run(tmp_path, sys.executable, "-c", code, PYTHONPATH=str(service.path / "src"), APP_ENV="development")
    assert {"200", *mix} in [set(line.split()) for line in told.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.prove)], ids=["once", "whole"])
@pytest.mark.parametrize("answers", ROWS, ids=NAMES)
def test_own_tests_and_production(
    answers: dict[str, str], whole: bool, bake: Any, tmp_path: Path, once: dict[str, str]
) -> None:
    """The service passes its own tests and serves concurrent requests in production.

    Of its tests, those that see nothing of the other options are left out if they have passed in another row.
    """
    service: Path = bake(**answers).path
    run(service, "make", "test", **{} if whole else once)
    package = next((service / "src").iterdir()).name
    python, settings = [".venv/bin/python", "-m", package], required_settings(service)
    for command in start_commands(chosen(answers)):
        run(service, *python, *command.split(), **settings)
    with serving(service, tmp_path / "log", [*python, "serve"], **settings) as server:
        server.await_ready()
        for path in ("/", "/livez", "/readyz"):
            assert server.get_many(path, 100) == [200] * 100
        server.await_requests(300)
    assert server.process.returncode == 0
    requests = [line for line in server.log_lines() if line["event"] == "request"]
    assert all(line["request_id"] for line in requests)


def test_the_tools_are_those_of_this_environment() -> None:
    """Otherwise the checks above would run whatever is first on somebody's PATH."""
    for tool in ("ruff", "mypy", "deptry"):
        assert (BIN / tool).exists()
