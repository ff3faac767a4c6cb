"""The preset ``ingest`` under load while its broker is killed, restarted and paused: what clients are told, and what is lost."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any

import pytest
from running import SLACK_SECONDS, clean_environment, free_port, until
from servers import Private, listening, private

#: Seconds that the broker may take, by the setting.
TIMEOUT = 0.5
#: Events of a request.
BATCH = 20


def restart(redis: Private) -> None:
    """As its operator does it."""
    redis.process.send_signal(signal.SIGTERM)
    redis.process.wait(30)
    time.sleep(0.3)
    redis.start()


def kill(redis: Private) -> None:
    redis.stop()
    time.sleep(0.3)
    redis.start()


def pause(redis: Private) -> None:
    redis.pause()
    time.sleep(1.5)
    redis.resume()


class Clients:
    """Clients that send batches, one after the other, and again what was not taken."""

    def __init__(self, port: int) -> None:
        self.port, self.stop = port, Event()
        self.taken: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0

    def send(self, client: int) -> None:
        number = 0
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            while not self.stop.is_set():
                ids = [f"{client}-{number}-{event}" for event in range(BATCH)]
                events = [json.dumps({"type": "page.viewed", "data": {"page": number}, "id": key}) for key in ids]
                begun = time.monotonic()
                connection.request(
                    "POST", "/api/v1/events", "\n".join(events), {"Content-Type": "application/x-ndjson"}
                )
                answer = connection.getresponse()
                answer.read()
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.statuses[answer.status] += 1
                if answer.status == 202:
                    self.taken |= set(ids)
                    number += 1
                else:
                    assert answer.getheader("Retry-After"), answer.status
                time.sleep(0.01)

    @contextmanager
    def running(self, clients: int) -> Iterator[None]:
        with ThreadPoolExecutor(clients) as pool:
            sending = [pool.submit(self.send, number) for number in range(clients)]
            try:
                yield
            finally:
                self.stop.set()
            for one in sending:
                one.result()

    def go_on(self) -> None:
        """Wait until requests are taken, again."""
        before = self.statuses[202]
        until(lambda: self.statuses[202] > before + 10, 60)


@pytest.mark.parametrize(
    ("broker", "faults"),
    [
        # One after the other, because what a worker had taken from Redis comes back after 32 seconds.
        pytest.param("redis", [restart, pause], id="redis-each", marks=pytest.mark.short),
        *(pytest.param("redis", [fault] * 20, id=f"redis-{fault.__name__}") for fault in (restart, kill, pause)),
        *(pytest.param("rabbitmq", [fault] * 5, id=f"rabbitmq-{fault.__name__}") for fault in (restart, kill, pause)),
    ],
)
def test_a_broker_that_goes_and_comes(
    broker: str, faults: list[Callable[[Private], None]], bake: Callable[..., Any], tmp_path: Path
) -> None:
    """Each request is answered 202 or 503, and what was answered 202 is processed."""
    service = bake(preset="ingest", jobs=f"celery_{broker}", project_name="Faults of ingest")
    health, port = tmp_path / "health", free_port()
    with private(broker) as server, ExitStack() as stack:
        settings = {
            "APP_ENV": "production",
            "PYTHONPATH": str(service.path / "src"),
            "SECRET_KEY": token_hex(32),
            "METRICS_TOKEN": token_hex(32),
            "BROKER_URL": server.url,
            "BROKER_TIMEOUT": str(TIMEOUT),
            "JOB_TIMEOUT": "1",
            "JOB_HEALTH_FILE": str(health),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        for name in ("worker", "serve"):
            with (tmp_path / name).open("wb") as log:
                command = [sys.executable, "-m", service.answers["package_name"], name]
                environment = clean_environment(**settings)
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
            stack.callback(process.wait, 60)
            stack.callback(process.send_signal, signal.SIGTERM)
        until(lambda: listening(port) and health.with_name("health.ready").exists(), 60)
        clients = Clients(port)
        with clients.running(4):
            for fault in faults:
                clients.go_on()
                fault(server)
            clients.go_on()

        def processed() -> Counter[str]:
            lines = (tmp_path / "worker").read_bytes().splitlines()
            return Counter(json.loads(line)["id"] for line in lines if b'"event":"event"' in line)

        begun = time.monotonic()
        with suppress(AssertionError):
            until(lambda: time.sleep(0.5) or clients.taken <= processed().keys(), 90)
        done = processed()
        lost = {key.rpartition("-")[0] for key in clients.taken - done.keys()}
        twice = sum(number > 1 for key, number in done.items()) // BATCH
        print(
            f"{broker}, {', '.join(fault.__name__ for fault in faults)}: {dict(clients.statuses)}, the slowest after {clients.slowest:.2f} s; "
            f"of {clients.statuses[202]} batches, {len(lost)} were lost and {twice} processed more than once; "
            f"the last after {time.monotonic() - begun:.0f} s"
        )
        assert set(clients.statuses) <= {202, 503}
        assert clients.slowest < 3 * TIMEOUT + SLACK_SECONDS
        # Of Redis, what the worker has just taken: docs/jobs.md.
        assert len(lost) <= (len(faults) if broker == "redis" else 0)
