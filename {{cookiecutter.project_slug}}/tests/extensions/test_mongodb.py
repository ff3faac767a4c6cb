import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from threading import Thread
from time import monotonic
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
from flask import Flask
from pymongo import IndexModel, MongoClient, errors

Probe = Callable[..., Flask]
HELLO = {"ok": 1, "ismaster": True, "minWireVersion": 0, "maxWireVersion": 25, "maxBsonObjectSize": 16777216}


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.mongodb", package.__name__)


@pytest.fixture
def embedded(package: ModuleType) -> ModuleType:
    return import_module(".extensions.mongodb.embedded", package.__name__)


@pytest.fixture
def make(probe: Probe, extension: ModuleType) -> Probe:
    """Make an application with a view of the database."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.mongodb", PROPAGATE_EXCEPTIONS=False, **config)
        app.add_url_rule("/count", view_func=lambda: str(extension.database().things.count_documents({"a": 1})))
        return app

    return make


@pytest.fixture
def imitate() -> Iterator[Callable[..., str]]:
    """Make a server that answers each command alike: ``imitate({"ok": 1})``, of this version of the protocol."""
    from nx_27017.server import handle_client_threaded

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def imitate(answer: dict[str, Any], version: int = 25) -> str:
            handler = Mock()
            hello = HELLO | {"maxWireVersion": version}
            handler.handle_query = lambda message: (0, [hello])
            handler.handle_command = lambda message: (
                0,
                hello if {"hello", "ismaster"} & message["sections"][0][1].keys() else answer,
            )

            def accept() -> None:
                while True:
                    try:
                        client, _ = listener.accept()
                    except OSError:
                        return
                    Thread(target=handle_client_threaded, args=[client, handler], daemon=True).start()

            Thread(target=accept, daemon=True).start()
            return f"mongodb://user:confidential@127.0.0.1:{listener.getsockname()[1]}/name"

        yield imitate
        listener.shutdown(socket.SHUT_RDWR)


def test_documents_come_back(make: Probe, extension: ModuleType, mongodb: Any) -> None:
    app = make()
    assert app.test_client().get("/readyz").get_json()["checks"] == {"mongodb": "ok"}
    mongodb.things.insert_many([{"a": 1}, {"a": 2}])
    assert app.test_client().get("/count").text == "1"


def test_production_needs_an_address(probe: Probe, production: dict[str, str], package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError, match="MONGODB_URL: Set it to the address of a database"):
        probe("extensions.mongodb", **production | {"MONGODB_URL": ""})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/name", "Invalid URI scheme"),
        ("mongodb://host", "No default database"),
        ("mongodb+srv://host.example.com", "No default database"),
        ("mongodb://host:70000/name", "Port must be"),
        ("mongodb://user:confidential@@host/name", "must be escaped"),
        ("mongodb://user:confidential/@host/name", "Bad database name"),
        ("mongodb://host/name?nonsense=confidential", "Unknown option"),
        ("mongodb://host/name?tls=confidential", "tls must be"),
        ("mongodb://host/name?tlsCAFile=/confidential", "not readable"),
        ("mongodb://host/name?socketTimeoutMS=9&maxPoolSize=7", "Take out socketTimeoutMS, maxPoolSize"),
        ("mongodb://host/name?TIMEOUTMS=9", "Take out TIMEOUTMS"),
        ("file:", "the path of a folder"),
        (f"file:/{'x' * 100}", "the path of a folder"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(probe: Probe, package: ModuleType, url: str, message: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=message) as refusal:
        probe("extensions.mongodb", MONGODB_URL=url)
    assert str(refusal.value).count("\n") == 1
    assert "confidential" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["mongodb+srv://user:p%40ss@host.example.com/name", "mongodb://one,two:7/name?replicaSet=a&tls=true&w=2"]
)
def test_nobody_is_asked_at_the_start(make: Probe, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=AssertionError))
    client = make(MONGODB_URL=url, WEB_THREADS=3).extensions["mongodb"]
    assert client.nodes == frozenset()
    assert client.options.pool_options.max_pool_size == 5
    assert client.options.timeout == 2.0


def test_writes_wait_for_the_journal_unless_the_address_says_otherwise(make: Probe) -> None:
    concern = [
        make(MONGODB_URL=f"mongodb://host/name{query}").extensions["mongodb"].write_concern.document["w"]
        for query in ("", "?w=1")
    ]
    assert concern == ["majority", 1]


@pytest.mark.parametrize("backlog", [None, 10])
def test_nobody_answers(make: Probe, backlog: int | None) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if backlog:  # It takes connections and says nothing; otherwise it refuses them.
            server.listen(backlog)
        url = f"mongodb://127.0.0.1:{server.getsockname()[1]}/name"
        client = make(MONGODB_URL=url, MONGODB_TIMEOUT=0.1).test_client()
        begun = monotonic()
        response = client.get("/count")
        assert monotonic() - begun < 10  # PyMongo's own time-out is 30 seconds.
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert client.get("/readyz").get_json()["checks"] == {"mongodb": "unavailable"}
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("code", "version", "told"),
    [
        (18, 25, "MongoDB refuses the user or the password of MONGODB_URL"),
        (13, 25, "MongoDB refuses the user or the password of MONGODB_URL"),
        (18, 6, "MongoDB is too old, or DNS does not know it: the log says which"),
    ],
)
def test_what_an_operator_has_to_do(make: Probe, imitate: Any, code: int, version: int, told: str) -> None:
    """Probes are told, and nobody else."""
    url = imitate({"ok": 0, "code": code, "errmsg": "No confidential"}, version)
    client = make(MONGODB_URL=url).test_client()
    ready, response = client.get("/readyz"), client.get("/count")
    assert ready.get_json()["checks"]["mongodb"] == told
    assert "confidential" not in ready.text + response.text
    assert (response.status_code, response.get_json()["detail"]) == (503, "mongodb is unavailable.")


def test_what_is_unavailable(make: Probe) -> None:
    app = make()
    raised: list[Exception] = []

    @app.get("/raise")
    def view() -> str:
        raise raised[-1]

    def status(error: Exception) -> int:
        raised.append(error)
        return app.test_client().get("/raise").status_code

    conflict = errors.OperationFailure("", 112, {"errorLabels": ["TransientTransactionError"]})
    away = [errors.NotPrimaryError(), errors.ExecutionTimeout(""), errors.WaitQueueTimeoutError(), conflict]
    assert {status(error) for error in away} == {503}
    bugs = [errors.DuplicateKeyError(""), errors.OperationFailure("", 2), errors.InvalidOperation()]
    assert {status(error) for error in bugs} == {500}


def test_upgrade(make: Probe, mongodb: Any) -> None:
    app = make()
    names = [IndexModel("name", unique=True), IndexModel([("paid", -1), ("name", 1)], name="paid")]
    module = Mock(spec=["INDEXES", "__name__"], INDEXES={"things": names}, __name__="module")
    app.extensions["modules"].append(module)
    client, runner = app.test_client(), app.test_cli_runner()
    assert client.get("/readyz").get_json()["checks"]["mongodb"] == "MongoDB lacks indexes: run `mongodb upgrade`"
    for _ in range(2):
        result = runner.invoke(args=["mongodb", "upgrade"])
        assert (result.exit_code, result.output) == (0, "")
    assert client.get("/readyz").get_json()["checks"]["mongodb"] == "ok"
    mongodb.things.insert_one({"name": "a"})
    with pytest.raises(errors.DuplicateKeyError):
        mongodb.things.insert_one({"name": "a"})
    # They are not looked for again.
    mongodb.drop_collection("things")
    assert client.get("/readyz").get_json()["checks"]["mongodb"] == "ok"


def test_upgrade_without_a_server(make: Probe, port: int) -> None:
    app = make(MONGODB_URL=f"mongodb://127.0.0.1:{port}/name", MONGODB_TIMEOUT=0.1)
    result = app.test_cli_runner().invoke(args=["mongodb", "upgrade"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: MongoDB: ")
    assert result.output.count("\n") == 1


def test_observers(
    probe: Probe,
    package: ModuleType,
    extension: ModuleType,
    mongodb: Any,
    imitate: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They see each command and how it ended."""
    seen: list[tuple[str, str, type[Any]]] = []

    def observe(store: str, command: str) -> Callable[[BaseException | None], None]:
        return lambda error: seen.append((store, command, type(error)))

    monkeypatch.setattr(extension, "observers", lambda app: [observe, observe])
    url = imitate({"ok": 0, "code": 2, "errmsg": ""}).replace("user:confidential@", "")
    with probe("extensions.mongodb").app_context():
        extension.database().things.insert_one({})
    with probe("extensions.mongodb", MONGODB_URL=url).app_context(), pytest.raises(errors.OperationFailure):
        extension.database().command("count", "things")
    assert seen == [("mongodb", "insert", type(None))] * 2 + [("mongodb", "count", errors.OperationFailure)] * 2


