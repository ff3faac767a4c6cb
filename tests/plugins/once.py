"""A plugin of pytest for the tests of services: ``--once=FILE`` leaves out what has passed before, and is no other here.

Tests of ``core`` and of ``extensions`` run on an application that has the modules that they name, and nothing else:
another service has the same. What makes the application of the service, or starts a process, sees all that was chosen,
and is never left out. Nor is what ``--each`` names: options that look up which of several answers has brought them.
"""

import os
import re
import sys
from collections.abc import Iterator
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


def identity(item: pytest.Item) -> str:
    """Its name, and the texts of its own file and of those that hold fixtures for it."""
    above = [folder / "conftest.py" for folder in item.path.parents if folder.is_relative_to(item.config.rootpath)]
    texts = b"".join(file.read_bytes() for file in (item.path, *above) if file.exists())
    return f"{item.nodeid} {sha256(texts).hexdigest()[:16]}".replace("\n", " ")


class Once:
    def __init__(self, file: Path, each: set[str]) -> None:
        self.file, self.each = file, each
        self.before = set(file.read_text().splitlines()) if file.exists() else set()
        self.whole, self.failed = False, set[str]()
        self.passed: list[str] = []
        make = flask.Flask.__init__

        def made(app: flask.Flask, *arguments: Any, **rest: Any) -> None:
            make(app, *arguments, **rest)
            if app.name != "probe":
                self.note()

        flask.Flask.__init__ = made  # type: ignore[method-assign]
        sys.addaudithook(lambda event, _: self.note() if event in PROCESSES else None)

    def note(self) -> None:
        self.whole = True

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left = [
            item
            for item in items
            if identity(item) in self.before
            and not self.each & set(re.findall("[a-z]+", item.nodeid.partition("::")[0]))
        ]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]

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
        with self.file.open("a") as file:
            file.write("".join(f"{line}\n" for line in self.passed))
            file.flush()
            os.fsync(file.fileno())
