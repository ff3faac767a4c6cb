"""DynamoDB, by boto3: one client for all threads of a process, made when it is first used.

``client().get_item(TableName=table("notes"), Key={"id": {"S": "1"}})``. A request that is not answered in time is sent
once more, so a write has to be idempotent, or to have a condition.

A module of ``modules.py`` declares its tables in ``TABLES``: a list of arguments of ``create_table``, in which names
have no prefix and ``BillingMode`` is PAY_PER_REQUEST unless given. ``flask dynamodb upgrade`` makes the missing tables,
and changes none that exists.

Where ``AWS_ENDPOINT_URL_DYNAMODB`` is unset in development and in tests, moto imitates DynamoDB in a thread of this
process. Its data are in the memory of the process: no other process sees them, not even that of ``upgrade``. So it
makes the tables when it starts.
https://docs.aws.amazon.com/boto3/latest/reference/services/dynamodb.html
"""

import logging
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ServiceUnavailable

from ..core.settings import ConfigError
from . import nosql

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef

    from ..core.settings import Env

LABEL = r"(?!-)[a-zA-Z\d-]{1,63}(?<!-)"
URL = rf"(https?://({LABEL}\.)*{LABEL}(:\d+)?(/[!-~]*)?)?"
#: Errors of status 400 that are temporary: throttling, a transaction on the same item, credentials being renewed.
PASSING = {
    *("LimitExceededException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"),
    *("ThrottlingException", "TransactionConflictException", "TransactionInProgressException"),
    *("ExpiredTokenException", "UnrecognizedClientException"),
}
MISSING = "There are no credentials for DynamoDB. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the service a role."

commands = AppGroup("dynamodb", help="Prepare the tables of DynamoDB.")


def config(env: "Env") -> dict[str, Any]:
    expected = "Set it to the region of the tables, such as eu-central-1"
    region = env.text("AWS_REGION", "", pattern=rf"(?!\d+$)({LABEL})?", hint=expected)
    if env.production and not region:
        env.refuse("AWS_REGION", expected)
    expected = "Set it to what the names of the tables begin with, such as orders-"
    prefix = env.text("DYNAMODB_TABLE_PREFIX", "", pattern=r"[a-zA-Z\d_.-]{0,100}", hint=expected)
    if env.production and not prefix:
        env.refuse("DYNAMODB_TABLE_PREFIX", expected)
    expected = "Set it to the address of an emulator, such as http://127.0.0.1:8001, or leave it unset."
    url = env.text("AWS_ENDPOINT_URL_DYNAMODB", "", pattern=URL, hint=expected)
    if "?" in url or "#" in url or not _has_port(url):
        env.refuse("AWS_ENDPOINT_URL_DYNAMODB", expected)
    expected = "Must be a value that AWS has issued."
    key = env.text("AWS_ACCESS_KEY_ID", "", pattern=r"[a-zA-Z\d_]{0,128}", hint=expected)
    secret = env.text("AWS_SECRET_ACCESS_KEY", "")
    if bool(key) != bool(secret):
        env.refuse("AWS_ACCESS_KEY_ID" if secret else "AWS_SECRET_ACCESS_KEY", "Set both of the two, or none.")
    return {
        "AWS_REGION": region or "eu-central-1",
        "AWS_ENDPOINT_URL_DYNAMODB": url,
        # Without them, botocore looks for credentials: in files of the user, of the container, of the machine.
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": env.text("AWS_SESSION_TOKEN", "", pattern="[!-~]*", hint=expected),
        "DYNAMODB_TABLE_PREFIX": prefix,
        # Seconds of one try; there are two, and up to a second between them.
        "DYNAMODB_TIMEOUT": env.number("DYNAMODB_TIMEOUT", 1.0, minimum=0.1, maximum=60),
    }


def init_app(app: Flask) -> None:
    # Without the rest of botocore, which takes a third of a second.
    from botocore.exceptions import BotoCoreError, ClientError

    if _is_imitated(app) and not find_spec("moto"):
        raise ConfigError("AWS_ENDPOINT_URL_DYNAMODB: Set it, or install moto, which is a development dependency.")
    # At the level of debug, it logs what is written, and how requests are signed.
    logging.getLogger("botocore").setLevel(logging.INFO)
    app.extensions["dynamodb"] = {}
    app.register_error_handler(BotoCoreError, _answer)
    app.register_error_handler(ClientError, _answer)
    app.cli.add_command(commands)


def client() -> "DynamoDBClient":
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    made = app.extensions["dynamodb"]
    if not made:
        # Threads that come at once make a client each, and all use the first. With a lock, they would wait for a thread
        # that may be waiting for credentials.
        made.setdefault("client", _connect(app))
    return cast("DynamoDBClient", made["client"])


def table(name: str) -> str:
    """The name of a table, with the prefix."""
    return f"{current_app.config['DYNAMODB_TABLE_PREFIX']}{name}"


def tables() -> "list[CreateTableInputTypeDef]":
    """The tables that modules declare, with the prefix in their names."""
    needed = [given for module in current_app.extensions["modules"] for given in getattr(module, "TABLES", [])]
    return [{"BillingMode": "PAY_PER_REQUEST"} | given | {"TableName": table(given["TableName"])} for given in needed]


def ready() -> None:
    """Raise while DynamoDB is away or refuses this service, or a table is missing."""
    from botocore import exceptions

    try:
        for given in tables():
            check(client(), given)
        if not tables():
            client().list_tables(Limit=1)
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        raise ServiceUnavailable(MISSING) from None
    except exceptions.ClientError as error:
        raise ServiceUnavailable(f"DynamoDB answers: {error.response['Error']['Code']}") from error


