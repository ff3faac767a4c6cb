"""Every pair of options, together and apart: generated, linted, typed, tested, and served in production.

The rows come from cookiecutter.json. Lint and types run in one environment that has everything;
the tests and the server of a row run in its own.
"""

import re
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from itertools import combinations, product
from pathlib import Path
from typing import Any

import covertable
import pytest
from conftest import Service
from manifest import MANIFEST, OPTIONS, PRESETS, QUESTIONS, allowed, answers_of, chosen, start_commands
from running import BIN, required_settings, run, serving
from servers import STORES


def picks(answers: dict[str, str], option: str) -> bool:
    """Whether these answers, of which some may be missing, choose an option that brings this one."""
    return any(
        answers.get(other.get("question", name)) in ("yes", name)
        for name, other in OPTIONS.items()
        if option in (name, *other.get("implies", []))
    )


def rules() -> list[dict[str, Any]]:
    """What options need and exclude, in the words of covertable."""
    both = [("needs", True), ("excludes", False)]
    return [
        {
            "operator": "fn",
            "requires": [
                question
                for question in QUESTIONS
                if any(picks({question: a}, o) for a in QUESTIONS[question] for o in (name, other))
            ],
            "evaluate": lambda row, name=name, other=other, there=there: (
                picks(row, other) == there or not picks(row, name)
            ),
        }
        for name, option in OPTIONS.items()
        for key, there in both
        for other in option.get(key, {})
    ]


def rows() -> list[dict[str, str]]:
    """Few sets of answers in which every pair of options occurs, together and apart, that the manifest allows."""
    made = covertable.make(QUESTIONS, strength=2, constraints=rules())
    # An unknown argument of covertable's is ignored without a word.
    assert all(allowed(row) for row in made)
    found = [{question: row[question] for question in QUESTIONS} for row in made]
    # What others bring has no question: it has to be there and away beside every option all the same. As factors of
    # covertable's, five of them would take minutes.
    wanted = [
        (first, second, state, answers)
        for first, second in PAIRS
        if not {first, second} <= ASKED
        for state, answers in states(first, second).items()
    ]
    for first, second, state, answers in wanted:
        if not any(state == (first in names, second in names) for names in map(chosen, found)):
            found.append(answers)
    # Those that were made last cover much of what the others do.
    for row in list(found):
        others = [other for other in found if other is not row]
        if covered(others) == covered(found):
            found = others
    return found


def covered(rows: list[dict[str, str]]) -> set[tuple[str, str, bool, bool]]:
    """Which options these rows have and lack together."""
    return {(first, second, first in names, second in names) for names in map(chosen, rows) for first, second in PAIRS}


def related(option: str) -> set[str]:
    """The questions whose answers decide whether an option can be there: all questions have too many answers together."""
    names, questions, before = {option}, set[str](), -1
    while before < len(names):
        before = len(names)
        names |= {other for name in names for key in ("needs", "excludes") for other in OPTIONS[name].get(key, ())}
        questions = {q for q in QUESTIONS for a in QUESTIONS[q] if any(picks({q: a}, name) for name in names)}
        names |= {name for name in OPTIONS for q in questions for a in QUESTIONS[q] if picks({q: a}, name)}
    return questions


RELATED = {name: related(name) for name in OPTIONS}
#: Options that are asked for, and not brought by others.
ASKED = {name for name, option in OPTIONS.items() if option.get("question", name) in QUESTIONS}
PAIRS = list(combinations(sorted(name for name, option in OPTIONS.items() if not option.get("always")), 2))


def states(first: str, second: str) -> dict[tuple[bool, bool], dict[str, str]]:
    """Whether two options can be there or away, and answers for each."""
    asked, found = sorted(RELATED[first] | RELATED[second]), {}
    for preset, *values in product(["full", "minimal"], *(QUESTIONS[name] for name in asked)):
        answers = answers_of(preset) | dict(zip(asked, values, strict=True))
        names = chosen(answers)
        if (state := (first in names, second in names)) not in found and allowed(answers):
            found[state] = answers
            if len(found) == 4:
                break
    return found


ROWS = rows()
MIXES = [mix for size in range(len(STORES) + 2) for mix in combinations(sorted([*STORES, "sqlalchemy"]), size)]
NAMES = [" ".join(sorted(chosen(row))) for row in ROWS]


def test_every_pair_of_options_occurs_both_ways() -> None:
    """Pairs of answers are not enough: what counts is every option with, and without, every other."""
    possible = {(*pair, *state) for pair in PAIRS for state in states(*pair)}
    assert covered(ROWS) == possible


@pytest.fixture(params=ROWS, ids=NAMES)
def service(request: pytest.FixtureRequest, bake: Callable[..., Service]) -> Service:
    return bake(**request.param)


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest, bake: Callable[..., Service]) -> Service:
    return bake(preset=request.param)


def static_checks(service: Service) -> None:
    # As it was generated: another test may have worked in the folder.
    for path, text in service.texts.items():
        shown = re.sub(
            "^```(?:html|jinja)$.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE
        )  # a template, to be written
        own = any(fnmatch(path, pattern) for pattern in MANIFEST["_copy_without_render"])  # It has its own braces.
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
@pytest.mark.parametrize("answers", ROWS, ids=NAMES)
def test_own_tests_and_production(answers: dict[str, str], bake: Any, tmp_path: Path) -> None:
    """The service passes its own tests and serves concurrent requests in production."""
    service: Path = bake(**answers).path
    run(service, "make", "test")
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
