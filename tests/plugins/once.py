"""A plugin of pytest for the tests of services: ``--once=FILE`` leaves out what has passed before, and is no other here.

Tests of ``core`` and of ``extensions`` run on an application that has the modules that they name, and nothing else:
another service has the same. What makes the application of the service, or starts a process, sees all that was chosen,
and is never left out. Nor is what ``--each`` names: options that look up which of several answers has brought them.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import flask
import pytest

PROCESSES = {"subprocess.Popen", "os.fork", "os.posix_spawn"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--once", type=Path, required=True)
    parser.addoption("--each", default="", help="Words of paths of tests that are never left out, with commas.")


def pytest_configure(config: pytest.Config) -> None:
    each = set(filter(None, config.option.each.split(",")))
    config.pluginmanager.register(Once(config.option.once, each), "once-left-out")


@cache
def text(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def identity(item: pytest.Item) -> str:
    """Its name, and the texts of its own file and of those that hold fixtures for it."""
    above = [folder / "conftest.py" for folder in item.path.parents if folder.is_relative_to(item.config.rootpath)]
    return f"{item.nodeid} {sha256(b''.join(map(text, (item.path, *above)))).hexdigest()[:16]}"


class Once:
    def __init__(self, file: Path, each: set[str]) -> None:
        self.file, self.each = file, each
        self.before = set(file.read_text().splitlines()) if file.exists() else set()
        self.whole, self.failed = False, set[str]()
        self.passed: list[str] = []
        make = flask.Flask.__init__

        def made(app: flask.Flask, *arguments: Any, **rest: Any) -> None:
            make(app, *arguments, **rest)
            self.whole |= app.name != "probe"

        def audit(event: str, _: object) -> None:
            self.whole |= event in PROCESSES

        flask.Flask.__init__ = made  # type: ignore[method-assign]
        sys.addaudithook(audit)

    def left_out(self, item: pytest.Item) -> bool:
        named = self.each & set(re.findall("[a-z]+", item.nodeid.partition("::")[0]))
        return not named and identity(item) in self.before

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        found: dict[bool, list[pytest.Item]] = {True: [], False: []}
        for item in items:
            found[self.left_out(item)].append(item)
        config.hook.pytest_deselected(items=found[True])
        items[:] = found[False]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        self.whole = False
        answer = yield
        if not self.whole and item.nodeid not in self.failed:
            self.passed.append(identity(item))
        return answer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        # In one write, because other services are tested at the same time.
        with self.file.open("ab", buffering=0) as file:
            file.write("".join(f"{line}\n" for line in self.passed).encode())
