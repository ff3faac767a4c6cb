import re
import socket
import socketserver
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from threading import Thread
from time import monotonic
from types import ModuleType
from typing import Any

import pytest
import structlog
from flask import Flask
from redis import RedisError, exceptions

EXTENSION = "extensions.redis"


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(f".{EXTENSION}", package.__name__)


@pytest.fixture
def asking(probe: Callable[..., Flask], extension: ModuleType) -> Callable[..., Flask]:
    """Make an application with a route ``/ask``, which reads a key."""

    def make(url: str = "", **config: Any) -> Flask:
        app = probe(EXTENSION, **({"REDIS_URL": url} if url else {}), **{"REDIS_TIMEOUT": 10} | config)
        app.add_url_rule("/ask", view_func=lambda: extension.client().get("key") or "nothing")
        return app

    return make


class Answers(socketserver.StreamRequestHandler):
    """Answers each command with the next of the server's answers, and then with the last again and again."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            for _ in range(int(line[1:])):  # The arguments, each after its length.
                self.rfile.read(int(self.rfile.readline()[1:]) + 2)
            answers: list[bytes] = self.server.answers  # type: ignore[attr-defined]
            self.wfile.write((answers.pop(0) if len(answers) > 1 else answers[0]) + b"\r\n")


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """The address of a server that answers this: ``answering(b"-READONLY no writes")``."""
    with ExitStack() as stack:

        def start(*answers: bytes) -> str:
            server: Any = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers))
            server.daemon_threads, server.answers = True, [b"+OK", b"+OK", *answers]  # for two of CLIENT SETINFO
            stack.callback(server.shutdown)
            Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
            return f"redis://127.0.0.1:{server.server_address[1]}"

        yield start


def ready(app: Flask) -> str:
    """What /readyz says of Redis."""
    return str(app.test_client().get("/readyz").get_json()["checks"]["redis"])


# --- settings ---


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "http://host",
        "redis://",
        "redis:///0",
        "redis://host/name",
        "redis://host/0/1",
        "redis://host:99999",
        "redis://user:hunter",
        "redis://host#0",
        "redis://:pass/hunter@host",
        "redis://:pass@hunter@host",
        "unix://",
        "redis://host?socket_timeout=60",
        "redis://host/0?ssl_cert_reqs=none",
        "rediss://host?ssl_cert_reqs=maybe",
        "rediss://host?ssl_unknown=1",
        "rediss://host?ssl_min_version=new",
        "rediss://host?ssl_cert_reqs=none&timeout=60",
        "memory://host",
    ],
)
def test_a_wrong_address_is_refused(probe: Callable[..., Flask], package: ModuleType, url: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match="REDIS_URL: ") as refusal:
        probe(EXTENSION, REDIS_URL=url)
    assert str(refusal.value).count("\n") == 1
    assert "hunter" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://user:p%40ss@host:6380/15",
        "redis://[::1]:6379/1",
        "unix:///run/redis.sock?db=3",
        "rediss://:password@host/0?ssl_cert_reqs=none&ssl_ca_certs=/path",
    ],
)
def test_a_right_address_is_taken(probe: Callable[..., Flask], url: str) -> None:
    """Nobody is there: at the start, nothing connects."""
    options = probe(EXTENSION, REDIS_URL=url).extensions["redis"].connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (1, 1)
    assert options.get("password") in (None, "p@ss", "password")


def test_production_needs_an_address(
    probe: Callable[..., Flask], package: ModuleType, production: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL")
    with pytest.raises(package.core.settings.ConfigError, match="REDIS_URL: Set it to the address of Redis"):
        probe(EXTENSION, **production)
    assert probe(EXTENSION).config["REDIS_URL"] == "memory://"


def test_the_imitation_in_production_is_said(
    probe: Callable[..., Flask], production: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    probe(EXTENSION, **production, REDIS_URL="memory://")
    assert "embedded_redis" in caplog.text


def test_the_imitation_is_not_installed(
    probe: Callable[..., Flask], package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    with pytest.raises(package.core.settings.ConfigError, match="REDIS_URL: memory:// needs fakeredis"):
        probe(EXTENSION, REDIS_URL="memory://")


def test_the_password_is_not_logged(probe: Callable[..., Flask], capfd: pytest.CaptureFixture[str]) -> None:
    probe(EXTENSION, REDIS_URL="redis://user:unguessable%40@host")
    structlog.get_logger().info("connecting to redis://user:unguessable%40@host", reason="unguessable@")
    assert "connecting" in (logged := capfd.readouterr().err)
    assert "unguessable" not in logged


# --- use ---


def test_text_comes_back(asking: Callable[..., Flask], redis: Any) -> None:
    app = asking()
    assert app.test_client().get("/ask").text == "nothing"
    redis.set("key", "Ω")
    assert app.test_client().get("/ask").text == "Ω"
    assert ready(app) == "ok"


def test_each_application_has_its_own_imitation(asking: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    first = asking("memory://")
    # The fixture gives all applications of a test the same.
    server = first.extensions["redis"].connection_pool.connection_kwargs["server"]
    monkeypatch.setattr("fakeredis.FakeServer", type(server))
    second = asking("memory://")
    first.extensions["redis"].set("key", "mine")
    assert first.test_client().get("/ask").text == "mine"
    assert second.test_client().get("/ask").text == "nothing"


def test_locks(redis: Any) -> None:
    """They are scripts, for which the imitation needs Lua."""
    with redis.lock("lock", timeout=1):
        assert redis.exists("lock")
    assert not redis.exists("lock")


def test_a_wrong_command_is_a_bug(asking: Callable[..., Flask], redis: Any) -> None:
    redis.lpush("key", "a list")
    app = asking(PROPAGATE_EXCEPTIONS=False)
    assert app.test_client().get("/ask").status_code == 500


# --- faults ---


def test_nobody_listens(asking: Callable[..., Flask], port: int) -> None:
    app = asking(f"redis://127.0.0.1:{port}")
    with structlog.testing.capture_logs() as logs:
        response = app.test_client().get("/ask")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.get_json()["detail"] == "redis is unavailable."
    assert [log["store"] for log in logs if log["event"] == "store_unavailable"] == ["redis"]
    assert ready(app) == "unavailable"
    assert app.test_client().get("/").status_code == app.test_client().get("/livez").status_code == 200


def test_nobody_answers(asking: Callable[..., Flask]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = asking(f"redis://127.0.0.1:{silent.getsockname()[1]}", REDIS_TIMEOUT=0.1)
        begun = monotonic()
        assert app.test_client().get("/ask").status_code == 503
        assert ready(app) == "unavailable"
        assert monotonic() - begun < 10  # Without a time-out, it waits for ever.


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"-LOADING Redis is loading the dataset in memory", 503),
        (b"-READONLY You can't write against a read only replica.", 503),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", 503),
        (b"-MISCONF Redis is configured to save RDB snapshots, but is unable to persist", 503),
        (b"-NOREPLICAS Not enough good replicas to write.", 503),
        (b"-MASTERDOWN Link with MASTER is down", 503),
        (b"-BUSY Redis is busy running a script.", 503),
        (b"-NOAUTH Authentication required.", 503),
        (b"-ERR max number of clients reached", 503),
        (b"-ERR syntax error", 500),
        (b"-WRONGTYPE Operation against a key", 500),
        (b"-NOPERM this user has no permissions", 500),
    ],
)
def test_errors(asking: Callable[..., Flask], answering: Callable[..., str], answer: bytes, status: int) -> None:
    app = asking(answering(answer), PROPAGATE_EXCEPTIONS=False)
    assert app.test_client().get("/ask").status_code == status


def test_a_primary_that_has_become_a_replica(asking: Callable[..., Flask], answering: Callable[..., str]) -> None:
    """Its connections are closed: those that follow go where the name of the host leads by now."""
    app = asking(answering(b"-READONLY no writes", b"+OK", b"+OK", b"$2\r\nhi"))
    assert [app.test_client().get("/ask").status_code for _ in range(2)] == [503, 200]
    assert app.test_client().get("/ask").text == "hi"


@pytest.mark.parametrize("answer", [b"-OOM full", b"-ERR syntax error"])
def test_values_of_a_pipeline_are_not_logged(
    probe: Callable[..., Flask],
    extension: ModuleType,
    answering: Callable[..., str],
    answer: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = probe(EXTENSION, REDIS_URL=answering(answer), PROPAGATE_EXCEPTIONS=False)
    value = "personal"
    app.add_url_rule("/add", view_func=lambda: extension.client().pipeline(False).set("key", value).execute())
    assert app.test_client().get("/add").status_code in (500, 503)
    assert answer[-4:].decode() in caplog.text
    assert value not in caplog.text


# --- readiness ---


def hello(**fields: str) -> bytes:
    """The answer of a server to HELLO."""
    words = [word for pair in fields.items() for word in pair]
    return "\r\n".join([f"*{len(words)}", *(f"${len(word)}\r\n{word}" for word in words)]).encode()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (hello(server="redis", version="6.2.0", mode="standalone", role="master"), "ok"),
        (hello(server="valkey", version="10.1.0", mode="standalone", role="master"), "ok"),
        (hello(server="redis", version="6.0.16", mode="standalone", role="master"), "needs 6.2"),
        (hello(server="redis", version="8.0.0", mode="standalone", role="replica"), "replica"),
        (hello(server="redis", version="8.0.0", mode="cluster", role="master"), "cluster"),
        (b"-ERR unknown command `HELLO`", "older than 6.2"),
        (b"-WRONGPASS invalid username-password pair or user is disabled.", "the user, password"),
        (b"-ERR DB index is out of range", "or number"),
        (b"-LOADING Redis is loading the dataset in memory", "^unavailable$"),
    ],
)
def test_readiness(probe: Callable[..., Flask], answering: Callable[..., str], answer: bytes, message: str) -> None:
    assert re.search(message, ready(probe(EXTENSION, REDIS_URL=answering(answer))))


# --- observers ---


def test_observers(probe: Callable[..., Flask], extension: ModuleType, package: ModuleType, redis: Any) -> None:
    seen: list[tuple[str, str, object]] = []
    app = probe()
    nosql = import_module(".extensions.nosql", package.__name__)
    nosql.observers(app).append(lambda store, command: lambda error: seen.append((store, command, type(error))))
    app.config.update(REDIS_URL=probe(EXTENSION).config["REDIS_URL"], REDIS_TIMEOUT=1)
    extension.init_app(app)
    client = app.extensions["redis"]
    client.set("key", 1)
    with pytest.raises(RedisError):
        client.execute_command("lpush", "key", 1)
    client.pipeline().set("key", 2).set("key", 3).execute()
    client.pipeline(transaction=False).get("key").execute()

    def add(pipe: Any) -> None:
        value = pipe.get("key")
        pipe.multi()
        pipe.set("key", int(value) + 1)

    client.transaction(add, "key")
    assert redis.get("key") == "4"
    assert {store for store, _, _ in seen} == {"redis"}
    assert [command for _, command, _ in seen] == ["SET", "LPUSH", "MULTI", "PIPELINE", "WATCH", "GET", "MULTI"]
    assert [error for _, _, error in seen if error is not type(None)] == [exceptions.ResponseError]


def test_without_observers_nothing_is_registered(probe: Callable[..., Flask]) -> None:
    client = probe(EXTENSION).extensions["redis"]
    assert not {"execute_command", "pipeline"} & vars(client).keys()
