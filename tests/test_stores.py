"""The example's notes in production, on a real server of each store: the same answers, and no update lost."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any

import databases
import pytest
import servers
from manifest import start_commands
from running import Server, required_settings, run, serving, set_up
from servers import STORES
from servers.addresses import settings

pytestmark = pytest.mark.slow
NOTES = "/api/v1/notes"
#: With ids that the client chooses, and no clock, answers can be compared byte for byte.
SCRIPT = """
import os
from datetime import datetime
from importlib import import_module
from uuid import UUID

import PACKAGE as package
from flask import request
from flask.cli import FlaskGroup

make = package.create_app


class Clock:
    now = staticmethod(lambda zone: datetime(2026, 1, 1, tzinfo=zone))


def create_app(config=None):
    app = make({"NOTES_STORE": os.environ["NOTES_STORE"], **(config or {})})
    example = import_module(f"{package.__name__}.blueprints.example.api.store")
    example.new_id, example.datetime = lambda: UUID(request.headers["Note-Id"]), Clock
    return app


package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""
#: What an answer has that tells of the moment, and not of what was asked.
MOMENT = {"date", "server", "transfer-encoding", "connection"}
Answer = tuple[int, dict[str, str], bytes]


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(server.url.removeprefix("http://"), timeout=30)) as connection:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json", "X-Request-Id": "trial"} | headers)
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        kept = {name: answered[name] for name in answered.keys() - MOMENT}
        return response.status, kept, response.read()


def conversation(server: Server) -> list[tuple[str, Answer]]:
    """All that clients do with notes, also wrongly: what was asked, and the answer."""
    answers = []

    def say(method: str, path: str, body: Any = None, **headers: str) -> Answer:
        answers.append((f"{method} {path} {body!r:.80} {headers}", ask(server, method, path, body, **headers)))
        return answers[-1][1]

    numbers = count(1)
    say("GET", NOTES)
    made = []
    for title in ("Shopping", "Ω ẞ 🧺", "'; --", "$where", "{}", "#text", " a ", "x" * 80, "", "x" * 81, "a\0b", None):
        key = f"01990000-0000-7000-8000-{next(numbers):012}"
        status, sent, _ = say("POST", NOTES, {"title": title, "text": (title or "") * 100}, Note_Id=key)
        if status == 201:
            made.append((sent["location"], sent["etag"]))
    assert len(made) == 8
    for limit in (1, 3, 8, 100, 0, 10_000):
        following = f"{NOTES}?limit={limit}"
        while following:
            status, _, told = say("GET", following)
            cursor = json.loads(told).get("next") if status == 200 else None
            following = cursor and f"{NOTES}?limit={limit}&cursor={cursor}"
    say("GET", f"{NOTES}?cursor=nonsense")
    for number, (location, tag) in enumerate(made):
        say("GET", location)
        say("GET", location, If_None_Match=tag)
        say("PATCH", location, {"text": "changed"})
        _, sent, _ = say("PATCH", location, {"text": "changed"}, If_Match=tag)
        say("PATCH", location, {"title": "too late"}, If_Match=tag)
        say("PATCH", location, {"title": ""}, If_Match="*")
        say("DELETE", location)
        say("DELETE", location, If_Match=tag)
        if number % 2:
            say("DELETE", location, If_Match=sent["etag"])
            say("DELETE", location, If_Match="*")
            say("PATCH", location, {"title": "gone"}, If_Match="*")
        say("GET", location)
    for unknown in ("1", "x", "00000000-0000-7000-8000-000000000000"):
        say("GET", f"{NOTES}/{unknown}")
    say("POST", NOTES, b"{", Note_Id=str(next(numbers)))
    say("PUT", NOTES, {})
    say("GET", NOTES)
    return answers


