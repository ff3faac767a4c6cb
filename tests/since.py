"""A plugin of pytest: ``--since=main`` runs what the files that changed since then touch.

The fast tests run always. Of the slow ones run those of files of tests that changed, and those of options that changed:
with a row or preset that chooses them, or in a file that names them. Any other change, of what services share or of
what tests share, runs everything.
"""

import json
import re
import subprocess
from typing import Any

import pytest
from manifest import ALWAYS, MANIFEST, OPTIONS, PRESETS, QUESTIONS, TEMPLATE, TREE, answers_of, chosen, owners

#: What no slow test looks at.
ASIDE = re.compile(r"docs/|bench/|[^/]+\.md$|LICENSE$")
TESTS = re.compile(r"tests/(.*/)?test_\w+\.py$")


def git(*command: str) -> str:
    done = subprocess.run(["git", *command], cwd=TEMPLATE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise pytest.UsageError(done.stderr.strip())
    return done.stdout


def entries(manifest: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """What a manifest says, by where it says it; the last name of each place is an option, a question, or neither."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in manifest.items():
        if name in ("_options", "_answers", "__prompts__"):
            found |= {(name, key): part for key, part in value.items()}
        elif name == "_presets":
            found |= {(name, preset, key): part for preset, answers in value.items() for key, part in answers.items()}
        else:
            found[(name,)] = value
    return found


def concerned(paths: list[str], old: dict[str, Any], new: dict[str, Any]) -> set[frozenset[str]] | None:
    """The options that each change concerns, where a service has to have all of them; None if any service may change."""
    found = set()
    for path in paths:
        if path == "cookiecutter.json":
            before, after = entries(old), entries(new)
            for name in {place[-1] for place in before | after if before.get(place) != after.get(place)}:
                options = {option for option in OPTIONS if name in (option, OPTIONS[option].get("question"))}
                found |= {frozenset([option]) - ALWAYS for option in options} or {frozenset()}
        elif path.startswith(f"{TREE.name}/"):
            found.add(frozenset(owners(path.removeprefix(f"{TREE.name}/")) - ALWAYS))
        elif not (ASIDE.match(path) or TESTS.match(path)):
            found.add(frozenset())
    return None if frozenset() in found else found


def configurations(params: dict[str, Any]) -> list[frozenset[str]]:
    """The options of the services that a test is about, by its parameters: presets, and answers."""
    given = [{"preset": value} if value in (*PRESETS,) else value for value in params.values()]
    answers = [value for value in given if isinstance(value, dict) and value and value.keys() <= {*QUESTIONS, "preset"}]
    return [chosen(answers_of(value.get("preset", "minimal")) | value) for value in answers]


def touched(item: pytest.Item, paths: list[str], changes: set[frozenset[str]]) -> bool:
    if not item.get_closest_marker("slow") or item.path.relative_to(TEMPLATE).as_posix() in paths:
        return True
    callspec = getattr(item, "callspec", None)  # What is not parametrized has none.
    if services := configurations(callspec.params if callspec else {}):
        return any(change <= service for change in changes for service in services)
    text = item.path.read_text()
    return any(all(re.search(rf"\b{name}\b", text) for name in change) for change in changes)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--since", metavar="REF", help="run what the changes since then touch: branch, tag or commit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (since := config.getoption("since")):
        return
    base = git("merge-base", since, "HEAD").strip()
    paths = git("diff", "--name-only", "-z", base) + git("ls-files", "-z", "--others", "--exclude-standard")
    listed = paths.split("\0")[:-1]
    changes = concerned(listed, json.loads(git("show", f"{base}:cookiecutter.json")), MANIFEST)
    if changes is not None:
        kept = [item for item in items if touched(item, listed, changes)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