def test_without_observers_nothing_is_registered(probe: Probe, mongodb_setting: Any) -> None:
    assert probe("extensions.mongodb").extensions["mongodb"].options.event_listeners == [mongodb_setting]


def test_two_applications(make: Probe, mongodb: Any, mongodb_url: str) -> None:
    first, second = make(), make(MONGODB_URL=mongodb_url.replace(mongodb.name, f"{mongodb.name}_2"))
    mongodb.things.insert_one({"a": 1})
    assert [app.test_client().get("/count").text for app in (first, second)] == ["1", "0"]


def test_passwords_are_not_logged(make: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    make(MONGODB_URL="mongodb://user:p%40ssword-of-it@one,two/name")
    structlog.get_logger().warning("tried", at="mongodb://user:p%40ssword-of-it@one,two/name", why="p@ssword-of-it")
    assert "ssword-of-it" not in "".join(capsys.readouterr())


def test_production_may_embed_it(
    probe: Probe, production: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    probe("extensions.mongodb", **production | {"MONGODB_URL": "file:kept"})
    assert "embedded_database" in caplog.text
    assert not list(tmp_path.iterdir())


def test_what_development_alone_has_may_be_missing(
    probe: Probe, package: ModuleType, embedded: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.delenv("MONGODB_URL")
    with pytest.raises(package.core.settings.ConfigError, match="MONGODB_URL: file: needs nx-27017"):
        probe("extensions.mongodb", APP_ENV="development")


def test_a_folder_is_served_by_one_process(
    make: Probe, embedded: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one takes over when it ends."""
    monkeypatch.chdir(tmp_path)
    client = make(MONGODB_URL="file:kept").test_client()
    assert not list(tmp_path.iterdir())
    Path("kept").mkdir()
    with (tmp_path / "kept/lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        embedded.start("file:kept")
        assert not Path("kept/server.sock").exists()
    # Whichever of the two serves now.
    assert client.get("/count").text == "0"
    with closing(MongoClient[Any](embedded.address("file:kept"), timeoutMS=5000)) as direct:
        direct.get_default_database().things.insert_one({"a": 1, "token": token_hex(4)})
    assert client.get("/count").text == "1"
