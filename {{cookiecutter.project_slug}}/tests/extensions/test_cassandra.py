import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from threading import Event
from time import monotonic
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
from flask import Flask

Probe = Callable[..., Flask]
SELECT = "SELECT key FROM system.local"


@pytest.fixture
def extension(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = import_module(".extensions.cassandra", package.__name__)
    monkeypatch.setattr(module, "PAUSE", 0.05)
    return module


@pytest.fixture
def start(probe: Probe, extension: ModuleType) -> Probe:
    """Make an application that answers ``/rows`` with rows."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.cassandra", **config)
        app.add_url_rule("/rows", view_func=lambda: extension.execute(SELECT))
        return app

    return make


@pytest.fixture
def session(extension: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session as the driver has one, without a server."""
    session = Mock(keyspace="orders")
    session.execute.return_value = [{"key": "local"}]
    session.cluster.metadata.all_hosts.return_value = [SimpleNamespace(is_up=True)]
    session.cluster.metadata.keyspaces = {"orders": SimpleNamespace(tables={"notes"})}
    monkeypatch.setattr(extension, "connect", Mock(return_value=session))
    return session


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CASSANDRA_HOSTS", "10.0.0.1:9042"),
        ("CASSANDRA_HOSTS", "cassandra://host"),
        ("CASSANDRA_HOSTS", "one two"),
        ("CASSANDRA_KEYSPACE", "Orders"),
        ("CASSANDRA_KEYSPACE", "a-b"),
        ("CASSANDRA_KEYSPACE", "x" * 49),
        ("CASSANDRA_DATACENTER", "x' OR '"),
        ("CASSANDRA_REPLICAS", "0"),
        ("CASSANDRA_PROTOCOL", "2"),
        ("CASSANDRA_PORT", "0"),
        ("CASSANDRA_CA", "/no/such/file"),
        ("CASSANDRA_CA", __file__),
        ("CASSANDRA_TIMEOUT", "0"),
    ],
)
def test_a_wrong_setting_is_refused(probe: Probe, package: ModuleType, name: str, value: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=rf"^These.*\n  {name}: .+$"):
        probe("extensions.cassandra", **{name: value})


@pytest.mark.parametrize(("given", "missing"), [("USER", "PASSWORD"), ("PASSWORD", "USER")])
def test_a_user_and_a_password_belong_together(probe: Probe, package: ModuleType, given: str, missing: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=f"CASSANDRA_{missing}: Set both"):
        probe("extensions.cassandra", **{f"CASSANDRA_{given}": "alone"})


@pytest.mark.parametrize("hosts", ["10.0.0.1, 10.0.0.2", "db-1.example.com", "::1,fe80::1", ["a", "b"]])
def test_hosts(probe: Probe, hosts: Any) -> None:
    given = hosts if isinstance(hosts, list) else hosts.replace(" ", "").split(",")
    assert probe("extensions.cassandra", CASSANDRA_HOSTS=hosts).config["CASSANDRA_HOSTS"] == given


