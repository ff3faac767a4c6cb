"""Every pair of options, together and apart: generated, linted, typed, tested, and served in production.

The rows come from cookiecutter.json. Lint and types run in one environment that has everything;
the tests and the server of a row run in its own.
"""

import re
from fnmatch import fnmatch
from itertools import combinations, product
from pathlib import Path
from typing import Any

import covertable
import pytest
from manifest import MANIFEST, OPTIONS, PRESETS, QUESTIONS, allowed, answers_of, chosen
from running import BIN, required_settings, run, serving


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
    """Few sets of answers in which every pair of answers occurs that the manifest allows."""
    found = [dict(row) for row in covertable.make(QUESTIONS, strength=2, constraints=rules())]
    # What several options bring is missing only where all of these are.
    found.append(answers_of("minimal"))
    # An unknown argument of covertable's is ignored without a word.
    assert all(allowed(row) for row in found)
    return found


ROWS = rows()
NAMES = [" ".join(sorted(chosen(row))) for row in ROWS]


def test_every_pair_of_options_occurs_both_ways() -> None:
    """Pairs of answers are not enough: what counts is every option with, and without, every other."""
    everything = [dict(zip(QUESTIONS, values, strict=True)) for values in product(*QUESTIONS.values())]
    possible = {chosen(answers) for answers in everything if allowed(answers)}
    covered = {chosen(row) for row in ROWS}
    options = sorted(name for name, option in OPTIONS.items() if not option.get("always"))
    for first, second in combinations(options, 2):
        for state in product([True, False], repeat=2):
            occurs = [{(first in names, second in names) == state for names in sets} for sets in (possible, covered)]
            assert (True in occurs[0]) == (True in occurs[1]), f"{first}, {second}: {state} is not in any row"


@pytest.fixture(params=ROWS, ids=NAMES)
def service(request: pytest.FixtureRequest, bake: Any) -> Path:
    path: Path = bake(**request.param).path
    return path


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest, bake: Any) -> Path:
    path: Path = bake(preset=request.param).path
    return path


def static_checks(folder: Path) -> None:
    for path in folder.rglob("*"):
        # Other tests may be running the service.
        if path.is_file() and not {".venv", "__pycache__"} & set(path.parts):
            text = path.read_text()
            name = path.relative_to(folder).as_posix()
            own = any(fnmatch(name, pattern) for pattern in MANIFEST["_copy_without_render"])  # It has its own braces.
            assert not re.search(r"cookiecutter\." if own else r"cookiecutter\.|\{%|(?<!\$)\{\{", text), (
                f"{path} was not rendered"
            )
            assert "\n\n\n\n" not in text, f"{path} has a scar"
            assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), f"{path} ends badly"
    run(folder, "ruff", "check", "--no-cache")
    run(folder, "ruff", "format", "--check", "--no-cache")
    run(folder, "mypy", "--cache-dir", str(folder.parents[1] / "mypy_cache"))
    # This one is files alone, without a module to import.
    run(folder, "deptry", "src", "--per-rule-ignores", "DEP002=flask-swagger-ui")


def test_static(service: Path) -> None:
    """Nothing is left unrendered; formatted, linted, strictly typed; requirements used, and none missing."""
    static_checks(service)


def test_static_of_preset(preset: Path) -> None:
    static_checks(preset)


@pytest.mark.slow
@pytest.mark.parametrize("answers", ROWS, ids=NAMES)
def test_own_tests_and_production(answers: dict[str, str], bake: Any, tmp_path: Path) -> None:
    """The service passes its own tests and serves concurrent requests in production."""
    service: Path = bake(**answers).path
    run(service, "make", "test")
    package = next((service / "src").iterdir()).name
    python, settings = [".venv/bin/python", "-m", package], required_settings(service)
    for option in sorted(chosen(answers)):
        for command in OPTIONS[option].get("start", []):
            run(service, *python, *command.split(), **settings)
    with serving(service, tmp_path / "log", [*python, "serve"], **settings) as server:
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
