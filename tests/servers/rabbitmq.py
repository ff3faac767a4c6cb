"""RabbitMQ: a virtual host of the machine's, for a test."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .processes import listening, missing


def control(*command: str) -> str:
    program = shutil.which("rabbitmqctl", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program or not listening(5672):
        missing("RabbitMQ", "apt-get install rabbitmq-server && service rabbitmq-server start")
    done = subprocess.run([str(program), "--quiet", *command], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def vhost() -> Iterator[str]:
    """Make one, and remove it with all that is in it: its URL."""
    name = f"trial{random.SystemRandom().randrange(10**9)}"
    control("add_vhost", name)
    try:
        control("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
        yield f"amqp://guest:guest@127.0.0.1:5672/{name}"
    finally:
        control("delete_vhost", name)


def left(url: str) -> str:
    """The queues, and the exchanges that are not RabbitMQ's own."""
    name = url.rpartition("/")[2]
    exchanges = control("list_exchanges", "--vhost", name, "name", "--no-table-headers").splitlines()
    queues = control("list_queues", "--vhost", name, "name", "--no-table-headers").splitlines()
    return " ".join([*queues, *(exchange for exchange in exchanges if exchange and not exchange.startswith("amq."))])
