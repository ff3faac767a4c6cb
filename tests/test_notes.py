"""The example's notes: the API and the database joined, in production, on every engine."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from databases import private
from manifest import ENGINES
from matrix import some
from running import Server, required_settings, run, serving
from test_api import fuzz

pytestmark = pytest.mark.slow


@pytest.fixture(params=some(ENGINES, "postgresql"))
def notes(request: pytest.FixtureRequest, bake: Any, tmp_path: Path) -> Iterator[tuple[Path, Server]]:
    """A service with notes, its database migrated as its README tells, and served by two workers."""
    folder: Path = bake(preset="api", sql=request.param, project_name="Notes").path
    run(folder, "make", "--silent", ".venv/ready")
    flask = [".venv/bin/python", "-m", "notes"]
    with ExitStack() as stack:
        file = f"sqlite:///{tmp_path / 'notes.sqlite'}"
        url = file if request.param == "sqlite" else stack.enter_context(private(request.param)).url
        for command in (["first-migration"], ["db", "upgrade"], ["openapi", "write"]):
            run(folder, *flask, *command, APP_ENV="development", DATABASE_URL=url)
        settings = required_settings(folder) | {"DATABASE_URL": url}
        yield folder, stack.enter_context(serving(folder, tmp_path / "log", [*flask, "serve"], **settings))


def test_writers_are_answered_what_they_wrote(notes: tuple[Path, Server]) -> None:
    """And not what somebody else has written right after them."""
    _, server = notes
    headers = {"Content-Type": "application/json", "If-Match": "*"}

    def write(method: str, path: str, title: str) -> tuple[int, dict[str, Any]]:
        with closing(HTTPConnection(server.url.removeprefix("http://"), timeout=30)) as connection:
            connection.request(method, path, json.dumps({"title": title}), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    status, note = write("POST", "/api/v1/notes", "first")
    assert (status, note["title"]) == (201, "first")
    titles = [f"title {number}" for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda title: write("PATCH", f"/api/v1/notes/{note['id']}", title), titles))
    assert [(status, note["title"]) for status, note in answers] == [(200, title) for title in titles]
    # No update was lost: each was written over another one.
    assert sorted(note["version"] for _, note in answers) == list(range(2, 302))


@pytest.mark.parametrize("examples", [20, pytest.param(100, marks=pytest.mark.prove)])
def test_a_fuzzer_finds_nothing(examples: int, notes: tuple[Path, Server]) -> None:
    folder, server = notes
    requests = fuzz(folder, server, examples, 7)
    print(f"{requests} requests")
    assert requests > 8 * examples
    assert server.get("/readyz")[0] == 200
