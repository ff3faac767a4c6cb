"""Cassandra, through one session for all threads of a process, which is made when it is first needed.

``execute("SELECT title FROM notes WHERE id = ?", [key])`` prepares a statement once, runs it, and returns its rows.
``session()`` is the driver's session, for batches and the like. Both are given up after ``CASSANDRA_TIMEOUT``.
Tables are declared by the modules that use them: ``schema.py`` says how.
https://docs.datastax.com/en/developer/python-driver/latest/
"""

import logging
import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from .. import nosql
from . import schema

if TYPE_CHECKING:
    from ...core.settings import Env

Rows = list[dict[str, Any]]

HOST = r"[\w.-]+|[\da-fA-F]*:[\da-fA-F.]*:[\da-fA-F:.]*"
#: Seconds until a failed connection or statement is tried again: each try takes threads and log lines.
PAUSE = 0.5
#: Codes of errors that are no fault of the statement: server error, overloaded, bootstrapping, a TRUNCATE that failed
#: because a node is away, a condition of which nobody knows whether it was applied.
#: https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v5.spec, section 9
TROUBLE = {0x0000, 0x1001, 0x1002, 0x1003, 0x1700}


class UnavailableError(Exception):
    """Cassandra cannot be used. ``/readyz`` and the log show the message, which says what to do."""


def config(env: "Env") -> dict[str, Any]:
    several = rf"((?:{HOST})(\s*,\s*(?:{HOST}))*)?"
    hosts = env.text("CASSANDRA_HOSTS", "", pattern=several, hint="Must be nodes without ports: 10.0.0.1,10.0.0.2")
    default, word = "" if env.production else env.name, "Must be up to 48 lower-case letters, digits and underscores."
    keyspace = env.text("CASSANDRA_KEYSPACE", default, pattern="([a-z][a-z0-9_]{0,47})?", hint=word)
    user, password = env.text("CASSANDRA_USER", ""), env.text("CASSANDRA_PASSWORD", "")
    authority = env.text("CASSANDRA_CA", "")
    if env.production and not hosts:
        env.refuse("CASSANDRA_HOSTS", "Set it to some of the nodes: 10.0.0.1,10.0.0.2")
    if env.production and not keyspace:
        env.refuse("CASSANDRA_KEYSPACE", "Set it to the keyspace of this service.")
    if bool(user) != bool(password):
        env.refuse("CASSANDRA_USER" if password else "CASSANDRA_PASSWORD", "Set both of the two, or none.")
    try:
        _context(authority)
    except OSError as error:
        env.refuse("CASSANDRA_CA", f"Must be a file with a certificate in PEM: {error}")
    return {
        # Empty: this machine.
        "CASSANDRA_HOSTS": [host.strip() for host in hosts.split(",") if host],
        "CASSANDRA_PORT": env.integer("CASSANDRA_PORT", 9042, minimum=1, maximum=65535),
        "CASSANDRA_KEYSPACE": keyspace,
        "CASSANDRA_DATACENTER": env.text("CASSANDRA_DATACENTER", "datacenter1", pattern=r"[\w.-]+"),
        "CASSANDRA_REPLICAS": env.integer("CASSANDRA_REPLICAS", 3 if env.production else 1, minimum=1, maximum=9),
        "CASSANDRA_PROTOCOL": env.integer("CASSANDRA_PROTOCOL", 4, minimum=3, maximum=5),
        "CASSANDRA_USER": user,
        "CASSANDRA_PASSWORD": password,
        "CASSANDRA_CA": authority,
        # Seconds of a statement, with all that it waits for: a connection, to be prepared, an answer.
        "CASSANDRA_TIMEOUT": env.number("CASSANDRA_TIMEOUT", 2.0, minimum=0.1, maximum=60),
    }


def init_app(app: Flask) -> None:
    from cassandra import DriverException
    from cassandra.cluster import NoHostAvailable
    from cassandra.connection import ConnectionException
    from cassandra.protocol import ErrorMessage

    # The driver logs each try that fails, with a traceback: requests that notice are logged, and nodes that go and come.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    app.extensions["cassandra"] = Client(app.config, nosql.observers(app))
    app.cli.add_command(schema.commands)
    for error in (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, UnavailableError):
        app.register_error_handler(error, _answer)


def execute(statement: str, parameters: Sequence[Any] = ()) -> Rows:
    """Run a statement, with a ``?`` for each value: one with values in it would be prepared again and again."""
    return client().execute(statement, parameters)


def session() -> Any:
    return client().session()


def client() -> "Client":
    found: Client = current_app.extensions["cassandra"]
    return found


