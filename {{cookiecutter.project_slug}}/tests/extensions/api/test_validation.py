"""Parameters of every type, in every place; forms, files, and answers that are not JSON."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from io import BytesIO
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from msgspec import UNSET, Meta, Struct, UnsetType
from werkzeug.datastructures import FileStorage

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]
UUID_TEXT = "00000000-0000-4000-8000-000000000001"


class Color(Enum):
    RED = "red"
    BLUE = "blue"


Positive = Annotated[int, Meta(gt=0)]


class Everything(Struct, forbid_unknown_fields=True, kw_only=True):
    unset: list[str] | UnsetType = UNSET
    none: list[str] | None = None
    some: set[int] = set()
    frozen: frozenset[Color] | None = None
    pair: tuple[int, str] = (0, "")
    many: tuple[Positive, ...] = ()
    bounded: Annotated[list[Positive], Meta(max_length=2)] | None = None
    price: Decimal = Decimal(0)
    day: date | None = None
    color: Color | UnsetType = UNSET
    number: Positive | None = None
    either: bool | int | None = None
    literal: Literal[1, 2] | None = None
    key: UUID | None = None
    named: int = msgspec.field(default=0, name="the-name")


@pytest.fixture
def client(make_api: Callable[..., Flask], api: Callable[[str], Any]) -> FlaskClient:
    app = make_api()
    operation: Callable[..., Decorator] = api("contract").operation

    @app.get("/api/v1/everything")
    @operation()
    def everything(query: Everything) -> Everything:
        return query

    @app.get("/api/v1/keys/<key>/<day>")
    @operation()
    def path(key: UUID, day: date) -> list[str]:
        return [str(key), str(day)]

    class Sent(Struct, rename="kebab"):
        x_tenant: Positive
        x_tags: list[str] = []

    class Jar(Struct):
        theme: Literal["dark", "light"] = "light"

    @app.get("/api/v1/sent")
    @operation()
    def sent(headers: Sent, cookies: Jar) -> dict[str, Any]:
        return {"tenant": headers.x_tenant, "tags": headers.x_tags, "theme": cookies.theme}

    class Upload(api("contract").Input):  # type: ignore[misc]
        title: Annotated[str, Meta(max_length=10)]
        files: list[FileStorage]
        count: int = 1

    @app.post("/api/v1/upload")
    @operation()
    def upload(form: Upload) -> list[str]:
        return [form.title, *(file.read().decode() for file in form.files)]

    class Login(api("contract").Input):  # type: ignore[misc]
        name: str
        remember: bool = False

    @app.post("/api/v1/login")
    @operation(204)
    def login(form: Login) -> None: ...

    @app.get("/api/v1/table.csv")
    @operation(media_type="text/csv", etag=True)
    def table() -> str:
        return "a,b\n"

    @app.get("/api/v1/stream.csv")
    @operation(media_type="text/csv")
    def stream() -> Response:
        return Response(iter(["a,", "b\n"]), mimetype="text/csv")

    return app.test_client()


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("unset=a", {"unset": ["a"]}),
        ("unset=a&unset=1", {"unset": ["a", "1"]}),
        ("none=a&none=b", {"none": ["a", "b"]}),
        ("some=1&some=2", {"some": [1, 2]}),
        ("frozen=red", {"frozen": ["red"]}),
        ("pair=1&pair=a", {"pair": [1, "a"]}),
        ("many=1&many=2", {"many": [1, 2]}),
        ("bounded=1&bounded=2", {"bounded": [1, 2]}),
        ("price=1.10", {"price": "1.10"}),
        ("day=2026-01-02", {"day": "2026-01-02"}),
        ("color=blue", {"color": "blue"}),
        ("number=1", {"number": 1}),
        ("either=true", {"either": True}),
        ("either=7", {"either": 7}),
        ("literal=2", {"literal": 2}),
        (f"key={UUID_TEXT}", {"key": UUID_TEXT}),
        ("the-name=3", {"the-name": 3}),
        *((query, None) for query in ("some=x", "frozen=green", "many=0", "bounded=1&bounded=2&bounded=3", "price=x")),
        *((query, None) for query in ("day=2026", "color=x", "number=0", "either=1.5", "literal=3", "key=1")),
        *((query, None) for query in ("day=2026-01-02&day=2026-01-02", "color=", "number=", "price=", "named=1")),
    ],
)
def test_types_of_parameters(client: FlaskClient, query: str, answer: dict[str, Any] | None) -> None:
    response = client.get(f"/api/v1/everything?{query}")
    assert response.status_code == (422 if answer is None else 200)
    if answer is not None:
        assert {name: value for name, value in (response.json or {}).items() if name in answer} == answer


def test_types_of_arguments_of_the_path(client: FlaskClient) -> None:
    assert client.get(f"/api/v1/keys/{UUID_TEXT}/2026-01-02").json == [UUID_TEXT, "2026-01-02"]
    assert client.get(f"/api/v1/keys/{UUID_TEXT}/today").status_code == 404


def test_headers_and_cookies(client: FlaskClient) -> None:
    answer = {"tenant": 7, "tags": ["a", "b"], "theme": "dark"}
    client.set_cookie("theme", "dark")
    assert client.get("/api/v1/sent", headers={"X-Tenant": "7", "x-tags": "a, b"}).json == answer
    client.set_cookie("theme", "pink")
    response: Any = client.get("/api/v1/sent", headers={"X-Tenant": "0"}).json
    assert [error["parameter"] for error in response["errors"]] == ["x-tenant", "theme"]
    given = described(client, "/api/v1/sent", "get")["parameters"]
    assert [(each["name"], each["in"], each["required"]) for each in given] == [
        ("x-tenant", "header", True), ("x-tags", "header", False), ("theme", "cookie", False),
    ]  # fmt: skip


def test_files(client: FlaskClient) -> None:
    files = [(BytesIO(text), "name.txt") for text in (b"one", b"two")]
    assert client.post("/api/v1/upload", data={"title": "T", "files": files}).json == ["T", "one", "two"]
    response: Any = client.post(
        "/api/v1/upload", data={"title": "T" * 11, "files": "text", "x": "1", "count": (BytesIO(b"1"), "n")}
    ).json
    assert {error["pointer"] for error in response["errors"]} == {"#/title", "#/files/0", "#/x", "#/count"}
    assert client.post("/api/v1/upload", data={"title": "T"}).status_code == 415
    content = described(client, "/api/v1/upload", "post")["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]


def test_forms(client: FlaskClient) -> None:
    assert client.post("/api/v1/login", data={"name": "Ada", "remember": "true"}).status_code == 204
    response: Any = client.post("/api/v1/login", data={"remember": "perhaps"}).json
    assert {error["pointer"] for error in response["errors"]} == {"#/name", "#/remember"}
    assert client.post("/api/v1/login", json={"name": "Ada"}).status_code == 415
    content = described(client, "/api/v1/login", "post")["requestBody"]["content"]
    assert list(content) == ["application/x-www-form-urlencoded"]


def test_answers_that_are_not_json(client: FlaskClient) -> None:
    answer = client.get("/api/v1/table.csv")
    assert (answer.text, answer.mimetype) == ("a,b\n", "text/csv")
    assert client.get("/api/v1/table.csv", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get("/api/v1/stream.csv").text == "a,b\n"
    for path in ("/api/v1/table.csv", "/api/v1/stream.csv"):
        content = described(client, path, "get")["responses"]["200"]["content"]
        assert content == {"text/csv": {"schema": {"type": "string"}}}


def described(client: FlaskClient, path: str, method: str) -> Any:
    contract: Any = client.get("/api/v1/openapi.json").json
    return contract["paths"][path][method]


def test_answers_made_from_models(api: Callable[[str], Any]) -> None:
    class Model:
        id = 1
        name = "Ada"
        secret = "x"

    class Out(api("contract").Output):  # type: ignore[misc]
        id: int
        name: str

    assert Out.of(Model()) == Out(id=1, name="Ada")
    with pytest.raises(msgspec.ValidationError):
        Out.of(object())