def check(client: "DynamoDBClient", given: "CreateTableInputTypeDef") -> None:
    """Raise if a table is missing, or is not what the code needs."""
    name = given["TableName"]
    try:
        found = client.describe_table(TableName=name)["Table"]
    except client.exceptions.ResourceNotFoundException:
        raise ServiceUnavailable(f"The table {name} is missing: run `dynamodb upgrade`") from None
    if found["KeySchema"] != given["KeySchema"]:
        raise ServiceUnavailable(f"The table {name} has other keys than the code: give the new one another name.")
    if found["TableStatus"] not in ("ACTIVE", "UPDATING"):
        raise ServiceUnavailable(f"The table {name} is not ready: it is {found['TableStatus']}.")


@commands.command()
def upgrade() -> None:
    """Make the tables that are missing."""
    from botocore.exceptions import BotoCoreError, ClientError

    if _is_imitated(current_app):
        return click.echo("DynamoDB is imitated in each process, which makes its tables itself: nothing to do.")
    # No request waits for this command, and an emulator that has just started is slow.
    current_app.config["DYNAMODB_TIMEOUT"] = max(current_app.config["DYNAMODB_TIMEOUT"], 10)
    try:
        make(client(), tables())
        for given in tables():
            check(client(), given)
    except (BotoCoreError, ClientError, ServiceUnavailable) as error:
        raise click.ClickException(str(getattr(error, "description", error))) from error


def make(client: "DynamoDBClient", tables: "list[CreateTableInputTypeDef]") -> None:
    """Make the tables that are missing, and wait until they can be used."""
    for given in tables:
        name = given["TableName"]
        # A service that may not create tables must still find them.
        try:
            client.describe_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            with suppress(client.exceptions.ResourceInUseException):  # Another process was faster.
                client.create_table(**given)
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


@cache
def imitation() -> str:
    """Start moto's server in this process, and return its URL.

    Should two threads start a server each, both have the same tables: moto keeps them for the whole process.
    """
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    return "http://{}:{}".format(*server.get_host_and_port())


def _is_imitated(app: Flask) -> bool:
    return app.config["APP_ENV"] != "production" and not app.config["AWS_ENDPOINT_URL_DYNAMODB"]


def _connect(app: Flask) -> "DynamoDBClient":
    # Imported here, because it takes a third of a second.
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import NoCredentialsError

    config = app.config
    url, timeout = config["AWS_ENDPOINT_URL_DYNAMODB"], config["DYNAMODB_TIMEOUT"]
    if _is_imitated(app):
        url, timeout = imitation(), 60  # Its first request imports all of moto.
    # An emulator checks no credentials and is behind no proxy. Requests have to be signed nevertheless.
    emulated = config["APP_ENV"] != "production" and url.startswith("http:")
    local = "local" if emulated else None
    # A session of its own: that of the process is shared with others, and is not safe for threads.
    session = Session(
        aws_access_key_id=config["AWS_ACCESS_KEY_ID"] or local,
        aws_secret_access_key=config["AWS_SECRET_ACCESS_KEY"] or local,
        aws_session_token=config["AWS_SESSION_TOKEN"] or None,
        region_name=config["AWS_REGION"],
    )
    # A client made without credentials never gets any.
    if session.get_credentials() is None:
        raise NoCredentialsError
    options = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        # The defaults are a minute, and three attempts.
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=config["WEB_THREADS"] + 2,
        tcp_keepalive=True,
        proxies={} if emulated else None,
    )
    made: DynamoDBClient = session.client("dynamodb", endpoint_url=url or None, config=options)
    _observe(made, nosql.observers(app))
    if _is_imitated(app):
        make(made, tables())
    return made


def _observe(client: "DynamoDBClient", observers: list[nosql.Observer]) -> None:
    """Tell observers of each operation, once, however often it is tried.

    https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """

    def begin(model: Any, context: dict[str, Any], **_: Any) -> None:
        context["ends"] = [observe("dynamodb", model.name) for observe in observers]

    def answered(http_response: Any, parsed: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        code = parsed.get("Error", {}).get("Code") if http_response.status_code >= 300 else None
        # A condition that is not met is no failure.
        failed = code and code != "ConditionalCheckFailedException"
        end(client.exceptions.from_code(code)(parsed, model.name) if failed else None, context)

    def end(exception: BaseException | None, context: dict[str, Any], **_: Any) -> None:
        for ended in context.pop("ends", []):
            ended(exception)

    if observers:
        client.meta.events.register("before-call.dynamodb", begin)
        client.meta.events.register("after-call.dynamodb", answered)
        client.meta.events.register("after-call-error.dynamodb", end)


def _answer(error: Any) -> ResponseReturnValue:
    """Answer 503 while DynamoDB is away or too busy, or cannot be asked without credentials; the rest are bugs."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        answer = error.response
        away = answer["Error"]["Code"] in PASSING or answer["ResponseMetadata"]["HTTPStatusCode"] >= 500
    else:
        away = isinstance(
            error,
            exceptions.ConnectionError
            | exceptions.HTTPClientError
            | exceptions.NoCredentialsError
            | exceptions.PartialCredentialsError
            | exceptions.CredentialRetrievalError,
        )
    if not away:
        raise error
    return nosql.unavailable("dynamodb", error)


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
