import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

Probe = Callable[..., Flask]
AWAY = {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1", "DYNAMODB_TIMEOUT": "0.1"}
SHELVES = {
    "TableName": "shelves",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}


@pytest.fixture
def extension(package: ModuleType) -> ModuleType:
    return import_module(".extensions.dynamodb", package.__name__)


@pytest.fixture
def shelves(extension: ModuleType, probe: Probe) -> Callable[..., Flask]:
    """Make an application that needs a table, with a view that reads it."""

    def make(**config: Any) -> Flask:
        app = probe("extensions.dynamodb", **{"READY_TIMEOUT": 10} | config)
        module = ModuleType("shelves")
        module.TABLES = [SHELVES]  # type: ignore[attr-defined]
        app.extensions["modules"].append(module)
        app.add_url_rule("/read", view_func=lambda: read(extension))
        return app

    return make


def read(extension: ModuleType) -> dict[str, Any]:
    found = extension.client().get_item(TableName=extension.table("shelves"), Key={"id": {"S": "1"}})
    return {"found": found.get("Item")}


@pytest.fixture
def app(dynamodb: Any, shelves: Callable[..., Flask], extension: ModuleType) -> Iterator[Flask]:
    """An application that needs a table, which is not there yet, on the server of the tests."""
    app = shelves()
    yield app
    with app.app_context():
        if (name := extension.table("shelves")) in dynamodb.list_tables()["TableNames"]:
            dynamodb.delete_table(TableName=name)


def upgrade(app: Flask) -> str:
    result = app.test_cli_runner().invoke(args=["dynamodb", "upgrade"])
    assert result.exit_code == 0, result.output
    return result.output


def readiness(app: Flask) -> str:
    app.config["READY_TIMEOUT"] = 30  # A busy machine takes long for a first client.
    return str(app.test_client().get("/readyz").get_json()["checks"]["dynamodb"])


def refuse(app: Flask, extension: ModuleType, method: str, code: str, status: int = 400) -> None:
    """Let DynamoDB refuse the next request."""
    from botocore.stub import Stubber

    with app.app_context():
        stub = Stubber(extension.client())
    stub.add_client_error(method, code, http_status_code=status)
    stub.activate()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "eu central"),
        ("AWS_REGION", "1" * 8),
        ("AWS_REGION", "x" * 64),
        ("AWS_ENDPOINT_URL_DYNAMODB", "127.0.0.1:8000"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://host"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://host:0"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://host:65536"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://user:password@host"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://host/?read_timeout=60"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://a_b"),
        ("AWS_ACCESS_KEY_ID", "a b"),
        ("AWS_SESSION_TOKEN", "a\nb"),
        ("DYNAMODB_TABLE_PREFIX", "all orders"),
        ("DYNAMODB_TIMEOUT", "0"),
    ],
)
def test_a_wrong_setting_is_refused(probe: Probe, package: ModuleType, name: str, value: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=f"\n  {name}: "):
        probe("extensions.dynamodb", **{name: value})


def test_production_needs_a_region_and_a_prefix(production: dict[str, str], probe: Probe, package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError) as refused:
        probe("extensions.dynamodb", **production | {"AWS_REGION": None, "DYNAMODB_TABLE_PREFIX": ""})
    assert "AWS_REGION: Set it to the region" in str(refused.value)
    assert "DYNAMODB_TABLE_PREFIX: Set it to what the names" in str(refused.value)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_credentials_is_refused(probe: Probe, package: ModuleType, missing: str) -> None:
    with pytest.raises(package.core.settings.ConfigError, match=f"{missing}: Set both of the two, or none"):
        probe("extensions.dynamodb", **{missing: ""})


def test_secrets_are_redacted(probe: Probe) -> None:
    app = probe("extensions.dynamodb", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI", AWS_SESSION_TOKEN="IQoJb3JpZ2lu")
    assert app.extensions["redaction"]("wJalrXUtnFEMI, IQoJb3JpZ2lu") == "[redacted], [redacted]"


def test_production_asks_aws(
    production: dict[str, str], probe: Probe, extension: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    app = probe("extensions.dynamodb", **production)
    assert app.extensions["dynamodb"] == {}  # Nobody has asked yet.
    with app.app_context():
        assert extension.client().meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"


def test_threads_share_a_client(probe: Probe, extension: ModuleType) -> None:
    app = probe("extensions.dynamodb")

    def ask(_: int) -> Any:
        with app.app_context():
            return extension.client()

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(ask, range(4)))) == 1


def test_a_port_that_refuses(shelves: Callable[..., Flask]) -> None:
    client = shelves(**AWAY).test_client()
    response = client.get("/read")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.get_json()["detail"] == "dynamodb is unavailable."
    assert client.get("/readyz").get_json()["checks"] == {"dynamodb": "unavailable"}
    assert client.get("/").status_code == client.get("/livez").status_code == 200


