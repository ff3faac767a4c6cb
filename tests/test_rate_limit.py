"""Limits through the front door: both servers, several workers, and a Redis that is paused."""

import json
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from conftest import Service
from manifest import MANIFEST
from matrix import some
from owned import Owned
from redis import Redis
from running import PATIENT, Server, add, in_production, until
from servers import Private, private
from test_readme import blocks

TOKEN = secrets.token_hex(32)


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, {"redis": "yes"}], ids=["process", "redis"])
def test_the_readme_of_a_service_followed(
    answers: dict[str, str], bake: Callable[..., Service], tmp_path: Path
) -> None:
    service = Owned(bake(rate_limit="yes", **answers), tmp_path / "service")
    readme = (service.folder / "README.md").read_text().partition("## Rate limits")[2].partition("\n## ")[0]
    view, test = blocks(readme, "py")
    with (service.package / "blueprints/main.py").open("a") as file:
        file.write(view)
    with (service.folder / "tests/blueprints/test_main.py").open("a") as file:
        file.write(f"\nfrom typing import Any\n\n\n{test}")
    service.test("tests/blueprints")


@pytest.fixture(params=some(MANIFEST["_answers"]["server"], "granian"))
def start(request: pytest.FixtureRequest, bake: Callable[..., Service], tmp_path: Path) -> Callable[..., Any]:
    def start(answers: dict[str, str], **more: str) -> AbstractContextManager[Server]:
        service = bake(rate_limit="yes", server=request.param, project_name="Limiting", **answers).path
        if "redis" in answers:
            add(service, PATIENT)
        return in_production(service, tmp_path / "log", METRICS_TOKEN=TOKEN, **more)

    return start


def counted(server: Server, result: str) -> int:
    figures = server.get("/metrics", Authorization=f"Bearer {TOKEN}")[1].decode()
    found = re.search(rf'rate_limit_requests_total\{{policy="default",result="{result}"\}} (\d+)', figures)
    return int(found[1]) if found else 0


def ask_many(service: Server, address: str, count: int) -> list[int]:
    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(lambda _: service.get("/", **{"X-Forwarded-For": address})[0], range(count)))


@pytest.mark.slow
def test_four_workers_count_together_and_open_when_redis_is_away(start: Callable[..., Any]) -> None:
    settings = {"WEB_CONCURRENCY": "4", "RATE_LIMIT": "100/hour", "TRUSTED_PROXIES": "1"}
    settings["PROXY_STRIPS_UNDERSCORES"] = "true"
    with private("redis") as redis:
        settings["REDIS_URL"] = redis.url
        with Redis.from_url(redis.url) as client:
            # Counts are no data: to write each one to a busy disk takes longer than a request waits for.
            client.config_set("appendonly", "no")
        with start({"redis": "yes", "metrics": "yes"}, PATIENCE="20", **settings) as service:
            service.await_ready()
            assert sorted(ask_many(service, "192.0.2.1", 1000)) == [200] * 100 + [429] * 900
            assert [counted(service, result) for result in ("allowed", "refused", "open")] == [100, 900, 0]
            assert ask_many(service, "192.0.2.2", 10) == [200] * 10  # Somebody else.
            assert service.get_many("/livez", 200, 16) == [200] * 200
            # One who writes an address before that of the proxy is still the same.
            assert ask_many(service, "198.51.100.9, 192.0.2.1", 10) == [429] * 10
        with start({"redis": "yes", "metrics": "yes"}, **settings) as service:
            service.await_ready()
            while_redis_is_away(service, redis)


def while_redis_is_away(service: Server, redis: Private) -> None:
    opened, before = counted(service, "open"), service.count("ephemeral_redis_away")
    redis.pause()
    seconds = []
    for _ in range(200):
        started = time.monotonic()
        assert service.get("/", **{"X-Forwarded-For": "192.0.2.1"})[0] == 200
        seconds.append(time.monotonic() - started)
    # Nobody waits for REDIS_TIMEOUT, which is a second; half of them wait for nothing.
    assert sorted(seconds)[100] < 0.5
    assert counted(service, "open") == opened + 200
    # Once for each worker: not for each request.
    assert 1 <= service.count("ephemeral_redis_away") - before <= 4
    redis.resume()
    until(lambda: ask_many(service, "192.0.2.1", 20).count(429) > 10, 30)

    redis.stop()
    assert ask_many(service, "192.0.2.1", 50) == [200] * 50
    redis.start()
    until(lambda: ask_many(service, "192.0.2.1", 200).count(429) > 50, 30)


@pytest.mark.slow
def test_production_refuses_to_count_in_each_process(start: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="RATE_LIMIT_PER_PROCESS: ") as refusal, start({}, RATE_LIMIT="5/hour"):
        pass
    assert "Traceback" not in str(refusal.value)
    with start({}, RATE_LIMIT="5/hour", RATE_LIMIT_PER_PROCESS="true", WEB_CONCURRENCY="1") as service:
        answers = [service.get("/") for _ in range(6)]
        assert [status for status, _ in answers] == [200] * 5 + [429]
        assert json.loads(answers[-1][1])["violated-policies"] == ["default"]
