"""Caches through the front door: both servers, several workers, and a Redis that is paused."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import Service
from manifest import MANIFEST
from owned import Owned
from running import PATIENT, Server, add, in_production, until
from servers import private
from test_readme import blocks

TOKEN = secrets.token_hex(32)
ROUTES = """
import structlog
from time import sleep

from flask import session

from ..extensions.cache import cached, cached_view, everybody


@bp.get("/as/<name>")
def sign_in(name: str) -> ResponseReturnValue:
    session["name"] = name
    return "in"


@bp.get("/hello")
@cached_view(60)
def hello() -> ResponseReturnValue:
    return f"Hello {session.get('name', 'stranger')}"


@bp.get("/price")
@cached_view(60)
def price() -> ResponseReturnValue:
    return "7"


@bp.get("/own")
@cached_view(60, by=lambda: session["name"])
def own() -> ResponseReturnValue:
    structlog.get_logger().info("computed", what="own")
    return f"Hello {session['name']}"


@bp.get("/slow/<key>")
@cached_view(60, by=everybody)
def slow(key: str) -> ResponseReturnValue:
    structlog.get_logger().info("computed", what="slow")
    sleep(0.5)
    return key


@cached(2)
def number() -> int:
    structlog.get_logger().info("computed", what="number")
    sleep(0.3)
    return 7


@bp.get("/number")
def show() -> ResponseReturnValue:
    return str(number())


@bp.post("/forget")
def forget() -> ResponseReturnValue:
    number.forget_all()
    return "forgotten"
"""


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, {"redis": "yes"}], ids=["process", "redis"])
def test_the_readme_of_a_service_followed(
    answers: dict[str, str], bake: Callable[..., Service], tmp_path: Path
) -> None:
    service = Owned(bake(cache="yes", **answers), tmp_path / "service")
    readme = (service.folder / "README.md").read_text().partition("## Cache")[2].partition("\n## ")[0]
    views, test = blocks(readme, "py")
    with (service.package / "blueprints/main.py").open("a") as file:
        file.write(views)
    with (service.folder / "tests/blueprints/test_main.py").open("a") as file:
        file.write(f"\nfrom typing import Any\n\n\n{test}")
    service.test("tests/blueprints")


@pytest.fixture(params=MANIFEST["_answers"]["server"])
def start(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path: Path) -> Callable[..., Any]:
    service = bake(cache="yes", redis="yes", metrics="yes", server=request.param, project_name="Caching").path
    add(service, PATIENT + ROUTES)

    @contextmanager
    def start(**more: str) -> Iterator[Server]:
        with in_production(service, tmp_path / "log", METRICS_TOKEN=TOKEN, **more) as server:
            server.await_ready()
            yield server

    return start


def headers_of(server: Server, path: str) -> Any:
    with urlopen(server.url + path, timeout=30) as response:
        return response.headers


def computed(server: Server, what: str) -> int:
    return sum((line["event"], line.get("what")) == ("computed", what) for line in server.log_lines())


@pytest.mark.slow
def test_two_people_behind_one_cache_and_a_hundred_clients(start: Callable[..., Any]) -> None:
    with (
        private("redis") as redis,
        start(REDIS_URL=redis.url, WEB_CONCURRENCY="2", WEB_THREADS="16", PATIENCE="5") as service,
    ):
        cookies = {name: headers_of(service, f"/as/{name}")["Set-Cookie"].partition(";")[0] for name in ("ada", "bea")}
        asked = [("stranger", {})] + [(name, {"Cookie": cookie}) for name, cookie in cookies.items()]

        def ask(number: int) -> None:
            name, headers = asked[number % 3]
            assert service.get("/hello", **headers) == (200, f"Hello {name}".encode())
            if headers:
                assert service.get("/own", **headers) == (200, f"Hello {name}".encode())

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(ask, range(300)))
        assert computed(service, "own") == 2

        with ThreadPoolExecutor(100) as pool:
            assert set(pool.map(lambda _: service.get("/slow/one"), range(100))) == {(200, b"one")}
        assert computed(service, "slow") == 1

        # A value that expires under load, again and again, and one that another process forgets.
        until_over = time.monotonic() + 5
        with ThreadPoolExecutor(20) as pool:
            while time.monotonic() < until_over:
                assert set(pool.map(lambda _: service.get("/number"), range(40))) == {(200, b"7")}
        assert 2 <= (count := computed(service, "number")) <= 4
        for number in range(1, 4):
            assert service.get("/forget", "POST")[0] == 200
            assert service.get_many("/number", 20, 20) == [200] * 20
            assert count + number <= computed(service, "number") <= count + 3 + number


@pytest.mark.slow
def test_a_redis_that_is_paused_is_a_miss(start: Callable[..., Any]) -> None:
    with private("redis") as redis, start(REDIS_URL=redis.url, WEB_CONCURRENCY="2") as service:

        def seconds(path: str, body: bytes) -> float:
            started = time.monotonic()
            assert service.get(path) == (200, body)
            return time.monotonic() - started

        before = service.count("ephemeral_redis_away")  # On a busy machine, it may have been slow.
        redis.pause()
        started = time.monotonic()
        assert service.get_many("/slow/two", 8) == [200] * 8
        assert time.monotonic() - started < 8 * 0.5  # Each has computed, at the same time.
        # In turns, because the machine has other work too.
        usual, answered = zip(*((seconds("/as/ada", b"in"), seconds("/price", b"7")) for _ in range(200)), strict=True)
        # Nobody waits for REDIS_TIMEOUT, which is a second; half of them wait for nothing.
        assert median(answered) < 0.05 + 2 * median(usual)
        assert sorted(answered)[-10] < 1
        # Once for each worker.
        assert 1 <= service.count("ephemeral_redis_away") - before <= 2
        redis.resume()
        until(lambda: [headers_of(service, "/slow/two")["Age"] for _ in range(8)].count(None) == 0, 20)
        figures = service.get("/metrics", Authorization=f"Bearer {TOKEN}")[1].decode()
        missed = re.search(r'cache_requests_total\{name="[\w.]+price",result="away"\} (\d+)', figures)
        assert missed
        assert int(missed[1]) >= 200
