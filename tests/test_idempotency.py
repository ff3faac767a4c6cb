"""The same ``Idempotency-Key`` many times, to a service in production on real servers: what has an effect, counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import databases
import pytest
import servers
from conftest import Service
from manifest import ENGINES, QUESTIONS
from matrix import some
from running import Server, required_settings, run, serving, set_up, until
from servers.addresses import settings

NOTES = "/api/v1/notes"
#: A worker dies where a file says so: when it has the key, or when it has also written and committed the note. It has
#: the key for as long as there is a file ``slow``, and says so by a file ``held``.
SCRIPT = """
import os, signal, time
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace

import notes as package
from flask.cli import FlaskGroup

make = package.create_app
if os.path.exists("src/notes/extensions/api/idempotency/redis.py"):
    # Seconds for which a process that is killed holds a key: a minute, for which nobody has to wait here.
    redis = import_module("notes.extensions.api.idempotency.redis")
    assert redis.HOLD == 60
    redis.HOLD = 10


def die(moment):
    with suppress(FileNotFoundError):
        os.remove(moment)
        os.kill(os.getpid(), signal.SIGKILL)


def create_app(config=None):
    app = make(config)
    store = app.extensions["notes"]

    def add(note):
        if os.path.exists("slow"):
            open("held", "w").close()
        while os.path.exists("slow"):
            time.sleep(0.05)
        die("before")
        store.add(note)
        die("after")

    app.extensions["notes"] = SimpleNamespace(**vars(store) | {"add": add})
    return app


package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""
Answer = tuple[int, dict[str, str], bytes]


def without(answer: Answer) -> Answer:
    """An answer without what tells of the request."""
    status, headers, body = answer
    return status, {name: headers[name] for name in headers.keys() - {"date", "x-request-id"}}, body


def send(server: Server, key: str, title: str = "Shopping") -> Answer:
    with closing(HTTPConnection(server.url.removeprefix("http://"), timeout=30)) as connection:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", NOTES, json.dumps({"title": title}), headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def notes(server: Server) -> int:
    status, body = server.get(f"{NOTES}?limit=100")
    assert status == 200
    return len(json.loads(body)["items"])


@pytest.fixture(params=some([*ENGINES, "redis"], "postgresql", "mysql", "redis"))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def patience() -> str:
    """Seconds that a store may take: on a busy machine, more than a request would wait."""
    return "20"


@pytest.fixture
def server(store: str, patience: str, bake: Any, tmp_path: Path) -> Iterator[Server]:
    """A service with notes, and two workers."""
    chosen = {"redis": "yes"} if store == "redis" else {"sql": store}
    folder: Path = bake(api="yes", example="yes", project_name="Notes", **chosen).path
    set_up(folder)
    (folder / "trial.py").write_text(SCRIPT)
    flask = [".venv/bin/python", "trial.py"]
    with ExitStack() as stack:
        found = required_settings(folder) | {"PYTHONPATH": "src", "WEB_CONCURRENCY": "2"}
        names = ("DATABASE_STATEMENT_TIMEOUT", "DATABASE_CONNECT_TIMEOUT", "REDIS_TIMEOUT")
        found |= dict.fromkeys(names, patience)
        if store == "redis":
            found |= settings("redis", stack.enter_context(servers.private("redis")).port)
        elif store == "sqlite":
            found["DATABASE_URL"] = f"sqlite:///{tmp_path / 'notes.sqlite'}"
        else:
            found["DATABASE_URL"] = stack.enter_context(databases.private(store)).url
        if store != "redis":
            run(folder, *flask, "db", "upgrade", **found)
        server = stack.enter_context(serving(folder, tmp_path / "log", [*flask, "serve"], **found))
        server.await_ready()
        yield server


@pytest.mark.slow
def test_one_effect_and_one_answer(store: str, server: Server) -> None:
    """Eight clients at once: one key 50 times each, then 50 keys once each."""
    with ThreadPoolExecutor(8) as pool:
        answers = [without(answer) for answer in pool.map(lambda _: send(server, "first"), range(8 * 50))]
        statuses = Counter(status for status, *_ in answers)
        assert statuses.keys() <= {201, 409}
        created = [answer for answer in answers if answer[0] == 201]
        assert all(answer == created[0] for answer in created)
        assert all(headers["retry-after"] == "1" for status, headers, _ in answers if status == 409)
        assert notes(server) == 1
        others = list(pool.map(lambda number: send(server, f"key-{number // 8}"), range(50 * 8)))
        print(f"{store}: {statuses}, then {Counter(status for status, *_ in others)}")
    assert {status for status, *_ in others} <= {201, 409}
    assert len({body for status, _, body in others if status == 201}) == 50
    assert notes(server) == 51
    assert send(server, "first", "Garden")[0] == 422


@pytest.mark.slow
@pytest.mark.parametrize("patience", ["2"])
def test_a_slow_view(store: str, server: Server) -> None:
    """A second request waits no longer than a statement may. SQLite, where all writers wait, does not know for whom."""
    folder = Path(f"/proc/{server.process.pid}/cwd").resolve()
    (folder / "slow").touch()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, server, "slow")
        try:
            until((folder / "held").exists, 30)
            status, headers, body = send(server, "slow")
        finally:  # Other tests have this folder, too.
            (folder / "slow").unlink()
            (folder / "held").unlink(missing_ok=True)
        assert first.result()[0] == 201
    assert (status, headers["retry-after"]) == ((503, "5") if store == "sqlite" else (409, "1")), body
    assert without(send(server, "slow")) == without(first.result())
    assert notes(server) == 1


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.prove)])
def test_a_worker_is_killed(store: str, rounds: int, server: Server) -> None:
    """Between the key and the effect, and between the effect and the answer: then Redis has an effect and no answer."""
    folder = Path(f"/proc/{server.process.pid}/cwd").resolve()
    effects = 0
    for number in range(rounds):
        for moment in ["before"] if store == "redis" else ["before", "after"]:
            (folder / moment).touch()
            with pytest.raises((HTTPException, OSError)):
                send(server, f"{moment}-{number}")
            assert not (folder / moment).exists()
            effects += 1

            def repeated(key: str = f"{moment}-{number}") -> bool:
                try:
                    status = send(server, key)[0]
                except (HTTPException, OSError):  # No worker is there yet.
                    return False
                assert status in (201, 409, 503)
                return status == 201

            seconds = until(repeated, 90)
            print(f"{store}, killed {moment}: created after {seconds:.1f} s")
            assert notes(server) == effects


@pytest.mark.parametrize("sql", QUESTIONS["sql"])
@pytest.mark.parametrize("redis", ["no", "yes"])
@pytest.mark.parametrize("api", ["no", "yes"])
def test_it_is_there_with_an_api_and_a_store_that_keeps_answers(
    api: str, redis: str, sql: str, render: Callable[..., Service]
) -> None:
    service = render(api=api, redis=redis, sql=sql, example="yes", mongodb="yes", jobs="celery_redis")
    there = api == "yes" and (redis == "yes" or sql != "none")
    words = ["Idempotency-Key", "@idempotent"]  # Jobs and stores ask for what is idempotent, and that is another thing.
    assert [word in service for word in words] == [there] * 2
    assert not there or service.read("README.md").count("### Let clients repeat a POST") == 1
    assert there or not any(
        "idempotency" in f"{path}\n{text}".lower() for path, text in service.texts.items() if path != ".cruft.json"
    )
