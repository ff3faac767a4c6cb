"""Redis, MongoDB, DynamoDB, Cassandra and RabbitMQ: how each is started on a port of loopback, with its data in a folder."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from running import BIN, free_port

from .archives import ARCHIVES, fetch
from .processes import Private, missing, started

HERE = Path(__file__).parent


def redis(folder: Path, port: int) -> Private:
    if not (program := shutil.which("redis-server")):
        missing("redis-server", "apt-get install redis-server")
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    # What it has acknowledged is on the disk.
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    return Private(f"redis://127.0.0.1:{port}", port, command, folder / "log", ready=pong)


def pong(port: int) -> bool:
    """Whether Redis has read its data, until when it answers each command with an error."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(b"PING\r\n")
        return client.recv(7) == b"+PONG\r\n"
    return False


def mongodb(folder: Path, port: int) -> Private:
    """A server of MongoDB's protocol, on SQLite: MongoDB's own is in no registry."""
    program = BIN / "nx-27017"
    if not program.exists():
        missing("nx-27017", "pip install nx-27017")
    command = [str(program), "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
    # Else both are in /tmp, under names that all servers share.
    command += ["--log-file", str(folder / "log"), "--pid-file", str(folder / "pid")]
    return Private(f"mongodb://127.0.0.1:{port}", port, command, folder / "log")


def dynamodb(folder: Path, port: int) -> Private:
    """DynamoDB Local, in which each access key has tables of its own."""
    server = fetch(ARCHIVES["dynamodb"])
    libraries, data = server / "DynamoDBLocal_lib", folder / "data"
    data.mkdir(exist_ok=True)
    configuration = configure(folder, "dynamodb.xml", port=port, data=data)
    classes = f"{server / 'DynamoDBLocal.jar'}:{libraries}/*"
    command = [java(), "-Xmx256m", f"-Djava.library.path={libraries}", "-cp", classes]
    command += ["org.eclipse.jetty.xml.XmlConfiguration", str(configuration)]
    return Private(f"http://127.0.0.1:{port}", port, command, folder / "log")


def cassandra(folder: Path, port: int) -> Private:
    """Cassandra 2.1, which speaks version 3 of the protocol."""
    library, data = fetch(ARCHIVES["cassandra"]), folder / "data"
    configuration = configure(folder, "cassandra.yaml", port=port, storage_port=free_port(), data=data)
    options = ["-Xms256m", "-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    # It measures what it stores by looking into the objects of the JDK, which modules no longer allow.
    options += [f"-javaagent:{library / 'jamm-0.2.6.jar'}", "--add-opens=java.management/sun.management=ALL-UNNAMED"]
    options += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages(java())]
    properties = {
        "cassandra.config": configuration.as_uri(),
        "cassandra.storagedir": data,
        "cassandra-foreground": "yes",
        "logback.configurationFile": (HERE / "logback.xml").as_uri(),
        # It is alone: there is nobody to wait for.
        "cassandra.ring_delay_ms": 1,
        "cassandra.skip_wait_for_gossip_to_settle": 0,
        "cassandra.load_ring_state": "false",
        "java.io.tmpdir": folder,
    }
    options += [f"-D{name}={value}" for name, value in properties.items()]
    command = [java(), *options, "-cp", f"{library}/*", "org.apache.cassandra.service.CassandraDaemon"]
    return Private(f"127.0.0.1:{port}", port, command, folder / "log")


def rabbitmq(folder: Path, port: int) -> Private:
    """A node of its own, beside those of the machine."""
    program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not program.exists():
        missing("RabbitMQ", "apt-get install rabbitmq-server")
    variables = {
        "HOME": folder,  # Of the cookie.
        "RABBITMQ_NODENAME": f"trial{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": port,
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": folder / "data",
        "RABBITMQ_CONFIG_FILE": folder / "none",
        "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
        "RABBITMQ_LOGS": "-",
    }
    if os.getuid() == 0:
        shutil.chown(folder, "rabbitmq")
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), str(program)]
    return Private(f"amqp://guest:guest@127.0.0.1:{port}", port, command, folder / "log", user="rabbitmq")


#: How each is made, by its name.
STORES: dict[str, Callable[[Path, int], Private]] = {
    "redis": redis,
    "mongodb": mongodb,
    "dynamodb": dynamodb,
    "cassandra": cassandra,
}
SERVERS = STORES | {"rabbitmq": rabbitmq}


def configure(folder: Path, name: str, **values: object) -> Path:
    """Fill in a configuration."""
    file = folder / name
    file.write_text(Template((HERE / name).read_text()).substitute(values))
    return file


def java() -> str:
    """Java 17, of several that a machine may have; else the one that there is."""
    folders = [*map(str, sorted(Path("/usr/lib/jvm").glob("*-17-*/bin"))), os.environ["PATH"]]
    if not (program := shutil.which("java", path=os.pathsep.join(folders))):
        missing("Java 17", "apt-get install openjdk-17-jre-headless")
    return program


def packages(program: str) -> list[str]:
    """The packages of the module java.base of this Java."""
    command = [program, "--describe-module", "java.base"]
    described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"^(?:qualified )?(?:exports|opens|contains) (\S+)", described, re.MULTILINE)))


@dataclass
class Given:
    """A server that somebody else runs: it cannot be paused, nor killed."""

    url: str
    port: int

    def pause(self) -> NoReturn:
        pytest.skip("the server of TEST_MONGODB_URL is not ours: it is neither paused nor stopped")

    start = stop = resume = pids = pause


def given(name: str) -> Given | None:
    """MongoDB's own server, if one runs at TEST_MONGODB_URL."""
    url = os.environ.get("TEST_MONGODB_URL")
    if name != "mongodb" or not url:
        return None
    port = re.search(r":(\d+)(/|$)", url)
    return Given(url, int(port[1]) if port else 27017)


@contextmanager
def private(name: str) -> Iterator[Private | Given]:
    """Run a server of a test's own, and remove it with its data at the end."""
    if server := given(name):
        yield server
        return
    with (
        TemporaryDirectory(prefix=f"private-{name}-") as folder,
        started(SERVERS[name](Path(folder), free_port())) as server,
    ):
        yield server