def ready() -> None:
    """Raise while no node answers, or the keyspace or a table is missing."""
    try:
        client().execute("SELECT key FROM system.local")
    except UnavailableError as error:
        raise ServiceUnavailable(str(error)) from error
    if missing := schema.missing(session()):
        raise ServiceUnavailable(f"Tables are missing: {', '.join(missing)}. Run `cassandra upgrade`")


class Client:
    """The session of each process, and its prepared statements. Each is made when it is first needed.

    The driver may block longer than a request may wait: it tries one node after the other until one accepts a
    connection, and prepares a statement for up to ten seconds. So a thread of its own makes each of them, and all
    requests that need it wait for that thread, each until its own deadline.
    """

    def __init__(self, config: Mapping[str, Any], observers: Sequence[nosql.Observer] = ()) -> None:
        self.config = config
        self.observers = observers
        #: By process id and name: a session inherited by a fork never answers: its threads are the parent's.
        self.made: dict[tuple[int, str], Future[Any]] = {}

    def session(self, deadline: float | None = None) -> Any:
        return self._make("", lambda: connect(self.config, self.config["CASSANDRA_KEYSPACE"]), deadline)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        ends = [observe("cassandra", statement.split(maxsplit=1)[0]) for observe in self.observers]
        try:
            rows = self._execute(statement, parameters)
        except Exception as error:
            for end in ends:
                end(error)
            raise
        for end in ends:
            end(None)
        return rows

    def close(self) -> None:
        """Close the session. The next statement opens another one."""
        made = self.made.pop((os.getpid(), ""), None)
        self.made.clear()
        if made and made.done() and not made.exception():
            made.result().cluster.shutdown()

    def _execute(self, statement: str, parameters: Sequence[Any]) -> Rows:
        from cassandra.cluster import NoHostAvailable

        deadline = monotonic() + self.config["CASSANDRA_TIMEOUT"]
        session = self.session(deadline)
        try:
            prepared = self._make(statement, lambda: _prepare(session, statement), deadline)
            return list(session.execute(prepared, parameters, timeout=max(deadline - monotonic(), 0.01)))
        except NoHostAvailable:
            if not _reached(session):
                self._start("replace", partial(self._replace, os.getpid(), session))
            raise

    def _replace(self, pid: int, old: Any) -> None:
        """Replace a session whose nodes are all away: they may come back at addresses that the session does not know."""
        if self.session() is old:
            new = connect(self.config, self.config["CASSANDRA_KEYSPACE"])
            if _reached(old):
                new.cluster.shutdown()
            else:
                future: Future[Any] = Future()
                future.set_result(new)
                self.made[pid, ""] = future
                old.cluster.shutdown()
        self.made.pop((pid, "replace"), None)

    def _make(self, name: str, make: Callable[[], Any], deadline: float | None = None) -> Any:
        future = self.made.get((os.getpid(), name)) or self._start(name, make)
        if not future.done() and deadline is None:
            deadline = monotonic() + self.config["CASSANDRA_TIMEOUT"]
        try:
            return future.result(deadline and max(deadline - monotonic(), 0))
        except TimeoutError:
            raise UnavailableError(f"Cassandra has not answered within {self.config['CASSANDRA_TIMEOUT']} s.") from None

    def _start(self, name: str, make: Callable[[], Any]) -> Future[Any]:
        """Start a thread that makes it, unless one runs."""
        key, mine = (os.getpid(), name), Future[Any]()
        future = self.made.setdefault(key, mine)
        if future is mine:
            Thread(target=self._run, args=[key, mine, make], daemon=True, name="cassandra").start()
        return future

    def _run(self, key: tuple[int, str], future: Future[Any], make: Callable[[], Any]) -> None:
        try:
            future.set_result(make())
        except Exception as error:  # noqa: BLE001 (whoever waits for it raises it)
            future.set_exception(error)
            sleep(PAUSE)
            self.made.pop(key, None)


class Nodes:
    """A listener of the driver: it logs which nodes go down and come up."""

    def on_up(self, node: Any) -> None:
        structlog.get_logger().warning("cassandra_node_up", node=str(node.endpoint))

    def on_down(self, node: Any) -> None:
        structlog.get_logger().warning("cassandra_node_down", node=str(node.endpoint))

    on_add, on_remove = on_up, on_down


