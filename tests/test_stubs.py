"""Views and schemas from a contract. Making them with the generator itself needs its download; see make stubs."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from manifest import TEMPLATE

stubs = SimpleNamespace(**runpy.run_path(str(TEMPLATE / "stubs.py")))

CONTRACT: dict[str, Any] = {
    "info": {"title": "Shop"},
    "paths": {
        "/orders/{order_id}/lines": {
            "parameters": [{"name": "order_id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            "get": {
                "operationId": "listLines",
                "parameters": [
                    {"name": "page-size", "in": "query", "schema": {"type": "integer", "maximum": 9, "default": 5}},
                    {"name": "sort", "in": "query", "schema": {"enum": ["up", "down"]}},
                    {"name": "from", "in": "query", "required": True, "schema": {"type": "string"}},
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {}, "default": []}},
                    {"name": "ids", "in": "query", "schema": {"type": "array", "items": {}, "default": [1]}},
                    {"name": "all", "in": "query", "required": True, "schema": {"type": "boolean"}},
                ],
                "responses": {
                    "200": {
                        "description": "",
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}
                            }
                        },
                    },
                    "409": {"description": ""},
                },
            },
            "put": {
                "operationId": "put_lines",
                "summary": "Put lines.",
                "parameters": [{"name": "If-Match", "in": "header", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Line"}}}},
                "responses": {
                    "204": {"description": "", "headers": {"Location": {"description": "Where."}, "ETag": {}}}
                },
            },
        }
    },
    "components": {
        "schemas": {"Line": {"type": "object", "properties": {"part": {"$ref": "#/components/schemas/Line"}}}}
    },
}


def test_views() -> None:
    text = stubs.views(CONTRACT, "shop")
    compile(text, "shop.py", "exec")
    for line in (
        '@bp.get("/orders/<int:order_id>/lines")',
        "@operation(operation_id='listLines', errors=[409])",
        "def list_lines(order_id: int, query: ListLinesQuery) -> list[Line]:",
        "class ListLinesQuery(Input):",
        "    page_size: Annotated[int, Meta(le=9)] = field(name='page-size', default=5)",
        "    sort: Literal['up', 'down'] | UnsetType = UNSET",
        "    from_: str = field(name='from')",
        "    tags: list[Any] = field(default_factory=list)",
        "    ids: list[Any] = field(default_factory=lambda: [1])",
        "    all: bool",
        "@operation(204, etag=True, headers={'Location': 'Where.'})",
        "def put_lines(order_id: int, json: Line) -> None:",
        '    """Put lines."""',
        "from .schemas import Line",
    ):
        assert f"{line}\n" in text


EVIL = "__import__('os').system('touch pwned')"
HOSTILE = {"get": {"operationId": EVIL, "summary": f'"{EVIL}"', "responses": {"200": {"description": ""}}}}


@pytest.mark.parametrize(
    "contract",
    [
        {"info": {"title": f'"""\n{EVIL}\n"""'}, "paths": {"/a": HOSTILE}},
        {"info": {"title": "\\"}, "paths": {f'/a")\n{EVIL}\n("': HOSTILE, "/b\\": {"get": {"responses": {}}}}},
        {"info": {}, "paths": {f'/api/v1"+{EVIL}+"/a': HOSTILE}},
    ],
)
def test_no_text_becomes_code(contract: Any) -> None:
    stubs.check_code(stubs.views(contract, "shop"))


def test_names_that_would_be_code() -> None:
    answer = {"200": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{EVIL}"}}}}}
    refused = {"info": {}, "paths": {"/a": {"get": {"responses": answer}}}}
    for schemas in ({}, {EVIL: {}}, {"A\nimport os": {}}):
        with pytest.raises(click.ClickException, match="needs a name as classes have"):
            stubs.views({**refused, "components": {"schemas": schemas}}, "shop")
    with pytest.raises(click.ClickException, match="needs a name"):
        stubs.views({**CONTRACT, "components": {"schemas": {"Line\nimport os": {}}}}, "shop")


@pytest.mark.parametrize("code", [EVIL, "import os", "from os import system", "x: print(1)", "@f()\nclass A: ..."])
def test_code_that_declares_nothing(code: str) -> None:
    with pytest.raises(click.ClickException, match="names that are no names"):
        stubs.check_code(code)


def test_views_below_the_prefix() -> None:
    paths = {f"/api/v1{path}": item for path, item in CONTRACT["paths"].items()}
    text = stubs.views({**CONTRACT, "paths": paths}, "shop")
    assert 'bp = Blueprint("shop", __name__, url_prefix="/api/v1")' in text
    assert '@bp.get("/orders/<int:order_id>/lines")' in text


def test_dates_have_a_zone() -> None:
    fields = ["a: datetime", "b: datetime | UnsetType", "c: list[datetime]", "d: Annotated[datetime, Meta(title=1)]"]
    generated = "from datetime import datetime\nfrom msgspec import Struct\n" + "\n".join(fields)
    text = stubs.schemas_of(CONTRACT, generated)
    assert text.count("datetime, Meta(tz=True") == 4
    assert "from msgspec import Meta\n" in text


@pytest.mark.parametrize(
    ("name", "called"),
    [("listNotes", "list_notes"), ("2fast", "_2fast"), ("class", "class_"), ("operation", "operation_"), ("--", "_")],
)
def test_names(name: str, called: str) -> None:
    assert stubs.identifier(name) == called


def test_names_that_are_the_same() -> None:
    paths = {"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "X"}}}
    with pytest.raises(click.ClickException, match="Two operations would be called x"):
        stubs.views({"paths": paths}, "shop")


def test_names_of_schemas() -> None:
    """They become those of classes; what the generator makes no class of is written in the place of its name."""
    schemas = {"a.b-c": {"type": "object"}, "line": {"type": "array", "items": {"$ref": "#/components/schemas/a.b-c"}}}
    schemas["Line"] = {"type": "string", "pattern": r"\p{L}"}
    path = {"get": {"responses": {"200": {"content": {"*/*": {"schema": {"$ref": "#/components/schemas/line"}}}}}}}
    left: list[str] = []
    told = stubs.named({"paths": {"/a": path}, "components": {"schemas": schemas}}, left)
    assert told["components"]["schemas"] == {
        "ABC": {"type": "object"},
        "Line2": {"type": "array", "items": {"$ref": "#/components/schemas/ABC"}},
        "Line": {"type": "string"},
    }
    assert left == [r"the pattern \p{L}, which is none of Python"]
    assert "-> Line2:" in stubs.views(told, "shop")
    assert stubs.undefined(told, "class ABC:\n\nclass Line:\n") == {"Line2"}
    assert "-> list[ABC]:" in stubs.views(stubs.inlined(told, {"Line2"}), "shop")


def test_alternatives_that_are_alike() -> None:
    cat, dog = ({"type": "object", "properties": {name: {}}} for name in ("cat", "dog"))
    told = {"discriminator": {"propertyName": "a"}, "oneOf": [cat, dog]}
    for schema, tagged, kept in (({"oneOf": [cat, dog]}, True, False), (told, True, True), (told, False, False)):
        made = stubs.named({"paths": {}, "components": {"schemas": {"A": schema}}}, [], tagged)
        assert ("oneOf" in made["components"]["schemas"]["A"]) == kept
    bare, tags = "class A(Struct): ...\n", "class B(Struct, tag='b'): ...\nclass C(Struct, tag='c'): ...\n"
    assert stubs.untold(bare + tags + "x: A | B | None")
    assert not stubs.untold(bare + tags + "x: A | None\ny: B | C")


def test_lists_of_values_in_place() -> None:
    schema = {"properties": {"a": {"enum": [1]}, "b": {"items": [{"properties": {"c": {"enum": [1]}}}]}, "d": {}}}
    assert set(stubs._choices({"schemas": schema})) == {"a", "b", "c"}


def test_schemas() -> None:
    generated = "# made by\nfrom msgspec import Struct\n\n\nclass Problem(Struct):\n    x: int\n\n\nclass Line(Struct, kw_only=True):\n    y: int\n"
    text = stubs.schemas_of(CONTRACT, generated)
    assert "class Line(Input, kw_only=True):\n    y: int\n" in text
    assert "Problem" not in text


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({}, "Any"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int | None"),
        ({"allOf": [{"$ref": "#/components/schemas/Line"}]}, "Line"),
        ({"type": "array", "items": {"type": "number", "minimum": 0}, "maxItems": 2}, "Annotated[list[Annotated[float, Meta(ge=0)]], Meta(max_length=2)]"),
        ({"type": "object"}, "dict[str, Any]"),
        (True, "Any"),
        ({"type": ["null", "integer"], "minimum": 1}, "Annotated[int, Meta(ge=1)] | None"),
        ({"type": "string", "format": "date-time"}, "Annotated[datetime, Meta(tz=True)]"),
        ({"enum": ["a", None, 1]}, "Literal['a', None, 1]"),
        ({"enum": ["a", 1.5, True]}, "Any"),
    ],
)  # fmt: skip
def test_types(schema: Any, kind: str) -> None:
    assert stubs.python_type(schema) == kind


def test_contracts_of_other_styles() -> None:
    """Parameters that are no names, headers, cookies and forms; bodies that nobody decodes are told."""
    parameters = [
        {"name": "order-id", "in": "path", "required": True, "schema": {"type": "integer"}},
        {"name": "X-Tenant", "in": "header", "schema": {"type": "string"}},
        {"name": "Accept", "in": "header", "schema": {"type": "string"}},
        {"name": "session", "in": "cookie", "schema": {"type": "string"}},
        {"name": "max", "in": "query", "schema": {"type": "integer", "default": "9"}},
        {"name": "Max", "in": "query", "required": True, "schema": True},
    ]
    form = {"properties": {"file": {"type": "string", "format": "binary"}, "name": True}, "required": ["name"]}
    content = {"application/json; charset=utf-8": {"schema": {"type": "string"}}}
    item = {
        "parameters": [{"name": "Max", "in": "query", "schema": {"type": "string"}}],
        "post": {
            "operationId": "list",
            "parameters": parameters,
            "requestBody": {"content": {"multipart/form-data": {"schema": form}}},
            "responses": {"200": {"content": content}},
        },
        "put": {"operationId": "2", "requestBody": {"content": {"text/csv": {}}}, "responses": {"200": {"content": {"a/b": {}}}}},
    }  # fmt: skip
    left: list[str] = []
    text = stubs.views({"info": {}, "paths": {"/orders/{order-id}/{class}": item, "x-a": ""}}, "shop", left)
    compile(text, "shop.py", "exec")
    for line in (
        '@bp.post("/orders/<int:order_id>/<class_>")',
        "def list_(order_id: int, class_: str, query: ListQuery, headers: ListHeaders, cookies: ListCookies, form: ListForm) -> str:",
        "class ListQuery(Input):\n    max: Any = field(name='Max')\n    max2: int | UnsetType = field(name='max', default=UNSET)",
        "class ListHeaders(Input):\n    x_tenant: str | UnsetType = field(name='X-Tenant', default=UNSET)",
        "class ListForm(Input):\n    name: Any\n    file: FileStorage | UnsetType = UNSET",
        "class Type2Query(Input):\n    max: str | UnsetType = field(name='Max', default=UNSET)",
        "def _2(order_id: str, class_: str, query: Type2Query) -> None:",
        "from werkzeug.datastructures import FileStorage",
    ):
        assert f"{line}\n" in text
    where = "PUT /orders/{order-id}/{class}: its"
    assert left == [f"{where} body as text/csv, which request.get_data() reads", f"{where} answer as a/b"]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src/shop/blueprints/orders").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answering(reference: str) -> str:
    """A contract with an operation that answers what this refers to."""
    schema = {"schema": {"$ref": reference}}
    get = {"responses": {"200": {"description": "", "content": {"application/json": schema}}}}
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    used = {"schemas": schemas if reference.endswith("A") else {}}
    return json.dumps({"openapi": "3.1.1", "info": {}, "paths": {"/a": {"get": get}}, "components": used})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "odd.json is not valid OpenAPI in JSON"),
        ("[]", "odd.json is not valid OpenAPI in JSON"),
        ("{}", "odd.json is not OpenAPI 3.0 or 3.1: ''."),
        ('{"openapi": "3.1.1"}', "odd.json is not valid OpenAPI in JSON"),
        ('{"swagger": "2.0", "paths": {"/a": {}}}', "odd.json is not OpenAPI 3.0 or 3.1: ''."),
        ('{"openapi": "3.1.1", "paths": []}', "odd.json is not valid OpenAPI in JSON"),
        ('{"openapi": "3.1.1", "paths": {"/api/v1/memos": {"$ref": "#/gone"}}}', "KeyError('gone')"),
        (answering("#/components/schemas/Gone"), "KeyError('Gone')"),
        # A property that is called as a word of OpenAPI
        ('{"openapi": "3.1.1", "x": {"properties": {"default": {"$ref": "#/gone"}}}}', "KeyError('gone')"),
        (answering("other.json#/Note"), "'other.json#/Note' is in another document: put all into one."),
        (answering("#/components/schemas/A"), "'#/components/schemas/A' refers to itself."),
    ],
)
def test_what_is_no_contract(service: Path, text: str, message: str) -> None:
    (service / "odd.json").write_text(text)
    done = CliRunner().invoke(stubs.main, ["odd.json"])
    assert done.exit_code == 1
    assert message in done.output
    assert not (service / "src/shop/blueprints/odd").exists()


def test_what_is_data_holds_no_reference() -> None:
    stubs.check_references({}, {"x-docs": {"$ref": "docs.yaml"}, "examples": {"one": {"$ref": "#/gone"}}})


def test_nothing_is_written_over(service: Path) -> None:
    (service / "orders.json").write_text(json.dumps(CONTRACT))
    done = CliRunner().invoke(stubs.main, ["orders.json"])
    assert done.exit_code == 1
    assert "src/shop/blueprints/orders exists" in done.output
