"""A digest, on every store: the request, the job, and what the client is told meanwhile."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

(FOLDER,) = Path(__file__).parents[5].glob("src/*/blueprints/example/api/store")


@pytest.fixture(params=sorted(path.stem for path in FOLDER.glob("[!_]*.py")))
def app(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Flask:
    # Each store has a fixture of its name, which empties it.
    request.getfixturevalue(request.param)
    return make_app(NOTES_STORE=request.param)


def test_a_digest_is_written_by_a_job(client: FlaskClient, jobs: Any) -> None:
    for title in ("Shopping", "Garden"):
        assert client.post("/api/v1/notes", json={"title": title}).status_code == 201
    accepted = client.post("/api/v1/digests")
    assert accepted.status_code == 202
    assert accepted.headers["Retry-After"] == "1"
    where = accepted.headers["Location"]
    waiting = client.get(where)
    assert (waiting.json["state"], waiting.headers["Retry-After"]) == ("waiting", "1")  # type: ignore[index]
    assert [job.name for job in jobs.run()] == ["example.write_digest"]
    done = client.get(where).json
    assert done
    assert done["state"] == "done"
    note = client.get(done["note"]).json
    assert note
    assert note["text"] == "Shopping\nGarden"


def test_a_digest_that_fails_for_good(client: FlaskClient, jobs: Any, package: ModuleType) -> None:
    where = client.post("/api/v1/digests").headers["Location"]
    (sent,) = jobs.sent
    extension = import_module(".extensions.celery", package.__name__)
    with jobs.app.app_context():
        extension.job_failed.send(jobs.app, job=sent.name, arguments=[sent.args, sent.kwargs])
    assert client.get(where).json["state"] == "failed"  # type: ignore[index]


def test_a_job_that_runs_twice_writes_one_digest(client: FlaskClient, jobs: Any) -> None:
    client.post("/api/v1/digests")
    (sent,) = jobs.sent
    jobs.run()
    task = jobs.jobs.celery.tasks[sent.name]
    task.apply(sent.args, sent.kwargs, headers=sent.headers, task_id=sent.id, throw=True)
    assert len(client.get("/api/v1/notes").json["items"]) == 1  # type: ignore[index]
