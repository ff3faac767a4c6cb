"""All stores in one service, while something is wrong with one of them."""

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from faults.conftest import Running, Service
from manifest import TEMPLATE, start_commands
from running import SLACK_SECONDS, free_port, run, until
from servers import STORES, private
from servers.addresses import settings
from servers.bare import takes_a_write
from servers.faults import black_hole, refusing, silent

#: Seconds within which the default time-outs answer, the second try of DynamoDB's driver included.
BOUNDS = {"redis": 1.0, "mongodb": 2.0, "dynamodb": 4.0, "cassandra": 2.0}
#: Seconds after which the service uses a store again that a new client of the bare driver can use.
RECOVERY = 1.0
WRONG = {"refused": refusing, "dropped": black_hole, "silent": silent}
PAGE = TEMPLATE / "docs/stores/README.md"
COLUMNS = [*WRONG, "paused", "killed", "again after", "beyond bare"]
ROUTES = """
import os
import time
from datetime import UTC, datetime
from importlib import import_module

import PACKAGE as package
from flask import abort
from flask.cli import FlaskGroup

make = package.create_app


def create_app(config=None):
    app = make(config)
    example = import_module(f"{package.__name__}.blueprints.example.api.store")

    @app.get("/process")
    def process():
        time.sleep(0.02)
        return str(os.getpid())

    @app.post("/write/<name>")
    def write(name):
        now = datetime.now(UTC).replace(microsecond=0)
        note = example.Note(id=example.new_id(), title="x", text="x", created=now, version=1)
        import_module(f"{example.__name__}.{name}").add(note)
        return {"id": note.id}, 201

    @app.get("/read/<name>/<uuid:key>")
    def read(name, key):
        return {"title": (import_module(f"{example.__name__}.{name}").get(key) or abort(404)).title}

    return app


package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""


@pytest.fixture(scope="session")
def service(kind: str, bake: Any) -> Service:
    chosen = {"api": "yes", "example": "yes"} | dict.fromkeys(STORES, "yes")
    baked = bake(server=kind, project_name=f"Stores of {kind}", **chosen)
    script = baked.path / "trial.py"
    script.write_text(ROUTES.replace("PACKAGE", baked.answers["package_name"]))
    return Service(kind, script, baked.answers["package_name"])


@pytest.fixture(scope="session")
def figures(kind: str) -> Iterator[dict[tuple[str, str], float]]:
    """What was measured, in seconds, by store and column: ``UPDATE_GOLDEN=1 make faults`` writes it into the page."""
    found: dict[tuple[str, str], float] = {}
    yield found
    if os.environ.get("UPDATE_GOLDEN"):
        write_page(kind, found)


def write_page(kind: str, found: dict[tuple[str, str], float]) -> None:
    """Replace the figures of a server that were measured, in the table at the end of the page."""
    head, rule, rows = PAGE.read_text().partition(f"| --- | --- |{' ---: |' * len(COLUMNS)}\n")
    assert rule
    table = {
        (store, server): cells for store, server, *cells in (row.strip("| ").split(" | ") for row in rows.splitlines())
    }
    for store in STORES:
        before = table.get((store, kind), ["?"] * len(COLUMNS))
        measured = [found.get((store, column)) for column in COLUMNS]
        table[store, kind] = [old if new is None else f"{new:.2f}" for old, new in zip(before, measured, strict=True)]
    PAGE.write_text(head + rule + "".join(f"| {' | '.join([*key, *table[key]])} |\n" for key in sorted(table)))


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Any]]:
    """A server of each store, which may be paused and stopped."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(private(name)) for name in STORES}


@pytest.fixture(scope="session")
def addresses(service: Service, servers: dict[str, Any]) -> dict[str, str]:
    """Their addresses, after what a release runs."""
    found: dict[str, str] = {}
    for name, server in servers.items():
        found |= settings(name, server.port)
    environment = service.environment(free_port(), **found)
    for command in start_commands(STORES.keys()):
        run(service.script.parent, service.command[0], "-m", service.package, *command.split(), **environment)
    return found


@contextmanager
def watched(server: Running) -> Iterator[list[float]]:
    """Ask a route that needs no store, and whether the process lives, while something else happens."""
    seconds: list[float] = []
    ended = False

    def watch() -> None:
        while not ended:
            begun = time.monotonic()
            assert ask(server, "GET", "/")[0] == 200
            seconds.append(time.monotonic() - begun)
            assert ask(server, "GET", "/livez")[0] == 200
            time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(watch)
        try:
            yield seconds
        finally:
            ended = True
        future.result()


def ask(server: Running, method: str, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status == 503 and "checks" not in body:
            assert response.headers["Retry-After"] == "5"
            assert response.headers.get_content_type() == "application/problem+json"
        return response.status, body
    finally:
        connection.close()


def write(server: Running, store: str) -> tuple[float, int, Any]:
    begun = time.monotonic()
    status, body = ask(server, "POST", f"/write/{store}")
    return time.monotonic() - begun, status, body


def write_at_once(server: Running, store: str, count: int = 8) -> list[tuple[float, int, Any]]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: write(server, store), range(count)))


