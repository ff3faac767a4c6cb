"""Tables: ``flask cassandra upgrade`` makes what is missing of the keyspace, and of what modules declare.

A module that ``modules.py`` lists may have a constant, ``SCHEMA``: a list of statements. They have to be idempotent,
because each upgrade runs all of them:

    SCHEMA = ["CREATE TABLE IF NOT EXISTS visits (path text, id timeuuid, agent text, PRIMARY KEY (path, id))"]

https://cassandra.apache.org/doc/latest/cassandra/developing/cql/ddl.html
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any
from uuid import uuid4

import click
from flask import current_app
from flask.cli import AppGroup

from .. import cassandra as extension

#: Seconds that a statement may take, and that the nodes may take to agree on the schema.
PATIENCE = 30.0
TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)", re.IGNORECASE)
#: The lock of upgrades is held longer than any statement takes, and expires if its holder was killed.
LOCK = "CREATE TABLE IF NOT EXISTS upgrade_lock (id int PRIMARY KEY, holder uuid)"
TAKE = "INSERT INTO upgrade_lock (id, holder) VALUES (0, %s) IF NOT EXISTS USING TTL 60"
FREE = "DELETE FROM upgrade_lock WHERE id = 0 IF holder = %s"

commands = AppGroup("cassandra", help="The tables in Cassandra.")


@commands.command()
def upgrade() -> None:
    """Make the keyspace and the tables that are missing."""
    from cassandra import DriverException
    from cassandra.cluster import NoHostAvailable
    from cassandra.protocol import ErrorMessage

    config = current_app.config
    try:
        session = extension.connect(config, None, PATIENCE)
    except (extension.UnavailableError, NoHostAvailable) as error:
        if config["APP_ENV"] == "development" and not config["CASSANDRA_HOSTS"]:
            return click.echo(str(error))  # `make run` goes on without Cassandra.
        raise click.ClickException(f"Cassandra: {error}") from error
    try:
        make(session)
    except (DriverException, NoHostAvailable, ErrorMessage) as error:
        raise click.ClickException(f"Cassandra: {error}") from error
    finally:
        session.cluster.shutdown()


def make(session: Any) -> None:
    config, metadata = current_app.config, session.cluster.metadata
    keyspace, datacenter = config["CASSANDRA_KEYSPACE"], config["CASSANDRA_DATACENTER"]
    # Always on the same node, which knows what another upgrade has just made there.
    nodes = [node for node in metadata.all_hosts() if node.is_up and node.datacenter == datacenter]
    node = min(nodes, key=lambda node: str(node.endpoint))
    if keyspace not in metadata.keyspaces:  # Only this needs the right to create keyspaces.
        replication = {"class": "NetworkTopologyStrategy", datacenter: config["CASSANDRA_REPLICAS"]}
        change(session, f"CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}", node)
    session.set_keyspace(keyspace)
    if "upgrade_lock" not in metadata.keyspaces[keyspace].tables:
        change(session, LOCK, node)
    for statement in declared():
        with alone(session):
            change(session, statement, node)


@contextmanager
def alone(session: Any) -> Iterator[None]:
    """Hold the lock of upgrades. That of a killed upgrade expires after a minute."""
    from cassandra import WriteTimeout

    me = uuid4()
    while True:
        try:
            answer = session.execute(TAKE, [me]).one()
            if answer["[applied]"] or answer.get("holder") == me:
                break
        except WriteTimeout:  # Nobody knows whether it was applied: the next try tells.
            pass
        sleep(0.2)
    try:
        yield
    finally:
        session.execute(FREE, [me])


def change(session: Any, statement: str, node: Any) -> None:
    """Run a statement, and wait until all nodes have the new schema.

    Before Cassandra 4.0, two clients must not create the same table at the same time: one of them fails, other
    statements may fail, and after a restart the table may be empty. So one upgrade at a time makes the tables of
    modules. Only the table of the lock may be made twice.
    """
    from cassandra.protocol import ServerError

    tries = 3
    while True:
        try:
            result = session.execute(statement, host=node)
            break
        except ServerError:
            tries -= 1
            if not tries:
                raise
            sleep(1)
    if not result.response_future.is_schema_agreed:
        raise click.ClickException(f"Not all nodes of Cassandra have made this yet, try again: {statement}")


def missing(session: Any) -> list[str]:
    """The declared tables that the keyspace lacks, as far as the driver knows."""
    there = session.cluster.metadata.keyspaces[session.keyspace].tables
    names = [name.lower() for statement in declared() for name in TABLE.findall(statement)]
    return [name for name in names if name not in there]


def declared() -> list[str]:
    return [text.strip() for module in current_app.extensions["modules"] for text in getattr(module, "SCHEMA", [])]
