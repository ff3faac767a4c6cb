"""MongoDB, by PyMongo: one client for all threads of a process.

``database()["orders"].insert_one({...})``. Times come back with their zone. Indexes are made by ``flask mongodb
upgrade``, from what modules of the service declare, a list of models for each collection::

    INDEXES = {"orders": [IndexModel("customer"), IndexModel([("paid", 1), ("_id", 1)], name="paid")]}

https://www.mongodb.com/docs/languages/python/pymongo-driver/current/
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from warnings import catch_warnings

import click
import structlog
from flask import Flask, current_app
from flask.cli import AppGroup
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from ..nosql import Observer, observers, unavailable
from . import embedded

if TYPE_CHECKING:
    from pymongo import IndexModel, MongoClient
    from pymongo.database import Database
    from pymongo.errors import PyMongoError
    from pymongo.monitoring import CommandListener

    from ...core.settings import Env

Document = dict[str, Any]

EXAMPLE = "mongodb://user:password@host:27017/name"
#: Options of the URL that the service sets itself.
OWN = {"appname", "maxpoolsize", "tz_aware", "uuidrepresentation"}
#: https://www.mongodb.com/docs/manual/reference/error-codes/
UNAUTHORIZED, AUTHENTICATION_FAILED = 13, 18

commands = AppGroup("mongodb", help="MongoDB.")


def config(env: "Env") -> dict[str, Any]:
    url = env.text("MONGODB_URL", "" if env.production else f"{embedded.SCHEME}{env.name}.mongodb")
    if problem := embedded.problem(url) if url.startswith(embedded.SCHEME) else _problem(url):
        env.refuse("MONGODB_URL", problem)
    return {
        "MONGODB_URL": url,
        # Seconds of an operation, with everything that it waits for.
        "MONGODB_TIMEOUT": env.number("MONGODB_TIMEOUT", 2.0, minimum=0.1, maximum=3600),
    }


def init_app(app: Flask) -> None:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    url, timeout, found = app.config["MONGODB_URL"], int(app.config["MONGODB_TIMEOUT"] * 1000), observers(app)
    if url.startswith(embedded.SCHEME):
        if app.config["APP_ENV"] == "production":
            structlog.get_logger().warning("embedded_database", expected=EXAMPLE)
        app.extensions["mongodb_start"] = partial(embedded.start, url)
        url = embedded.address(url)
    options: dict[str, Any] = {
        # Connections and threads belong to the process that first uses the client.
        "connect": False,
        # PyMongo tries again until the time is up.
        "timeoutMS": timeout,
        # Of the threads that watch the servers.
        "connectTimeoutMS": timeout,
        # A connection for every thread that answers requests, and two for readiness checks.
        "maxPoolSize": app.config["WEB_THREADS"] + 2,
        "tz_aware": True,
        "uuidRepresentation": "standard",
        "appname": app.name,
        "event_listeners": [_listener(found)] if found else [],
    }
    if not re.search("[?&]w=", url, re.IGNORECASE):
        # A write is acknowledged when most members of a replica set have it in their journals.
        options["w"] = "majority"
    client: MongoClient[Document] = MongoClient(url, **options)
    app.extensions["mongodb"] = client
    app.register_error_handler(PyMongoError, _answer)
    app.cli.add_command(commands)


def database() -> "Database[Document]":
    """The database that the URL names; its ``client`` has sessions, for transactions."""
    # The first use starts the embedded server: a process that uses no database has none, such as the reloader.
    if start := current_app.extensions.pop("mongodb_start", None):
        start()
    client: MongoClient[Document] = current_app.extensions["mongodb"]
    return client.get_default_database()


def ready() -> None:
    """Raise while no server can be written, or indexes are missing."""
    import pymongo
    from pymongo.errors import ConfigurationError, OperationFailure

    with pymongo.timeout(min(current_app.config["READY_TIMEOUT"], current_app.config["MONGODB_TIMEOUT"])):
        try:
            # Unlike a ping, this needs a valid user and, by default, a server that can be written.
            database().list_collection_names(authorizedCollections=True)
            _check_indexes()
        except OperationFailure as error:
            if error.code in (UNAUTHORIZED, AUTHENTICATION_FAILED):
                raise ServiceUnavailable("MongoDB refuses the user or the password of MONGODB_URL") from error
            raise
        except ConfigurationError as error:
            raise ServiceUnavailable("MongoDB is too old, or DNS does not know it: the log says which") from error


@commands.command("upgrade")
def upgrade() -> None:
    """Make the indexes that modules declare and that are not there yet."""
    import pymongo
    from pymongo.errors import PyMongoError

    try:
        database().command("ping")
        with pymongo.timeout(None):  # An index of a large collection takes its time.
            for collection, indexes in _declared():
                database()[collection].create_indexes(indexes)
    except PyMongoError as error:
        raise click.ClickException(f"MongoDB: {error}") from error


def _declared() -> Iterator[tuple[str, list["IndexModel"]]]:
    for module in current_app.extensions["modules"]:
        yield from getattr(module, "INDEXES", {}).items()


def _check_indexes() -> None:
    """Raise while an index is missing. Once all are there, the server is not asked again."""
    if "mongodb_indexes" in current_app.extensions:
        return
    for collection, indexes in _declared():
        there = database()[collection].index_information()
        fields = [[name for name, _ in index["key"]] for index in there.values()]
        for index in indexes:
            # The embedded server has names and directions of its own.
            if index.document["name"] not in there and list(index.document["key"]) not in fields:
                raise ServiceUnavailable("MongoDB lacks indexes: run `mongodb upgrade`")
    current_app.extensions["mongodb_indexes"] = True


def _problem(url: str) -> str:
    """What is wrong with a URL. This connects to nothing, and asks no DNS server."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    try:
        with catch_warnings(action="error"):  # An option that does not exist is a warning.
            MongoClient(url, connect=False).get_default_database()
    except (PyMongoError, OSError, UserWarning, ValueError) as error:
        return f"Set it to the address of a database, such as {EXAMPLE} ({error})"
    names = [name for name in parse_qs(urlsplit(url).query) if name.lower() in OWN or "timeout" in name.lower()]
    return f"Take out {', '.join(names)}: this service sets them itself." if names else ""


def _answer(error: "PyMongoError") -> ResponseReturnValue:
    """Answer 503 while no server can be used; a wrong operation is a bug, and is answered 500."""
    from pymongo.errors import ConfigurationError, ConnectionFailure

    # The label is that of transactions that conflict with others.
    away = isinstance(error, ConnectionFailure | ConfigurationError) or error.timeout
    refused = getattr(error, "code", None) in (UNAUTHORIZED, AUTHENTICATION_FAILED)
    if not (away or refused or error.has_error_label("TransientTransactionError")):
        raise error
    return unavailable("mongodb", error)


def _listener(found: list[Observer]) -> "CommandListener":
    from threading import local

    from pymongo import errors, monitoring

    class Observed(monitoring.CommandListener):
        """Tells the observers. A command begins and ends in one thread, which has no other in between."""

        running = local()

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            self.running.ends = [begin("mongodb", event.command_name) for begin in found]

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            self.end(None)

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            # The server's answer, or the class of the driver's error.
            kind = getattr(errors, event.failure.get("errtype", ""), errors.OperationFailure)
            self.end(kind(event.failure.get("errmsg", "")))

        def end(self, error: BaseException | None) -> None:
            for end in self.running.ends:
                end(error)

    return Observed()
