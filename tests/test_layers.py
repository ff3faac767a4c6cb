"""The path says whose a module is, so imports go one way: an organisation can lift ``core`` out, docs/core.md says how."""

import ast
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath

import pytest
from conftest import Service
from manifest import FULL_WITHOUT_SQL, OPTIONS, TEMPLATE, TREE, owners, tree_files
from matrix import some
from owned import Owned
from rendering import said
from running import run
from test_readme import blocks

PACKAGE = "src/{{cookiecutter.package_name}}/"
MODULES = [path.removeprefix(PACKAGE) for path in tree_files() if path.startswith(PACKAGE) and path.endswith(".py")]

API = {"preset": "api", "sql": "none"}


def imported(path: str, source: str) -> Iterator[str]:
    """What a module imports from the service, as paths from the package down: ``from ..core import logs`` is core/logs."""
    parent = ".".join(["service", *PurePosixPath(path).parts[:-1]])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = resolve_name("." * node.level + (node.module or ""), parent).replace(".", "/")
            yield from (f"{module}/{name.name}".removeprefix("service/") for name in node.names)


def forbidden(path: str, target: str) -> bool:
    """Whether a module of the template may not import this."""
    if path.startswith("core/"):
        return not target.startswith("core/")
    if target.startswith("core/") or target == "modules":  # The list says which extensions there are.
        return False
    if not target.startswith("extensions/"):
        return True
    # What is there whenever this module is: the options on its path, and what these bring or need.
    own = owners(path)
    return not owners(target) <= own.union(
        *(OPTIONS[name].get(key, ()) for name in own for key in ("implies", "needs"))
    )


@pytest.mark.parametrize("path", [path for path in MODULES if path.startswith(("core/", "extensions/"))])
def test_imports_go_one_way(path: str) -> None:
    # What marks texts is there where its option is; elsewhere the hook removes the import.
    source = said(path, (TREE / PACKAGE / path).read_text(), owners(path))
    assert [target for target in imported(path, source) if forbidden(path, target)] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/logs.py", "from ..extensions import granian"),
        ("core/logs.py", "from .. import config"),
        ("extensions/granian.py", "from ..blueprints.main import bp"),
        ("extensions/metrics/__init__.py", "from ..sqlalchemy import db"),
        ("extensions/granian.py", "from .. import create_app"),
    ],
)
def test_a_wrong_import_is_found(path: str, line: str) -> None:
    (target,) = imported(path, line)
    assert forbidden(path, target)


@pytest.mark.slow
@pytest.mark.parametrize("others", some([API, FULL_WITHOUT_SQL], API), ids=["api", "full"])
def test_core_becomes_a_library(others: dict[str, str], bake: Callable[..., Service], tmp_path: Path) -> None:
    """docs/core.md, followed: the library passes the tests of ``core``, and services without it pass theirs."""
    first, second = blocks((TEMPLATE / "docs/core.md").read_text())
    for number, answers in enumerate([{"preset": "minimal"}, others]):
        service = Owned(
            bake(project_name="Orders", **answers), tmp_path / str(number) / "orders", tmp_path / "0/acme/src"
        )
        run(service.folder, "git", "init", "--quiet")
        run(service.folder, "git", "add", "--all")
        for step in (first, second.replace("git rm", "git rm --force")):
            run(service.folder, "sh", "-ec", step)
        service.test()
    service.folder, service.package = tmp_path / "0/acme", tmp_path / "0/acme/src/acme"
    service.test()