def write_at_once(server: Server, writers: int, updates: int) -> None:
    """Each appends words of its own to one note, again and again if somebody was faster: all must be in it."""
    key = "01990000-0000-7000-8000-0000000000ff"
    status, sent, _ = ask(server, "POST", NOTES, {"title": "Words"}, Note_Id=key)
    assert status == 201
    location = sent["location"]

    def append(word: str) -> int:
        for tries in count(1):
            _, read, body = ask(server, "GET", location)
            text = json.loads(body)["text"]
            if word in text.split():  # A write of which the store did not know in time whether it was done.
                return tries
            change = {"text": f"{text} {word}".strip()}
            status, _, body = ask(server, "PATCH", location, change, If_Match=read["etag"])
            assert status in (200, 412, 503), body
            if status == 200:
                return tries
        raise AssertionError

    def write(writer: int) -> int:
        return sum(append(f"{writer}.{update}") for update in range(updates))

    with ThreadPoolExecutor(writers) as pool:
        tries = sum(pool.map(write, range(writers)))
    note = json.loads(ask(server, "GET", location)[2])
    print(f"{writers} writers: {writers * updates} updates in {tries} tries")
    assert sorted(note["text"].split()) == sorted(f"{w}.{u}" for w in range(writers) for u in range(updates))
    assert tries > writers * updates, "they were never in each other's way"
    assert note["version"] == 1 + writers * updates


@contextmanager
def every_store(folder: Path) -> Iterator[dict[str, str]]:
    """The settings of a service that has all stores, each prepared as a release does."""
    with ExitStack() as stack:
        found = required_settings(folder) | {"DATABASE_URL": stack.enter_context(databases.private("postgresql")).url}
        # The others have a space for each service.
        found |= settings("redis", stack.enter_context(servers.private("redis")).port)
        prepare = [".venv/bin/python", "-m", "every_store"]
        for command in start_commands({"sqlalchemy", *STORES}):
            with ThreadPoolExecutor(2) as pool:  # Two releases at once, of which none may fail.
                list(pool.map(lambda words: run(folder, *prepare, *words, **found), [command.split()] * 2))
            run(folder, *prepare, *command.split(), **found)
        yield found


@pytest.fixture(scope="module")
def folder(bake: Any) -> Path:
    """A service with all stores."""
    stores = dict.fromkeys(STORES, "yes")
    made: Path = bake(preset="api", sql="postgresql", project_name="Every Store", **stores).path
    set_up(made)
    return made


def test_all_stores_answer_alike(folder: Path, tmp_path: Path) -> None:
    (folder / "trial.py").write_text(SCRIPT.replace("PACKAGE", "every_store"))
    heard = {}
    with every_store(folder) as found:
        for store in ("sqlalchemy", *STORES):
            command = [".venv/bin/python", "trial.py", "serve"]
            told = found | {"NOTES_STORE": store, "PYTHONPATH": "src", "PYTHONHASHSEED": "0"}
            with serving(folder, tmp_path / store, command, **told) as server:
                heard[store] = conversation(server)
                print(f"{store}: {len(heard[store])} requests", end=", ")
                write_at_once(server, 8, 10)
    expected = heard["sqlalchemy"]
    assert {answer[0] for _, answer in expected} == {200, 201, 204, 304, 400, 404, 405, 412, 422, 428}
    for store, answers in heard.items():
        for (asked, answer), (_, other) in zip(expected, answers, strict=True):
            assert other == answer, f"{store}: {asked}"


def test_the_tests_of_a_service_run_on_real_servers(folder: Path, shared_server: Callable[[str], Any]) -> None:
    """Two processes of pytest at once, on one server of each store, as CI gives it to them."""
    with servers.private("redis") as redis, databases.private("postgresql") as postgresql:
        others = {name: shared_server(name) for name in ("mongodb", "dynamodb", "cassandra")}
        told = run(
            folder,
            "make",
            "--silent",
            "test",
            "ARGS=-q -rs -n 2 tests/blueprints tests/extensions/sqlalchemy "
            + " ".join(f"tests/extensions/test_{name}.py" for name in STORES),
            TEST_DATABASE_URL=postgresql.url,
            TEST_REDIS_URL=redis.url,
            TEST_MONGODB_URL=others["mongodb"].url,
            TEST_DYNAMODB_URL=others["dynamodb"].url,
            TEST_CASSANDRA_HOSTS=others["cassandra"].url,
            TEST_CASSANDRA_PROTOCOL="3",
        )
    print(told[-2000:])
    assert re.search(r"[1-9]\d* passed", told)
    assert "TEST_" not in told  # What is skipped says which variable it waits for.