def connect(config: Mapping[str, Any], keyspace: str | None, timeout: float | None = None) -> Any:
    """Connect by a new cluster: a cluster that could not connect cannot be used again.

    :param timeout: seconds that a statement may take, if that is not ``CASSANDRA_TIMEOUT``.
    :raises UnavailableError: if an operator has to act.
    """
    from cassandra import UnresolvableContactPoints
    from cassandra.auth import PlainTextAuthProvider
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ConsistencyLevel, ExecutionProfile, NoHostAvailable
    from cassandra.policies import (
        ConstantReconnectionPolicy,
        DCAwareRoundRobinPolicy,
        FallthroughRetryPolicy,
        TokenAwarePolicy,
    )
    from cassandra.query import dict_factory

    seconds = timeout or config["CASSANDRA_TIMEOUT"]
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(config["CASSANDRA_DATACENTER"])),
        # The default repeats a statement on another node when the first does not answer, though it may have run.
        retry_policy=FallthroughRetryPolicy(),
        # The default asks one node, which may lack what was written a moment ago.
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=seconds,
        row_factory=dict_factory,
    )
    user = config["CASSANDRA_USER"]
    try:
        cluster = Cluster(
            config["CASSANDRA_HOSTS"] or ["127.0.0.1"],
            port=config["CASSANDRA_PORT"],
            auth_provider=PlainTextAuthProvider(user, config["CASSANDRA_PASSWORD"]) if user else None,
            ssl_context=_context(config["CASSANDRA_CA"]),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            # Unset, the driver begins with a version that no Cassandra speaks, and cannot go down to that of 2.1.
            protocol_version=config["CASSANDRA_PROTOCOL"],
            connect_timeout=min(seconds, 1),
            control_connection_timeout=min(seconds, 1),
            max_schema_agreement_wait=seconds,
            # A node that is paused, or behind a network that swallows packets, is noticed and passed over.
            idle_heartbeat_interval=5,
            idle_heartbeat_timeout=seconds,
            # Shorter than PAUSE: the driver's own thread tries, and no request waits for it.
            reconnection_policy=ConstantReconnectionPolicy(0.2, max_attempts=None),
        )
    except UnresolvableContactPoints:
        raise UnavailableError("CASSANDRA_HOSTS: none of these names has an address.") from None
    try:
        session = cluster.connect(keyspace)
        cluster.register_listener(Nodes())
        return session
    except NoHostAvailable as error:
        if reason := _reason(config, cluster.metadata, error):
            raise UnavailableError(reason) from error
        raise
    finally:
        if not cluster.sessions:
            cluster.shutdown()


def _context(authority: str) -> ssl.SSLContext | None:
    if not authority:
        return None
    context = ssl.create_default_context(cafile=authority)
    # The driver reaches nodes by IP address, which certificates seldom contain. Only this authority is trusted.
    context.check_hostname = False
    return context


def _reached(session: Any) -> bool:
    return any(node.is_up for node in session.cluster.metadata.all_hosts())


def _prepare(session: Any, statement: str) -> Any:
    from cassandra.policies import RetryPolicy

    prepared = session.prepare(statement)
    if statement.startswith("SELECT"):  # Another node may be asked, too.
        prepared.retry_policy = RetryPolicy()
    return prepared


def _reason(config: Mapping[str, Any], metadata: Any, error: Any) -> str:
    """What an operator has to do, in clearer words than the driver's; empty if waiting may help."""
    from cassandra import AuthenticationFailed

    causes = [*error.errors.values()] if isinstance(error.errors, Mapping) else []
    datacenters = {host.datacenter for host in metadata.all_hosts() if host.datacenter}
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        return "Cassandra does not accept CASSANDRA_USER with this CASSANDRA_PASSWORD."
    text = str(causes)
    if re.search("protocol.version", text):
        return "This version of Cassandra needs another CASSANDRA_PROTOCOL: 3 for 2.1."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "CASSANDRA_CA has not signed the certificate of the nodes."
    if datacenters and config["CASSANDRA_DATACENTER"] not in datacenters:
        return f"CASSANDRA_DATACENTER: this cluster has {', '.join(sorted(datacenters))}."
    if metadata.keyspaces and config["CASSANDRA_KEYSPACE"] not in metadata.keyspaces:
        return f"The keyspace {config['CASSANDRA_KEYSPACE']} is missing. Run `cassandra upgrade`"
    if not config["CASSANDRA_HOSTS"]:
        address = f"127.0.0.1:{config['CASSANDRA_PORT']}"
        return f"No Cassandra answers at {address}: start one, as README.md says, or set CASSANDRA_HOSTS."
    return ""


def _answer(error: Any) -> ResponseReturnValue:
    """Answer 503 while Cassandra is away, too slow or in trouble; a wrong statement is a bug, and is answered 500."""
    from cassandra import CoordinationFailure, OperationTimedOut, Timeout, Unavailable
    from cassandra.cluster import NoHostAvailable
    from cassandra.connection import ConnectionException

    # A condition that took too long is a Timeout, too: nobody knows whether it was applied.
    away = (
        UnavailableError,
        NoHostAvailable,
        OperationTimedOut,
        Timeout,
        Unavailable,
        CoordinationFailure,
        ConnectionException,
    )
    if not isinstance(error, away) and getattr(error, "code", None) not in TROUBLE:
        raise error
    return nosql.unavailable("cassandra", error)
