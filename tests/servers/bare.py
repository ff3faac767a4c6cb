"""One write to each store by a new client of its bare driver: no service is answered sooner."""

from collections.abc import Callable
from contextlib import closing


def redis(found: dict[str, str]) -> None:
    from redis import Redis

    with Redis.from_url(found["REDIS_URL"]) as client:
        client.set("bare", "x")


def mongodb(found: dict[str, str]) -> None:
    from pymongo import MongoClient

    with MongoClient[dict[str, str]](found["MONGODB_URL"]) as client:
        client.get_default_database()["bare"].insert_one({})


def dynamodb(found: dict[str, str]) -> None:
    from boto3.session import Session

    session = Session(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], region_name=found["AWS_REGION"])
    with closing(session.client("dynamodb", endpoint_url=found["AWS_ENDPOINT_URL_DYNAMODB"])) as client:
        item = {"shelf": {"S": "bare"}, "id": {"S": "bare"}}
        client.put_item(TableName=f"{found['DYNAMODB_TABLE_PREFIX']}notes", Item=item)


def cassandra(found: dict[str, str]) -> None:
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
    from cassandra.policies import RoundRobinPolicy

    cluster = Cluster(
        [found["CASSANDRA_HOSTS"]],
        port=int(found["CASSANDRA_PORT"]),
        protocol_version=int(found["CASSANDRA_PROTOCOL"]),
        # Unset, the driver logs a warning each time.
        execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(RoundRobinPolicy())},
    )
    try:
        # With a condition, as the example writes: a server that has just started takes longer for the first of these.
        cluster.connect(found["CASSANDRA_KEYSPACE"]).execute(
            "INSERT INTO notes (shelf, id) VALUES (1, uuid()) IF NOT EXISTS"
        )
    finally:
        cluster.shutdown()


WRITES: dict[str, Callable[[dict[str, str]], None]] = {
    write.__name__: write for write in (redis, mongodb, dynamodb, cassandra)
}


def takes_a_write(store: str, found: dict[str, str]) -> bool:
    """Whether the server of these settings answers a new client."""
    try:
        WRITES[store](found)
    except Exception:  # noqa: BLE001 (each driver has its own)
        return False
    return True