@pytest.mark.parametrize("name", ["CASSANDRA_HOSTS", "CASSANDRA_KEYSPACE"])
def test_production_needs_it(probe: Probe, package: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(package.core.settings.ConfigError, match=f"  {name}: Set it to"):
        probe("extensions.cassandra", APP_ENV="production")


def test_nothing_is_connected_at_start(start: Probe, extension: ModuleType, session: Any) -> None:
    app = start()
    assert app.test_client().get("/livez").status_code == 200
    assert not extension.connect.called
    assert app.test_client().get("/rows").get_json() == [{"key": "local"}]
    assert app.test_client().get("/rows").status_code == 200
    assert extension.connect.call_count == session.prepare.call_count == 1


def test_two_applications_have_a_session_each(start: Probe, extension: ModuleType, session: Any) -> None:
    for app in (start(), start()):
        assert app.test_client().get("/rows").status_code == 200
    assert extension.connect.call_count == 2


def test_a_process_that_was_forked_makes_its_own(
    start: Probe, extension: ModuleType, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start().test_client()
    assert client.get("/rows").status_code == 200
    monkeypatch.setattr(extension.os, "getpid", lambda: 1)
    assert client.get("/rows").status_code == 200
    assert extension.connect.call_count == session.prepare.call_count == 2


def test_nobody_listens(start: Probe, port: int) -> None:
    client = start(CASSANDRA_PORT=port).test_client()
    for _ in range(2):  # The second time, the failure is remembered.
        began = monotonic()
        response = client.get("/rows")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert response.get_json()["detail"] == "cassandra is unavailable."
        assert monotonic() - began < 9  # CASSANDRA_TIMEOUT is 10 seconds here.
    assert client.get("/").status_code == client.get("/livez").status_code == 200
    assert client.get("/readyz").get_json()["checks"] == {"cassandra": "unavailable"}


def test_nobody_answers(start: Probe, silent: int) -> None:
    client = start(CASSANDRA_HOSTS="127.0.0.1,127.0.0.1", CASSANDRA_PORT=silent, CASSANDRA_TIMEOUT=0.2).test_client()
    began = monotonic()
    assert client.get("/rows").status_code == 503
    assert monotonic() - began < 4  # By itself, the driver waits for five seconds, for one node after the other.


def test_a_statement_that_is_not_prepared_in_time(start: Probe, session: Any) -> None:
    """The driver waits for ten seconds."""
    end = Event()
    session.prepare = lambda statement: end.wait(10)
    client = start(CASSANDRA_TIMEOUT=0.1).test_client()
    with structlog.testing.capture_logs() as logs:
        assert client.get("/rows").status_code == 503
    assert "Cassandra has not answered within 0.1 s." in str(logs)
    end.set()


def test_recovery(start: Probe, extension: ModuleType, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([extension.UnavailableError("It is away."), session])
    monkeypatch.setattr(extension, "connect", Mock(side_effect=tries))
    client, until = start().test_client(), monotonic() + 30
    assert client.get("/rows").status_code == 503
    while client.get("/rows").status_code == 503:
        assert monotonic() < until
    assert extension.connect.call_count == 2


def test_nodes_with_other_addresses(start: Probe, extension: ModuleType, session: Any, monkeypatch: Any) -> None:
    """The driver tries the addresses that it knows for ever: while all nodes are away, they are looked up again."""
    from cassandra.cluster import NoHostAvailable

    client, until, other = start().test_client(), monotonic() + 30, Mock()
    assert client.get("/rows").status_code == 200
    session.execute.side_effect = NoHostAvailable("Unable to complete the operation", {})
    assert client.get("/rows").status_code == 503
    assert extension.connect.call_count == 1  # A node is up, and too busy.
    session.cluster.metadata.all_hosts.return_value = [SimpleNamespace(is_up=False)]
    other.execute.return_value = [{"key": "local"}]
    monkeypatch.setattr(extension, "connect", Mock(side_effect=[extension.UnavailableError("away"), other]))
    while client.get("/rows").status_code == 503:
        assert monotonic() < until
    while not session.cluster.shutdown.called:
        assert monotonic() < until
    assert extension.connect.call_count == 2


def test_what_a_developer_has_to_start(
    start: Probe, extension: ModuleType, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CASSANDRA_HOSTS")
    app = start(APP_ENV="development", CASSANDRA_PORT=port)
    what = f"No Cassandra answers at 127.0.0.1:{port}: start one, as README.md says, or set CASSANDRA_HOSTS."
    assert app.test_client().get("/readyz").get_json()["checks"] == {"cassandra": what}
    with structlog.testing.capture_logs() as logs:
        assert app.test_client().get("/rows").status_code == 503
    assert logs[0]["reason"] == what
    done = app.test_cli_runner().invoke(args=["cassandra", "upgrade"])
    assert (done.exit_code, done.output) == (0, f"{what}\n")


def test_an_upgrade_in_production_fails(start: Probe, port: int) -> None:
    app = start(APP_ENV="production", CASSANDRA_PORT=port)
    done = app.test_cli_runner().invoke(args=["cassandra", "upgrade"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: Cassandra: ")
    assert len(done.output.splitlines()) == 1


def reasons() -> list[tuple[Any, dict[str, Any], str]]:
    from cassandra import AuthenticationFailed, DriverException

    authority = PermissionError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    older = ConnectionError("[Server error] ProtocolException: Invalid or unsupported protocol version: 4")
    version = DriverException("ProtocolError from server while using explicitly set protocol_version 4")
    there = {"all_hosts": lambda: [SimpleNamespace(datacenter="eu")], "keyspaces": {"system": None}}
    return [
        ({"a": AuthenticationFailed()}, {}, "Cassandra does not accept CASSANDRA_USER with this CASSANDRA_PASSWORD."),
        ({"a": version}, {}, "This version of Cassandra needs another CASSANDRA_PROTOCOL: 3 for 2.1."),
        ({"a": older}, {}, "This version of Cassandra needs another CASSANDRA_PROTOCOL: 3 for 2.1."),
        ({"a": authority}, {}, "CASSANDRA_CA has not signed the certificate of the nodes."),
        (["a"], there, "CASSANDRA_DATACENTER: this cluster has eu."),
        (["a"], there | {"all_hosts": list}, "The keyspace orders is missing. Run `cassandra upgrade`"),
    ]


@pytest.mark.parametrize(("errors", "metadata", "message"), reasons())
def test_what_an_operator_has_to_do(
    start: Probe, monkeypatch: pytest.MonkeyPatch, errors: Any, metadata: dict[str, Any], message: str
) -> None:
    """``/readyz`` and the log say it; whoever asks for something else is not told."""
    from cassandra import cluster

    made = Mock(sessions=(), metadata=SimpleNamespace(**{"all_hosts": list, "keyspaces": {}} | metadata))
    made.connect.side_effect = cluster.NoHostAvailable("Unable to connect to any servers", errors)
    monkeypatch.setattr(cluster, "Cluster", lambda *hosts, **options: made)
    client = start(CASSANDRA_KEYSPACE="orders").test_client()
    assert client.get("/readyz").get_json()["checks"] == {"cassandra": message}
    assert client.get("/rows").get_json()["detail"] == "cassandra is unavailable."
    assert made.shutdown.called


def test_tables_that_are_missing(start: Probe, session: Any) -> None:
    app = start()
    owner = SimpleNamespace(SCHEMA=["\nCREATE TABLE IF NOT EXISTS notes (id int PRIMARY KEY)"], __name__="owner")
    app.extensions["modules"].append(owner)
    assert app.test_client().get("/readyz").get_json()["checks"] == {"cassandra": "ok"}
    owner.SCHEMA.append("CREATE TABLE IF NOT EXISTS Orders (id int PRIMARY KEY)")
    missing = "Tables are missing: orders. Run `cassandra upgrade`"
    assert app.test_client().get("/readyz").get_json()["checks"] == {"cassandra": missing}


def away() -> list[Exception]:
    import cassandra
    from cassandra import WriteType, cluster, connection, protocol

    return [
        cluster.NoHostAvailable("Unable to complete the operation", {}),
        cassandra.OperationTimedOut(),
        cassandra.WriteTimeout("", write_type=WriteType.CAS),
        cassandra.ReadTimeout(""),
        cassandra.Unavailable(""),
        cassandra.WriteFailure(""),
        connection.ConnectionShutdown(""),
        protocol.OverloadedErrorMessage(0x1001, "", None),
        protocol.ErrorMessage(0x1700, "unknown whether it was applied", None),
    ]


@pytest.mark.parametrize("error", away(), ids=lambda error: type(error).__name__)
def test_what_is_unavailable(start: Probe, session: Any, error: Exception) -> None:
    session.execute.side_effect = error
    assert start().test_client().get("/rows").status_code == 503


def test_a_wrong_statement_is_a_bug(start: Probe, session: Any) -> None:
    from cassandra import InvalidRequest
    from cassandra.protocol import SyntaxException

    client = start(TESTING=False).test_client()
    for error in (InvalidRequest("unconfigured table"), SyntaxException(0x2000, "no viable alternative", None)):
        session.execute.side_effect = error
        assert client.get("/rows").status_code == 500


def test_observers(start: Probe, session: Any) -> None:
    seen: list[Any] = []

    def observe(store: str, command: str) -> Callable[[BaseException | None], None]:
        seen.append((store, command))
        return seen.append

    app = start(TESTING=False)
    app.extensions["observers"].append(observe)
    app.test_client().get("/rows")
    session.execute.side_effect = error = ValueError()
    app.test_client().get("/rows")
    assert seen == [("cassandra", "SELECT"), None, ("cassandra", "SELECT"), error]


def test_the_password_is_in_no_log(start: Probe) -> None:
    app = start(CASSANDRA_USER="orders", CASSANDRA_PASSWORD="correct horse")
    assert app.extensions["redaction"]("refused: correct horse") == "refused: [redacted]"


def test_a_second_upgrade_changes_nothing(cassandra: Any, make_app: Callable[..., Flask]) -> None:
    before = set(cassandra.cluster.metadata.keyspaces[cassandra.keyspace].tables)
    close = cassandra.cluster.shutdown
    cassandra.cluster.shutdown = lambda: None
    try:
        done = make_app().test_cli_runner().invoke(args=["cassandra", "upgrade"])
    finally:
        cassandra.cluster.shutdown = close
    assert (done.exit_code, done.output) == (0, "")
    assert set(cassandra.cluster.metadata.keyspaces[cassandra.keyspace].tables) == before
