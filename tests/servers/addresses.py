"""What a service is told of a store: the settings that name a server, and a place in it that nobody else uses."""

import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from .shared import FOLDERS, VARIABLE, start


def redis(port: int, mine: str) -> dict[str, str]:
    # Of its databases, numbers, there are too few: what one service keeps is not what another one looks for.
    return {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}


def mongodb(port: int, mine: str) -> dict[str, str]:
    return {"MONGODB_URL": f"mongodb://127.0.0.1:{port}/{mine}"}


def dynamodb(port: int, mine: str) -> dict[str, str]:
    # Each access key has tables of its own.
    credentials = {"AWS_ACCESS_KEY_ID": mine, "AWS_SECRET_ACCESS_KEY": mine, "AWS_REGION": "eu-central-1"}
    return credentials | {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}", "DYNAMODB_TABLE_PREFIX": "trial-"}


def cassandra(port: int, mine: str) -> dict[str, str]:
    address = {"CASSANDRA_HOSTS": "127.0.0.1", "CASSANDRA_PORT": str(port), "CASSANDRA_KEYSPACE": mine}
    return address | {"CASSANDRA_PROTOCOL": "3", "CASSANDRA_REPLICAS": "1"}


#: By the setting without which production does not start.
SETTINGS: dict[str, Callable[[int, str], dict[str, str]]] = {
    "REDIS_URL": redis,
    "MONGODB_URL": mongodb,
    "AWS_REGION": dynamodb,
    "CASSANDRA_HOSTS": cassandra,
}


def settings(store: str, port: int) -> dict[str, str]:
    """The settings of a service whose store listens on this port."""
    made = next(function for function in SETTINGS.values() if function.__name__ == store)
    return made(port, f"trial{secrets.token_hex(6)}")


def of_shared(names: Iterable[str]) -> dict[str, str]:
    """The settings of a service that asks for these, on servers that all tests of this run share."""
    folder = Path(os.environ.get(VARIABLE, FOLDERS / "development"))
    found: dict[str, str] = {}
    for name in names:
        if name in SETTINGS:
            store = SETTINGS[name].__name__
            found |= settings(store, start(store, folder).port)
    return found
