"""Requests that are broken, too large, forged, or fail: what reaches the view, the client and the log."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Thread
from typing import Any

import pytest
from loading import CLOSE, chunked, connect, get, read_all, request, send, status
from running import clean_environment, free_port, until

Start = Callable[..., Any]
LIMIT = 1000
END = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


@pytest.mark.short
def test_process_environment_is_kept_from_requests(start: Start, kind: str) -> None:
    environment = {"DATABASE_PASSWORD": "confidential", "HTTP_PROXY": "http://proxy"}
    with start(**environment) as server:
        seen = json.loads(get(server.port, "/environ", headers=b"X-Sent: yes\r\n").partition(b"\r\n\r\n")[2])
    assert seen["HTTP_X_SENT"] == "yes"
    leaked = [name for name, value in seen.items() if name in environment or value in environment.values()]
    print(f"{kind}: {len(seen)} keys in the WSGI environment, {len(leaked)} of the process environment")
    assert leaked == []
    assert not {"PATH", "SECRET_KEY", "PYTHONPATH"} & seen.keys()


@pytest.mark.short
def test_chunked_bodies_at_the_limit_and_over_it(start: Start, kind: str) -> None:
    bodies = {
        "/raw": (b"", b"", b"application/octet-stream"),
        "/form": (b"a=", b"", b"application/x-www-form-urlencoded"),
        "/json": (b'"', b'"', b"application/json"),
    }
    found = {}
    with start(MAX_CONTENT_LENGTH=str(LIMIT)) as server:
        for path, (before, after, content_type) in bodies.items():
            headers = CLOSE + CHUNKED + b"Content-Type: " + content_type + b"\r\n"
            for length in (LIMIT, LIMIT + 1):
                body = before + b"x" * (length - len(before + after)) + after
                message = request(path, "POST", headers, chunked(body[:300], body[300:]) + END)
                found[path, length] = status(send(server.port, message))
    print(f"{kind}: chunked bodies: {found}")
    assert found == {
        (path, length): 200 if length == LIMIT else 413 for path in bodies for length in (LIMIT, LIMIT + 1)
    }


@pytest.mark.short
@pytest.mark.parametrize("broken", ["closed", "bad size"])
def test_broken_chunked_bodies(start: Start, kind: str, broken: str) -> None:
    """Gunicorn tells the view; Granian gives it a shorter body, which nothing tells from a complete one."""
    message = request("/raw", "POST", CLOSE + CHUNKED, chunked(b"x" * 300))
    with start() as server, connect(server.port) as connection:
        connection.sendall(message)
        if broken == "closed":
            connection.close()
        else:
            connection.sendall(b"not a size\r\n")
            read_all(connection)
        until(lambda: '"/raw"' in server.log.read_text(), 10)
        time.sleep(0.5)
        (seen,) = [line["status"] for line in lines(server.log) if line.get("path") == "/raw"]
        length = b"Content-Length: 600\r\n"
        with connect(server.port) as short:
            short.sendall(request("/raw?length", "POST", length, b"x" * 300))
        until(lambda: server.log.read_text().count('"/raw"') == 2, 10)
    told = [line["status"] for line in lines(server.log) if line.get("path") == "/raw"][-1]
    print(f"{kind}: a chunked body, {broken}: the view answers {seen}; one that ends before its Content-Length: {told}")
    assert told == 400
    assert seen == (200 if kind == "granian" else 400)


@pytest.mark.short
def test_streams_that_raise(start: Start, kind: str) -> None:
    """Before its first piece, or if it is small and tells its length, it is a 500; later it is cut."""
    with start() as server:
        at_once = get(server.port, "/breaks/0")
        middle = get(server.port, "/breaks/3")
        known = get(server.port, "/breaks/3?length=yes")
    complete = middle.endswith(b"0\r\n\r\n")
    print(
        f"{kind}: a stream that raises: at its start {status(at_once)}; in the middle "
        f"{'ends as if it were complete' if complete else 'is cut'}; small, with Content-Length {status(known)}"
    )
    assert status(at_once) == status(known) == 500
    assert not complete
    assert "in the middle" in server.log.read_text()


@pytest.mark.short
def test_forged_addresses(start: Start, kind: str) -> None:
    with start() as server:
        for header in (b"X-Forwarded-For", b"X_Forwarded_For"):
            answer = get(server.port, "/client", headers=header + b": 192.0.2.1\r\n")
            assert answer.endswith(b"127.0.0.1"), answer
    trusting = {"TRUSTED_PROXIES": "1", "PROXY_STRIPS_UNDERSCORES": "true"}
    with start(**trusting) as server:
        answer = get(server.port, "/client", headers=b"X-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 192.0.2.9\r\n")
    client = answer.rpartition(b"\n")[2].decode()
    print(f"{kind}: behind a trusted proxy, spelled in both ways: the client is {client}")
    # Granian joins both, which is why PROXY_STRIPS_UNDERSCORES has to be promised before a proxy is trusted.
    assert client == ("192.0.2.1" if kind == "gunicorn" else "192.0.2.9")


@pytest.mark.short
def test_exit_in_a_view(start: Start, kind: str) -> None:
    with start() as server:
        workers = server.workers()
        answers = [status(get(server.port, "/exit")) for _ in range(20)]
        time.sleep(1)
        assert server.workers() == workers
        assert server.live()
    print(f"{kind}: sys.exit(3) in a view, 20 times: {set(answers)}, and the same workers go on")
    assert set(answers) == {500}


@pytest.mark.short
def test_secrets_in_malformed_requests_are_not_logged(start: Start, kind: str) -> None:
    """Those that bear the name of one, as in any line."""
    broken = [
        b"GET /?token=confidential\r\n\r\n",
        b"GET /?token=confidential HTTP/9.9.9\r\n\r\n",
        b"G@T /?token=confidential HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: confidential\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Password: confidential\r\n\r\n",
        b"GET /?token=confidential" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ]
    with start() as server:
        answers = [status(send(server.port, message)) for message in broken]
        assert server.live()
    text = server.log.read_text()
    print(f"{kind}: malformed requests: {answers}; {text.count('confidential')} times in the log what they said")
    assert all(400 <= answer < 600 or answer == 0 for answer in answers)
    assert "confidential" not in text


def test_limits_of_the_head(start: Start, kind: str) -> None:
    large, larger = b"x" * 8000, b"x" * 200_000
    heads = {
        "a path of 8,000": (request("/" + large.decode(), headers=CLOSE), 404),
        "a header of 8,000": (request("/livez", headers=CLOSE + b"X-Large: " + large + b"\r\n"), 200),
        "90 headers": (request("/livez", headers=CLOSE + b"X-Many: x\r\n" * 90), 200),
        "a path of 200,000": (request("/" + larger.decode(), headers=CLOSE), 431 if kind == "granian" else 414),
        "a header of 200,000": (request("/livez", headers=CLOSE + b"X-Large: " + larger + b"\r\n"), 431),
        "200 headers": (request("/livez", headers=CLOSE + b"X-Many: x\r\n" * 200), 431),
    }
    with start() as server:
        found = {name: status(send(server.port, message)) for name, (message, _) in heads.items()}
    print(f"{kind}: {found}")
    assert found == {name: expected for name, (_, expected) in heads.items()}


@pytest.mark.short
@pytest.mark.parametrize("fail", ["start", "worker"])
def test_factory_that_raises(service: Any, kind: str, tmp_path: Path, fail: str) -> None:
    server = service.spawn(tmp_path / "log", free_port(), FAIL=fail)
    code = server.process.wait(30)
    text = server.log.read_text()
    print(f"{kind}: a factory that raises ({fail}): status {code}")
    assert code > 0
    assert "the reason of the failure" in text


@pytest.mark.short
def test_closed_streams(service: Any, kind: str, tmp_path: Path) -> None:
    """Nothing is logged, and nothing is written to what has taken the place of the stream."""
    port = free_port()
    command = ["sh", "-c", f"exec {' '.join(service.command)} <&- >&- 2>&-"]
    server = service.spawn(tmp_path / "log", port, command, WEB_CONCURRENCY="1")
    try:
        until(server.live, 30)
        answered = [get(port, "/wait/0") for _ in range(20)]
        assert all(answer.endswith(b"\r\n\r\n0") for answer in answered)
    finally:
        server.end(30)
    print(f"{kind}: with all streams closed: 20 answers, nothing else in them")


COUNT = 5000


def test_every_line_through_a_pipe(service: Any, kind: str) -> None:
    """Four workers, one pipe: lines up to 4 KiB are whole. Longer ones may mix while the pipe is full."""
    port = free_port()
    environment = service.environment(port, WEB_CONCURRENCY="4")
    received: list[bytes] = []
    with Popen(service.command, env=environment, stderr=PIPE, start_new_session=True) as process:
        assert process.stderr
        reader = Thread(target=lambda: received.extend(process.stderr or []))
        reader.start()
        try:
            until(lambda: answers(port), 30)
            time.sleep(2)
            with ThreadPoolExecutor(16) as pool:
                statuses = list(pool.map(lambda number: ask(port, number), range(COUNT)))
            process.terminate()
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
        reader.join(30)
    parsed = []
    for line in received:
        with suppress(ValueError):
            parsed.append(json.loads(line))
    of_requests: dict[str, list[dict[str, Any]]] = {}
    for line in parsed:
        if re.fullmatch(r"trial-\d+", line.get("request_id", "")):
            of_requests.setdefault(line["request_id"], []).append(line)
    larger = sum(len(line) > 4096 for line in received)
    print(
        f"{kind}: {COUNT} requests, 4 workers: {len(parsed)} lines, {len(received) - len(parsed)} of them no JSON; {larger} larger than PIPE_BUF, the largest "
        f"{max(map(len, received))} bytes; {sum(statuses)} exceptions"
    )
    assert len(received) - len(parsed) < COUNT / 100
    assert len(of_requests) > COUNT * 0.99
    for lines_of_one in of_requests.values():
        assert [line["event"] for line in lines_of_one].count("request") <= 1
    assert larger >= COUNT / 5 / 2
    assert not [line for line in parsed if line["event"] == "request" and not line.get("request_id")]


def answers(port: int) -> bool:
    try:
        return status(get(port, "/livez")) == 200
    except OSError:
        return False


def ask(port: int, number: int) -> bool:
    """Send a request with an id of its own; every fifth raises, with a traceback of 1, 6 or 12 KB."""
    raises = number % 5 == 0
    path = f"/bug/{(0, 6000, 12000)[number % 3]}" if raises else "/wait/0"
    answer = get(port, path, headers=b"X-Request-ID: trial-%d\r\n" % number)
    assert status(answer) == (500 if raises else 200)
    return raises


@pytest.mark.short
def test_threads_never_exceed_the_pool(bake: Any) -> None:
    """Each server starts WEB_THREADS threads a worker, and a worker's pool has as many connections."""
    for server in ("granian", "gunicorn"):
        folder = bake(server=server, sql="postgresql", project_name=f"Pool {server}").path
        package = next((folder / "src").iterdir()).name
        program = (
            f"import {package} as p; from {package}.extensions.sqlalchemy import db\n"
            "app = p.create_app({'APP_ENV': 'production', 'SECRET_KEY': '" + os.urandom(32).hex() + "',"
            " 'DATABASE_URL': 'postgresql://root@127.0.0.1/none', 'WEB_THREADS': 13})\n"
            "with app.app_context(): print(db.engine.pool.size())"
        )
        environment = clean_environment(PYTHONPATH=str(folder / "src"))
        with Popen([sys.executable, "-c", program], env=environment, stdout=PIPE, text=True) as process:
            sizes = {int(word) for word in process.communicate(timeout=30)[0].split()}
        print(f"{server}: WEB_THREADS=13: pools of {sizes}")
        assert sizes
        assert min(sizes) >= 13
