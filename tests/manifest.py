"""cookiecutter.json, read: the tests take their matrix from it and never retype it.

As a program, it prints what all options together install.
"""

import json
import re
from collections.abc import Set as AbstractSet
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

TEMPLATE = Path(__file__).parents[1]
TREE = TEMPLATE / "{{cookiecutter.project_slug}}"
MANIFEST: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text())
OPTIONS: dict[str, dict[str, Any]] = MANIFEST["_options"]
PRESETS: dict[str, dict[str, str]] = MANIFEST["_presets"]
#: The preset full without a relational database, and without what needs one.
FULL_WITHOUT_SQL = {"preset": "full", "sql": "none"} | {
    name: "no" for name, option in OPTIONS.items() if "sqlalchemy" in option.get("needs", {})
}

#: The closed questions that choose options, with their answers.
QUESTIONS: dict[str, list[str]] = {
    question: MANIFEST["_answers"].get(question, ["no", "yes"])
    for question in dict.fromkeys(
        option.get("question", name) for name, option in OPTIONS.items() if not option.get("always")
    )
    if question in MANIFEST
}
#: The options that every service has: what is theirs is never removed.
ALWAYS = {name for name, option in OPTIONS.items() if option.get("always")}
#: The relational databases.
ENGINES = [answer for answer in QUESTIONS["sql"] if answer != "none"]


def default(question: str, preset: str) -> str:
    """What a preset answers; what it does not say is the default of the question itself."""
    fallback = re.search(r"get\('\w+', '(\w+)'\) }}$", MANIFEST[question])
    assert fallback, f"{question} has no default"
    return PRESETS[preset].get(question, fallback[1])


def answers_of(preset: str) -> dict[str, str]:
    """What a preset answers to all questions that choose options."""
    return {question: default(question, preset) for question in QUESTIONS}


def chosen(answers: dict[str, str]) -> frozenset[str]:
    """The options that these answers choose, as ``__chosen`` computes them."""
    direct = {
        name
        for name, option in OPTIONS.items()
        if option.get("always") or answers.get(option.get("question", name)) in ("yes", name)
    }
    return frozenset(direct.union(*(OPTIONS[name].get("implies", []) for name in direct)))


def settings(names: AbstractSet[str]) -> dict[str, dict[str, Any]]:
    """The settings of a service with these options, by their names."""
    return {
        setting["name"]: setting
        for name in names
        for setting in OPTIONS[name].get("settings", [])
        if names.issuperset(setting.get("beside", ()))
    }


def allowed(answers: dict[str, str]) -> bool:
    """Whether every chosen option has what it needs, and nothing that it excludes."""
    names = chosen(answers)
    return all(stands(name, names) for name in names)


def stands(name: str, chosen: frozenset[str]) -> bool:
    """Whether an option can stand among others."""
    option = OPTIONS[name]
    return chosen.issuperset(option.get("needs", ())) and chosen.isdisjoint(option.get("excludes", ()))


def requirements() -> list[str]:
    """What all options together install, to run and to develop a service."""
    return [line for option in OPTIONS.values() for key in ("requires", "develops") for line in option.get(key, [])]


def start_commands(names: AbstractSet[str]) -> list[str]:
    """What a release of a service with these options runs before it serves, in order."""
    return [command for name, option in OPTIONS.items() if name in names for command in option.get("start", [])]


def is_left_by_tools(path: str) -> bool:
    """Whether a file in the tree is no part of it: cookiecutter copies whatever lies there."""
    return bool(re.search(r"(^|/)(__pycache__|\.\w+_cache)/", path))


@cache
def tree_files() -> tuple[str, ...]:
    """The files of the template tree, as paths in it."""
    paths = [path.relative_to(TREE).as_posix() for path in TREE.rglob("*") if path.is_file()]
    return tuple(sorted(path for path in paths if not is_left_by_tools(path)))


def is_copied(path: str) -> bool:
    """Whether a file of the tree, or a folder that it is in, is not rendered: its braces are its own."""
    whole = [path, *map(str, PurePosixPath(path).parents)]
    return any(fnmatch(name, pattern) for pattern in MANIFEST["_copy_without_render"] for name in whole)


def parts(path: str) -> list[str]:
    """The components of a path in the tree that can name an option: the package may be called as it likes."""
    return [part for part in PurePosixPath(path).parts if "{{" not in part]


def stem(part: str) -> str:
    """The word of a component that decides whose it is."""
    return part.lstrip(".").split(".")[0].removeprefix("test_").replace("-", "_")


def listed(option: dict[str, Any]) -> list[str]:
    """The paths of the tree that an option lists; a star in them stands for the package."""
    return [path.replace("*", "{{cookiecutter.package_name}}") for path in option.get("paths", [])]


@cache
def owners(path: str) -> frozenset[str]:
    """The options that a path of the tree belongs to. A path that every service has belongs to ``core``, or to none.

    The rule is written down a second time here, on purpose: the hook is compared with it.
    """
    owned = {
        name
        for name, option in OPTIONS.items()
        for folder in listed(option)
        if PurePosixPath(path).is_relative_to(folder)
    }
    return frozenset(owned | {stem(part) for part in parts(path)} & OPTIONS.keys())


if __name__ == "__main__":
    print(*requirements(), sep="\n")