def resources(server: Running) -> list[tuple[int, int]]:
    """Threads and open files of each worker."""
    found = []
    for pid in server.workers():
        folder = Path(f"/proc/{pid}")
        found.append((len(list((folder / "task").iterdir())), len(list((folder / "fd").iterdir()))))
    return found


def fault(server: Running, store: str, its: Any, kind: str, addresses: dict[str, str]) -> dict[str, float]:
    """Take a store away for a while, and return how that went, in seconds."""
    before = [write(server, store) for _ in range(20)]
    assert {status for _, status, _ in before} == {201}
    kept = [body["id"] for _, _, body in before]
    others = [name for name in STORES if name != store]
    its.pause() if kind == "paused" else its.stop()
    try:
        with watched(server) as unhurt:
            answers = write_at_once(server, store)
            for name in others:
                assert write(server, name)[1] == 201
            status, body = ask(server, "GET", "/readyz")
        assert {status for _, status, _ in answers} <= {503, 201}
        assert any(status == 503 for _, status, _ in answers)
        assert max(seconds for seconds, _, _ in answers) < BOUNDS[store] + SLACK_SECONDS
        assert status == 503
        assert body["checks"].pop(store) != "ok"
        assert set(body["checks"].values()) == {"ok"}
    finally:
        its.resume() if kind == "paused" else its.start()
    # The server itself is slow at first, on a busy machine for more than a second: that is not the service's time.
    with ThreadPoolExecutor(1) as pool:
        bare = pool.submit(until, lambda: takes_a_write(store, addresses), 15)
        recovered = until(lambda: write(server, store)[1] == 201, 15)
        beyond = recovered - bare.result()
    until(lambda: ask(server, "GET", "/readyz")[0] == 200, 15)
    assert beyond < RECOVERY
    kept += [body["id"] for _, status, body in answers if status == 201]
    lost = [key for key in kept if ask(server, "GET", f"/read/{store}/{key}")[0] != 200]
    assert not lost
    return {
        "answered": max(seconds for seconds, _, _ in answers),
        "others": sorted(unhurt)[len(unhurt) * 99 // 100],
        "again after": recovered,
        "beyond bare": beyond,
    }


@pytest.mark.parametrize("rounds", [pytest.param(1, marks=pytest.mark.short), 20])
def test_one_is_away(
    rounds: int,
    kind: str,
    start: Callable[..., Any],
    servers: dict[str, Any],
    addresses: dict[str, str],
    figures: dict[tuple[str, str], float],
) -> None:
    """What needs it is answered 503 in time, all else works, nothing acknowledged is lost, and it recovers by itself."""
    with start(WEB_THREADS="8", **addresses) as server:
        for store in STORES:
            # The first connections to a server that has just started take their time.
            until(lambda store=store: {status for _, status, _ in write_at_once(server, store, 32)} == {201}, 60)
            assert takes_a_write(store, addresses)  # With its driver imported.
        first = resources(server)
        for store, its in servers.items():
            for fault_kind in ("paused", "killed"):
                found = [fault(server, store, its, fault_kind, addresses) for _ in range(rounds)]
                worst = {name: max(one[name] for one in found) for name in found[0]}
                print(f"{kind}, {store} {fault_kind}: " + ", ".join(f"{n} {s:.2f} s" for n, s in worst.items()))
                figures[store, fault_kind] = worst["answered"]
                for column in ("again after", "beyond bare"):
                    figures[store, column] = max(worst[column], figures.get((store, column), 0))
        last = resources(server)
    print(f"threads and files of each worker before and after: {first}, {last}")
    for (threads, files), (threads_now, files_now) in zip(first, last, strict=True):
        assert threads_now <= threads + 4
        assert files_now <= files + 16


@pytest.mark.short
@pytest.mark.parametrize("wrong", WRONG)
def test_an_address_at_which_something_is_wrong(
    wrong: str, kind: str, start: Callable[..., Any], figures: dict[tuple[str, str], float]
) -> None:
    """A service starts, names what is away, and answers in time."""
    with WRONG[wrong]() as port, ExitStack() as stack:
        found: dict[str, str] = {}
        for name in STORES:
            found |= settings(name, port)
        server = stack.enter_context(start(WEB_THREADS="8", **found))
        status, body = ask(server, "GET", "/readyz")
        assert status == 503
        assert body["checks"].keys() >= STORES.keys()
        assert "ok" not in body["checks"].values()
        for store in STORES:
            with watched(server):
                answers = write_at_once(server, store)
            assert {status for _, status, _ in answers} == {503}
            seconds = [seconds for seconds, _, _ in answers]
            print(f"{kind}, {store} {wrong}: {median(seconds):.2f} s, at most {max(seconds):.2f} s")
            figures[store, wrong] = max(seconds)
            assert max(seconds) < BOUNDS[store] + SLACK_SECONDS