def test_a_server_that_never_answers(shelves: Callable[..., Flask]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = shelves(**AWAY | {"AWS_ENDPOINT_URL_DYNAMODB": url}).test_client()
        begun = monotonic()
        assert client.get("/read").status_code == 503
        assert monotonic() - begun < 20  # Two tries; by itself, boto3 waits for a minute, several times.
        listener.settimeout(0.1)
        for _ in range(2):
            listener.accept()[0].close()
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("ExpiredTokenException", 400), ("InternalServerError", 500)]
)
def test_what_passes_is_answered_503(app: Flask, extension: ModuleType, code: str, status: int) -> None:
    refuse(app, extension, "get_item", code, status)
    assert app.test_client().get("/read").status_code == 503


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_what_is_wrong_with_a_request_is_a_bug(app: Flask, extension: ModuleType, code: str) -> None:
    refuse(app, extension, "get_item", code)
    with pytest.raises(Exception, match=code):
        app.test_client().get("/read")


def test_a_table_that_is_missing(app: Flask) -> None:
    assert "shelves is missing: run `dynamodb upgrade`" in readiness(app)
    upgrade(app)
    assert readiness(app) == "ok"
    assert app.test_client().get("/read").get_json() == {"found": None}
    upgrade(app)


def test_two_processes_upgrade_at_once(app: Flask, extension: ModuleType, shelves: Callable[..., Flask]) -> None:
    def make(app: Flask) -> None:
        with app.app_context():
            extension.make(extension.client(), extension.tables())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, [app, *(shelves() for _ in range(3))]))
    assert readiness(app) == "ok"


def test_a_table_with_other_keys(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(app)
    monkeypatch.setitem(SHELVES, "KeySchema", [{"AttributeName": "name", "KeyType": "HASH"}])
    assert "shelves has other keys than the code" in readiness(app)
    result = app.test_cli_runner().invoke(args=["dynamodb", "upgrade"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_an_upgrade_without_a_server(shelves: Callable[..., Flask]) -> None:
    result = shelves(**AWAY).test_cli_runner().invoke(args=["dynamodb", "upgrade"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("Error: Could not connect")


def test_without_tables_it_has_to_answer(dynamodb: Any, probe: Probe) -> None:
    assert readiness(probe("extensions.dynamodb")) == "ok"


def test_credentials_that_are_refused(app: Flask, extension: ModuleType) -> None:
    refuse(app, extension, "describe_table", "UnrecognizedClientException")
    assert readiness(app) == "DynamoDB answers: UnrecognizedClientException"


@pytest.mark.parametrize("file", ["", "[default]\naws_access_key_id = tests\n"])
def test_no_credentials(
    shelves: Callable[..., Flask],
    production: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    file: str,
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(file)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    app = shelves(**production)
    assert readiness(app).startswith("There are no credentials for DynamoDB. Set AWS_ACCESS_KEY_ID")
    assert app.test_client().get("/read").status_code == 503


def test_an_imitation(shelves: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the tables, the two applications do not meet in it, and no proxy comes between."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY")
    for prefix in ("imitated-1-", "imitated-2-"):
        app = shelves(AWS_ENDPOINT_URL_DYNAMODB="", DYNAMODB_TABLE_PREFIX=prefix)
        assert "nothing to do" in upgrade(app)
        assert app.test_client().get("/read").get_json() == {"found": None}
        assert readiness(app) == "ok"


def test_an_imitation_that_is_missing(
    probe: Probe, package: ModuleType, extension: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extension, "find_spec", lambda name: None)
    with pytest.raises(package.core.settings.ConfigError, match="AWS_ENDPOINT_URL_DYNAMODB: Set it, or install moto"):
        probe("extensions.dynamodb", AWS_ENDPOINT_URL_DYNAMODB="")


def test_observers(app: Flask, shelves: Callable[..., Flask], extension: ModuleType) -> None:
    """They are told of each operation, and of what went wrong; that a condition is not fulfilled is no error."""
    told: list[tuple[str, str, str | None]] = []

    def observe(store: str, command: str) -> Callable[[BaseException | None], None]:
        return lambda error: told.append((store, command, type(error).__qualname__ if error else None))

    nosql, away = import_module("..nosql", extension.__name__), shelves(**AWAY)
    for observed in (app, away):
        nosql.observers(observed).append(observe)
    with app.app_context():
        client, put = extension.client(), {"TableName": extension.table("shelves"), "Item": {"id": {"S": "1"}}}
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.put_item(**put)
        upgrade(app)
        told.clear()
        client.put_item(**put)
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(ConditionExpression="attribute_not_exists(id)", **put)
    app.test_client().get("/read")
    away.test_client().get("/read")
    assert told == [
        ("dynamodb", "PutItem", None),
        ("dynamodb", "PutItem", None),
        ("dynamodb", "GetItem", None),
        ("dynamodb", "GetItem", "EndpointConnectionError"),
    ]
