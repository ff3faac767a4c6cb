"""A note written and read in each store: as the example does it, beside the bare driver with the same commands.

On a real server of each store, over one connection, in one process, in turns. With an argument, this is the program
that measures, in the environment of services.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

ROUNDS = 40
#: Notes a turn.
COUNT = 50
MOST = 1.3
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
Write = Callable[[UUID], object]
Read = Callable[[UUID], Any]


def redis() -> tuple[Write, Read]:
    from redis import Redis

    client = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)

    def write(key: UUID) -> None:
        with client.pipeline() as pipe:
            note = {"id": str(key), "title": "x", "text": "y", "created": CREATED.isoformat(), "version": 1}
            pipe.set(f"bare:{key}", json.dumps(note)).zadd("bare", {str(key): 0}).execute()

    def read(key: UUID) -> Any:
        return json.loads(client.get(f"bare:{key}"))

    return write, read


def mongodb() -> tuple[Write, Read]:
    from pymongo import MongoClient

    notes: Any = MongoClient(os.environ["MONGODB_URL"]).get_default_database()["bare"]

    def write(key: UUID) -> None:
        notes.insert_one({"_id": str(key), "title": "x", "text": "y", "created": CREATED, "version": 1})

    return write, lambda key: notes.find_one({"_id": str(key)})


def dynamodb() -> tuple[Write, Read]:
    import boto3

    client = boto3.client("dynamodb", region_name=os.environ["AWS_REGION"])
    table = "trial-notes"

    def write(key: UUID) -> None:
        texts = {"shelf": "bare", "id": str(key), "title": "x", "text": "y", "created": CREATED.isoformat()}
        item = {name: {"S": text} for name, text in texts.items()} | {"version": {"N": "1"}}
        client.put_item(TableName=table, Item=item)

    def read(key: UUID) -> Any:
        found = client.get_item(
            TableName=table, Key={"shelf": {"S": "bare"}, "id": {"S": str(key)}}, ConsistentRead=True
        )
        return {name: text for name, typed in found["Item"].items() for text in typed.values()}

    return write, read


def cassandra() -> tuple[Write, Read]:
    from cassandra import ConsistencyLevel
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.query import dict_factory

    profile = ExecutionProfile(row_factory=dict_factory, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
    cluster = Cluster(
        [os.environ["CASSANDRA_HOSTS"]],
        int(os.environ["CASSANDRA_PORT"]),
        protocol_version=3,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
    )
    session = cluster.connect(os.environ["CASSANDRA_KEYSPACE"])
    columns = "id, title, text, created, version"
    insert = session.prepare(f"INSERT INTO notes (shelf, {columns}) VALUES (1, ?, ?, ?, ?, ?) IF NOT EXISTS")
    select = session.prepare(f"SELECT {columns} FROM notes WHERE shelf = 1 AND id = ?")
    return lambda key: session.execute(insert, [key, "x", "y", CREATED, 1]), lambda key: session.execute(
        select, [key]
    ).one()


BARE = {"redis": redis, "mongodb": mongodb, "dynamodb": dynamodb, "cassandra": cassandra}


def inside(turns: int) -> None:
    """Print the microseconds of each turn, by store, what is done, and who does it."""
    import flask_service

    example = import_module("flask_service.blueprints.example.api.store")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    measured: dict[str, dict[str, dict[str, list[float]]]] = {}
    with flask_service.create_app().app_context():
        for store, connect in BARE.items():
            module = import_module(f"{example.__name__}.{store}")

            def add(key: UUID, module: Any = module) -> None:
                module.add(example.Note(id=key, title="x", text="y", created=CREATED, version=1))

            contenders = {"bare": connect(), "example": (add, module.get)}
            measured[store] = {what: {name: [] for name in contenders} for what in ("write", "read")}
            for number in range(turns + 2):  # The first two warm up.
                for name, does in sorted(contenders.items(), reverse=number % 2 > 0):
                    keys = [uuid4() for _ in range(COUNT)]
                    for what, call in zip(("write", "read"), does, strict=True):
                        started = perf_counter()
                        answers = [call(key) for key in keys]
                        measured[store][what][name].append((perf_counter() - started) / COUNT * 1e6)
                    assert all(answers)
            for found in measured[store].values():
                for name in contenders:
                    del found[name][:2]
    print(json.dumps(measured))
    sys.stdout.flush()
    os._exit(0)  # The bare drivers have threads.


def main() -> None:
    import subprocess
    from contextlib import ExitStack

    from manifest import answers_of, start_commands
    from measure import Goal, Ratio, Table, make, rounds, save, services_environment, settings
    from running import clean_environment
    from servers import addresses, private

    answers = {"api": "yes", "example": "yes"} | dict.fromkeys(BARE, "yes")
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for store in BARE:
            found |= addresses.settings(store, stack.enter_context(private(store)).port)
        service = make("stores", **answers_of("minimal") | answers)
        env = clean_environment(**settings(service, **found))
        python = services_environment() / "python"
        for command in start_commands(BARE.keys()):
            subprocess.run([python, "-m", "flask_service", *command.split()], cwd=service, env=env, check=True)
        measuring = [python, __file__, "--inside", str(rounds(ROUNDS))]
        told = subprocess.run(measuring, cwd=service, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows, goals, bars = [], [], {}
    for store, what in json.loads(told).items():
        for name, turns in what.items():
            ratio = Ratio.of(turns["example"], turns["bare"])
            bars[f"{store}, {name}"] = ratio.median
            rows.append([f"{store}, {name}", str(ratio), *(f"{median(turns[who]):.0f}" for who in ("example", "bare"))])
            goals.append(Goal(f"{name} a note in {store}, beside the bare driver", ratio, MOST))
    note = (
        "The example checks types, bounds every wait, and answers 503 while the store is away. MongoDB is "
        "[nx-27017](https://pypi.org/project/nx-27017/), DynamoDB its local emulator, Cassandra a single node of version 2.1."
    )
    save(
        "stores", [Table("A note in each store", note, ["", "time, ratio", "µs", "µs, bare driver"], rows, bars)], goals
    )


if __name__ == "__main__":
    inside(int(sys.argv[2])) if "--inside" in sys.argv else main()
