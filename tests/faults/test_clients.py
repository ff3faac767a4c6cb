"""Clients that are slow, silent or many; a container's root that cannot be written."""

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from loading import CLOSE, children, connect, cpu_seconds, get, read_answer, request, resident, status, zombies
from running import free_port, until

Start = Callable[..., Any]


@contextmanager
def dripping(port: int, count: int, first: bytes, drop: bytes) -> Iterator[None]:
    """Clients that send the beginning of a request, and then a drop of it each second."""
    stop = Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(port)) for _ in range(count)]
        for client in clients:
            client.sendall(first)

        def drip() -> None:
            while not stop.wait(1):
                for client in clients:
                    with suppress(OSError):
                        client.sendall(drop)

        thread = Thread(target=drip)
        thread.start()
        time.sleep(2)
        try:
            yield
        finally:
            stop.set()
            thread.join()


def answers(port: int, timeout: float) -> bool:
    with suppress(OSError):
        return status(get(port, "/livez", timeout=timeout)) == 200
    return False


@pytest.mark.parametrize(
    ("what", "first", "drop"),
    [
        ("headers", request("/livez")[:-2], b"X-Drop: x\r\n"),
        ("bodies", request("/raw", "POST", b"Content-Length: 1000\r\n"), b"x"),
    ],
)
def test_slow_clients(start: Start, kind: str, what: str, first: bytes, drop: bytes) -> None:
    """What occupies threads stops the service for as long as it lasts: a proxy that buffers requests has to help."""
    with start() as server:
        with dripping(server.port, 200, first, drop):
            meanwhile = answers(server.port, 5)
        recovered = until(lambda: answers(server.port, 2), 40)
    print(
        f"{kind}: 200 slow {what}: meanwhile the service {'answers' if meanwhile else 'does not answer'}; "
        f"{recovered:.1f} s after they went it does"
    )
    assert meanwhile == (kind == "granian" and what == "headers")
    assert recovered < 35


def test_silent_connections(start: Start, kind: str) -> None:
    """More than one worker takes: they are closed after IDLE_TIMEOUT, which is 30 seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with start(WEB_CONCURRENCY="1") as server, ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(connect(server.port))
        time.sleep(1)
        meanwhile = answers(server.port, 1)
        seconds = until(lambda: answers(server.port, 2), 40)
        print(
            f"{kind}: 1,100 silent connections to one worker: meanwhile {meanwhile}; it answers after {seconds:.0f} s"
        )
        assert seconds < 35


def test_clients_that_do_not_close(start: Start, kind: str) -> None:
    with start(WEB_CONCURRENCY="1") as server, ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(connect(server.port))
            client.sendall(request("/livez", headers=CLOSE))
            assert status(read_answer(client)) == 200
        begun = time.monotonic()
        assert answers(server.port, 20)
        seconds = time.monotonic() - begun
    print(f"{kind}: 5 clients that do not close what was to be closed: the next is answered after {seconds:.2f} s")
    # Gunicorn waits for each in turn, up to two seconds; proxies close what is to be closed.
    assert seconds < (1.5 if kind == "granian" else 11)


def test_silent_and_idle_connections_do_not_delay_the_end(start: Start, kind: str) -> None:
    with start() as server, ExitStack() as stack:
        for number in range(40):
            client = stack.enter_context(connect(server.port))
            if number % 2:
                client.sendall(request("/livez"))
                assert status(read_answer(client)) == 200
        time.sleep(0.5)
        seconds = server.end(30)
    print(f"{kind}: SIGTERM with 20 silent and 20 idle connections: ends in {seconds:.2f} s")
    assert seconds < 6


def test_memory_is_steady(start: Start, kind: str) -> None:
    def some(count: int) -> None:
        message = request("/")
        with connect(server.port) as client:
            for _ in range(count):
                client.sendall(message)
                assert read_answer(client)

    sizes, used = [], []
    with start(WEB_THREADS="4") as server:
        for count in (20_000, 80_000):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(some, [count // 8] * 8))
            sizes.append(sum(resident(worker) for worker in server.workers()))
            used.append(sum(cpu_seconds(worker) for worker in server.workers()))
    print(
        f"{kind}: memory of both workers after 20,000 requests {sizes[0]} MiB, after 100,000 {sizes[1]} MiB; "
        f"{(used[1] - used[0]) / 80_000 * 1e6:.0f} µs of CPU a request"
    )
    assert sizes[1] < sizes[0] * 1.1 + 5


def test_first_process_of_a_container(service: Any, kind: str, tmp_path: Path) -> None:
    """As PID 1, the root file system read-only, only /tmp and /dev/shm to write to."""
    if os.geteuid() != 0:
        pytest.skip("only root can make namespaces: sudo make faults")
    port = free_port()
    folder = service.script.parent
    inside = f"""
        mount --make-rprivate / && mount --bind {folder} /mnt && mount -o remount,ro,bind /mnt &&
        mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && mount -o remount,ro,bind / || exit 97
        touch /mnt/x /x /var/x 2>/dev/null && exit 98
        export PYTHONPATH=/mnt/src PYTHONDONTWRITEBYTECODE=1; cd /tmp
        exec {service.command[0]} /mnt/{service.script.name} serve
    """
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", inside]
    server = service.spawn(tmp_path / "log", port, command, WEB_CONCURRENCY="2")
    try:
        until(lambda: server.process.poll() is not None or answers(port, 2), 30)
        assert server.process.poll() is None, server.log.read_text()
        (first,) = children(server.process.pid)
        pids = re.search(r"NSpid:\s+\d+\s+(\d+)", Path(f"/proc/{first}/status").read_text())
        assert pids
        assert pids[1] == "1"
        until(lambda: len(children(first)) == 2, 10)
        time.sleep(1)
        victim = children(first)[0]
        os.kill(victim, signal.SIGKILL)
        replaced = until(lambda: len(children(first)) == 2 and victim not in children(first), 5)
        until(lambda: zombies(first) == [], 5)
        until(lambda: answers(port, 2), 5)
        time.sleep(1)
        begun = time.monotonic()
        os.kill(first, signal.SIGTERM)
        code = server.process.wait(30)
        seconds = time.monotonic() - begun
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)
    print(
        f"{kind}: as PID 1 on a read-only root: a killed worker is replaced in {replaced:.2f} s, no zombie stays; "
        f"SIGTERM ends it in {seconds:.2f} s with status {code}"
    )
    assert code == 0
    assert seconds < 10


def test_unshare_is_there() -> None:
    assert subprocess.run(["unshare", "--version"], check=False, capture_output=True).returncode == 0
