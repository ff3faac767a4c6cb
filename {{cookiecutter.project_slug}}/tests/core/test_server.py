import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from time import monotonic, sleep
from types import ModuleType

import pytest
from flask.testing import FlaskCliRunner

Serve = Callable[..., Popen[bytes]]
Fetch = Callable[..., tuple[int, str]]

#: The service with some more routes, to see what the server makes of them.
MORE = """
import os
import sys
import time
import PACKAGE as package
from flask import request
from flask.cli import FlaskGroup

make, main = package.create_app, os.getpid()

def create_app(config=None):
    if "FAIL" in os.environ and os.getpid() != main:
        raise RuntimeError("not today")
    if "SLOW" in os.environ and os.getpid() != main:
        open(os.environ["SLOW"], "x").close()
        time.sleep(0.5)
    app = make(config)

    @app.get("/slow")
    def slow():
        yield "begun, "
        time.sleep(0.5)
        yield "done"

    @app.get("/breaks")
    def breaks():
        yield from [1 / 0]

    @app.post("/length")
    def length():
        return str(len(request.get_data()))

    @app.get("/exit")
    def leave():
        sys.exit(3)

    @app.get("/environ")
    def environ():
        return str(request.environ)

    return app

package.create_app = create_app

if __name__ == "__main__":
    FlaskGroup(create_app=create_app, load_dotenv=False).main()
"""


@pytest.fixture
def more(package: ModuleType, tmp_path: Path) -> str:
    script = tmp_path / "more.py"
    script.write_text(MORE.replace("PACKAGE", package.__name__))
    return str(script)


def test_serve(serve: Serve, fetch: Fetch, tmp_path: Path) -> None:
    server = serve()
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(fetch, ["/livez"] * 100))
    assert answers == {(200, '{"status":"ok"}')}
    # A request is logged when its answer has been sent.
    deadline = monotonic() + 10
    while (tmp_path / "server.log").read_text().count('"event":"request"') < 100:
        assert monotonic() < deadline
        sleep(0.05)
    server.terminate()
    assert server.wait(timeout=10) == 0
    events = [json.loads(line)["event"] for line in (tmp_path / "server.log").read_text().splitlines()]
    assert "serving" in events
    assert events.count("request") >= 100


def test_running_requests_are_answered_before_the_end(serve: Serve, port: int, more: str) -> None:
    server = serve(more)
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/slow")
        response = connection.getresponse()
        assert response.read(7) == b"begun, "
        server.terminate()
        assert response.read() == b"done"
    assert server.wait(timeout=10) == 0


def test_chunked_body_over_the_limit(serve: Serve, fetch: Fetch, more: str) -> None:
    serve(more, MAX_CONTENT_LENGTH="1000")
    # http.client sends what it has to iterate over in chunks.
    assert fetch("/length", "POST", body=iter([b"x" * 500, b"x" * 500])) == (200, "1000")
    assert fetch("/length", "POST", body=iter([b"x" * 500, b"x" * 501]))[0] == 413


def test_no_secret_reaches_a_request(serve: Serve, fetch: Fetch, more: str, production: dict[str, str]) -> None:
    serve(more)
    _, environ = fetch("/environ")
    assert "'PATH_INFO': '/environ'" in environ
    assert not [value for value in production.values() if value in environ]


def test_what_no_error_handler_sees_is_an_error(serve: Serve, fetch: Fetch, more: str) -> None:
    """An exit, and a stream that fails at its start."""
    server = serve(more)
    for path in "/exit", "/breaks":
        status, problem = fetch(path)
        assert (status, json.loads(problem)["status"]) == (500, 500)
    assert fetch("/livez")[0] == 200
    assert server.poll() is None


def test_a_worker_that_fails_to_start(more: str, port: int, production: dict[str, str]) -> None:
    env = os.environ | production | {"HOST": "127.0.0.1", "PORT": str(port), "FAIL": "yes"}
    refusal = subprocess.run([sys.executable, more, "serve"], env=env, check=False, capture_output=True, timeout=30)
    assert refusal.returncode > 0
    failures = [line for line in map(json.loads, refusal.stderr.splitlines()) if line["event"] == "worker_failed"]
    assert "not today" in failures[0]["exception"]


def test_stopped_while_a_worker_starts(more: str, port: int, production: dict[str, str], tmp_path: Path) -> None:
    started = tmp_path / "started"
    address = {"HOST": "127.0.0.1", "PORT": str(port)}
    env = os.environ | production | address | {"WEB_WORKERS": "1", "SLOW": str(started)}
    with Popen([sys.executable, more, "serve"], env=env, stderr=subprocess.PIPE) as server:
        while not started.exists():
            assert server.poll() is None
            sleep(0.05)
        server.terminate()
        _, logged = server.communicate(timeout=30)
    assert server.returncode == 0
    assert not [line for line in map(json.loads, logged.splitlines()) if "exception" in line]


def test_port_in_use(serve: Serve, port: int, package: ModuleType, production: dict[str, str]) -> None:
    serve()
    command = [sys.executable, "-m", package.__name__, "serve"]
    env = os.environ | production | {"HOST": "127.0.0.1", "PORT": str(port)}
    second = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert "in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_command(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["serve", "--help"])
    assert result.exit_code == 0
    assert "Run the production server" in result.output


def test_serve_without_settings(package: ModuleType, production: dict[str, str]) -> None:
    command = [sys.executable, "-m", package.__name__, "serve"]
    refusal = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert refusal.returncode == 1
    assert "Traceback" not in refusal.stderr
    for name in production.keys() - {"APP_ENV"}:
        assert f"{name}: " in refusal.stderr
