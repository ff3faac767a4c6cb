"""What breaks clients is named; what does not is not."""

import copy
import json
import random
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifest import TREE

PROGRAM = TREE / "tools/api/changes.py"
LOADED = runpy.run_path(str(PROGRAM))
breaking = LOADED["breaking"]

SCHEMAS: dict[str, Any] = {
    "In": {
        "type": "object",
        "required": ["a", "n"],
        "properties": {
            "n": {"type": "integer", "readOnly": True},
            "o": {"type": "object", "additionalProperties": {"type": "integer"}},
            "p": {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False},
            "a": {"type": "string", "maxLength": 9},
            "b": {"type": "integer", "minimum": 1},
            "c": {"enum": ["x", "y"]},
            "d": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "e": {"type": "array", "items": {"$ref": "#/components/schemas/In"}},
            "f": {"anyOf": [{"$ref": "#/components/schemas/In"}, {"type": "null"}]},
            "k": {"type": "string", "default": "x"},
            "q": {"type": ["integer", "null"], "default": None},
            "l": {"type": "number", "maximum": 9, "exclusiveMaximum": True},
            "m": {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]},
            "g": {"allOf": [{"$ref": "#/components/schemas/Part"}, {"properties": {"h": {"type": "string"}}}]},
        },
    },
    "Cat": {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "maximum": 9}}},
    "Dog": {"type": "object", "properties": {"kind": {"const": "dog"}, "barks": {"type": "boolean"}}},
    "Part": {"type": "object", "required": ["i"], "properties": {"i": {"type": "string"}}},
    "Out": {
        "type": "object",
        "required": ["a", "b"],
        "properties": {
            "a": {"type": "string", "maxLength": 9},
            "b": {"type": "integer", "minimum": 1},
            "c": {"enum": ["x", "y"]},
            "d": {"type": "number"},
            "m": {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]},
        },
    },
}
CAT, DOG = ({"$ref": f"#/components/schemas/{name}"} for name in ("Cat", "Dog"))


def ref(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


TAGS = {"type": "array", "items": {"type": "string"}}
ERRORS = {"description": "", "content": {"application/json": ref("Part")}}
BYTES = {
    "description": "",
    "headers": {"X-Parts": {"schema": {"type": "object"}}},
    "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}, "image/*": {}},
}
FORM = {
    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}, "list": TAGS}},
    "encoding": {"file": {"contentType": "image/png, image/jpeg"}},
}
CONTRACT: dict[str, Any] = {
    "openapi": "3.1.1",
    "servers": [{"url": "https://things.example.com"}],
    "paths": {
        "/things/{a}/parts/{b}": {
            "parameters": [
                {"name": "b", "in": "path", "required": True, "schema": {"type": "integer"}},
                {"name": "a", "in": "path", "required": True, "schema": {"type": "string"}},
            ],
            "get": {"security": [{"bearer": ["read"]}]},
        },
        "/things": {
            "get": {
                "operationId": "list",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9}},
                    {"name": "tags", "in": "query", "allowReserved": True, "allowEmptyValue": True, "schema": TAGS},
                    {"name": "v", "in": "query", "required": True, "schema": {"type": "integer", "default": 1}},
                ],
                "responses": {"200": {"description": "", "content": {"application/json": ref("Out")}}},
            },
            "post": {
                "operationId": "create",
                "requestBody": {"content": {"application/json": ref("In"), "multipart/form-data": FORM}},
                "responses": {
                    "201": {
                        "description": "",
                        "headers": {"Location": {"schema": {"type": "string"}}},
                        "content": {"application/json": ref("Out")},
                    },
                    "409": {"description": ""},
                },
            },
        },
        "/other": {
            "get": {
                "operationId": "other",
                "security": [{"a": []}, {"b": []}],
                "responses": {"200": BYTES, "404": ERRORS, "default": ERRORS},
            }
        },
        "/linked": {"$ref": "#/components/pathItems/linked"},
    },
    "components": {"schemas": SCHEMAS, "pathItems": {"linked": {"get": {}}}},
}
IN, OUT = "components/schemas/In/", "components/schemas/Out/"
POST, GET, OTHER = "paths/~things/post/", "paths/~things/get/", "paths/~other/get/"
ENCODING = POST + "requestBody/content/multipart~form-data/encoding"

PARTS = "paths/~things~{a}~parts~{b}/"

Edit = Callable[[Any], None]


def put(path: str, value: object) -> Edit:
    def edit(contract: Any) -> None:
        *parts, last = (part.replace("~", "/") for part in path.split("/"))
        for part in parts:
            contract = contract[int(part) if isinstance(contract, list) else part]
        contract[last] = value

    return edit


def drop(path: str) -> Edit:
    def edit(contract: Any) -> None:
        *parts, last = (part.replace("~", "/") for part in path.split("/"))
        for part in parts:
            contract = contract[part]
        del contract[last]

    return edit


def renamed(item: Any) -> Any:
    """The same operations where the parameters of the path are called otherwise."""
    for parameter in item["parameters"]:
        parameter["name"] += "_id"
    return {"/things/{a_id}/parts/{b_id}": item}


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (drop("paths/~other"), "/other: the path is removed"),
        (drop("paths/~things/get"), "GET /things: the operation is removed"),
        (put(GET + "operationId", "all"), "GET /things: the operation is called all, and was list"),
        (drop(POST + "responses/409"), "POST /things, response 409: the response is removed"),
        (drop(POST + "responses/201/headers/Location"), "response 201: the header Location is removed"),
        (put(POST + "responses/201/content", {}), "response 201: application/json is no longer answered"),
        (put(POST + "requestBody/content", {}), "request body: application/json is no longer accepted"),
        (put(POST + "requestBody/required", True), "request body: it is required now"),
        (put(GET + "parameters", []), "query parameter limit: the parameter is removed"),
        (put(GET + "parameters/0/required", True), "query parameter limit: it is required now"),
        (put(GET + "parameters/0/schema/maximum", 8), "limit: maximum is narrowed, from 9 to 8"),
        (put(GET + "parameters/0/schema/type", "string"), "limit: integer is no longer accepted"),
        (
            lambda contract: contract["paths"]["/things"]["get"]["parameters"].append(
                {"name": "q", "in": "query", "required": True, "schema": {}}
            ),
            "query parameter q: it is new and required",
        ),
        (put(GET + "security", [{"bearer": []}]), "GET /things: bearer is required to be allowed"),
        (put("servers/0/url", "https://things.example.com/v1"), "https://things.example.com: the server is removed"),
        (put(PARTS + "get/security", [{"bearer": ["read", "write"]}]), "bearer write is required to be allowed"),
        (put(PARTS + "parameters/1/schema/type", "integer"), "path parameter 1: string is no longer accepted"),
        (put(GET + "parameters/0/style", "spaceDelimited"), "query parameter limit: it is written otherwise now"),
        (put(GET + "parameters/1/explode", False), "query parameter tags: it is written otherwise now"),
        (put(GET + "parameters/1/allowEmptyValue", False), "query parameter tags: it may not be empty now"),
        (put(GET + "parameters/1/allowReserved", False), "query parameter tags: reserved signs have to be encoded now"),
        (
            put(GET + "servers", [{"url": "https://b.example.com"}]),
            "GET /things, https://things.example.com: the server",
        ),
        (put("paths/~other/servers", [{"url": "/b"}]), "/other, https://things.example.com: the server is removed"),
        (put(OTHER + "responses/200/headers/X-Parts/explode", True), "header X-Parts: it is written otherwise now"),
        (put(OTHER + "responses/500", {"description": ""}), "response 500: application/json is no longer answered"),
        (put(OTHER + "responses/202", {"description": ""}), "response 202: application/json is no longer answered"),
        (put(OTHER + "responses", {"200": BYTES, "4XX": {}}), "response 404: application/json is no longer answered"),
        (put(ENCODING + "/file/contentType", "image/png"), "request body, file: it is written otherwise now"),
        (put(ENCODING + "/list", {"explode": False}), "request body, list: it is written otherwise now"),
        (put(ENCODING + "/list", {"contentType": "text/csv"}), "request body, list: it is written otherwise now"),
        (drop(IN + "properties/n/readOnly"), "request body, n: it is required now"),
        (put(IN + "properties/o/properties", {"x": {"type": "string"}}), "request body, o, x: integer is no longer"),
        (put(IN + "properties/p/patternProperties", {}), "request body, p.^x: integer is no longer accepted"),
        (put(IN + "properties/a/contentSchema", {}), "request body, a: contentSchema is {}, and was none"),
        (put(IN + "properties/k/default", "y"), "request body, k: without it, 'y' is taken, and was 'x'"),
        (
            put(IN + "properties/p/properties", {"xa": {"type": "string"}}),
            "request body, p, xa: integer is no longer accepted",
        ),
        (drop(IN + "properties/k/default"), "request body, k: without it, 'nothing' is taken, and was 'x'"),
        (
            put(IN + "properties/l", {"type": "number", "exclusiveMaximum": 8}),
            "exclusiveMaximum is narrowed, from 9 to 8",
        ),
        (put(IN + "properties/q/default", 1), "request body, q: without it, 1 is taken, and was None"),
        (put(IN + "properties/m/oneOf", [DOG]), "request body, m: object kind=cat is no longer accepted"),
        (put(OUT + "properties/m/anyOf", [DOG, CAT, {"type": "string"}]), "response 200, m: it may be string now"),
        (put("components/schemas/Cat/properties/lives/maximum", 10), "response 200, m, lives: maximum is widened"),
        (put("components/schemas/Cat/properties/lives/maximum", 8), "request body, m, lives: maximum is narrowed"),
        (put(OUT + "properties/a/nullable", True), "response 200, a: it may be null now"),
        (put("paths/~other/get/security", [{"a": [], "b": []}]), "GET /other: a is required to be allowed"),
        (drop("components/pathItems/linked/get"), "GET /linked: the operation is removed"),
        (put("components/schemas/Part/required", ["h", "i"]), "request body, g, h: it is required now"),
        (drop("components/schemas/Part/properties/i"), "request body, g, i: the property is removed"),
        (
            put(GET + "parameters", [{"name": "limit", "in": "query", "content": {"": {"schema": {"type": "null"}}}}]),
            "limit: integer is no longer accepted",
        ),
        (put(IN + "required", ["a", "b"]), "request body, b: it is required now"),
        (
            lambda contract: contract["components"]["schemas"]["In"].update(
                required=["a", "z"], properties=SCHEMAS["In"]["properties"] | {"z": {}}
            ),
            "request body, z: it is new and required",
        ),
        (drop(IN + "properties/b"), "request body, b: the property is removed"),
        (put(IN + "additionalProperties", False), "request body: further properties are refused now"),
        (put(IN + "properties/a/maxLength", 8), "request body, a: maxLength is narrowed, from 9 to 8"),
        (put(IN + "properties/a/minLength", 1), "request body, a: minLength is narrowed, from none to 1"),
        (put(IN + "properties/b/minimum", 2), "request body, b: minimum is narrowed, from 1 to 2"),
        (put(IN + "properties/a/pattern", "x"), "request body, a: pattern is x, and was none"),
        (put(IN + "properties/a/enum", ["x"]), "request body, a: only some values are accepted now"),
        (put(IN + "properties/c/enum", ["x"]), "request body, c: 'y' is no longer accepted"),
        (put(IN + "properties/c", {"const": "x"}), "request body, c: 'y' is no longer accepted"),
        (put(IN + "properties/d", {"type": "string"}), "request body, d: null is no longer accepted"),
        (put(IN + "properties/a", {"type": "integer"}), "request body, a: string is no longer accepted"),
        (put(IN + "properties/e/items", {"type": "string"}), "request body, e[]: object is no longer accepted"),
        (put(IN + "properties/e/maxItems", 3), "request body, e: maxItems is narrowed, from none to 3"),
        (drop(OUT + "properties/c"), "response 200, c: the property is removed"),
        (put(OUT + "required", ["a"]), "response 200, b: it may be absent now"),
        (put(OUT + "properties/a/maxLength", 10), "response 200, a: maxLength is widened, from 9 to 10"),
        (drop(OUT + "properties/b/minimum"), "response 200, b: minimum is widened, from 1 to none"),
        (put(OUT + "properties/c/enum", ["x", "y", "z"]), "response 200, c: 'z' is a new value"),
        (put(OUT + "properties/c", {"type": "string"}), "response 200, c: it may be any value now"),
        (put(OUT + "properties/b/type", "number"), "response 200, b: it may be number now"),
        (put(OUT + "properties/a", {"anyOf": [{"type": "string"}, {"type": "null"}]}), "a: it may be null now"),
    ],
)
def test_what_breaks_is_named(edit: Edit, named: str) -> None:
    new = copy.deepcopy(CONTRACT)
    edit(new)
    found = list(breaking(CONTRACT, new))
    assert any(named in line for line in found), found


@pytest.mark.parametrize(
    "edit",
    [
        lambda contract: None,
        put("paths/~new", {"get": {"responses": {}}}),
        put("paths/~other/post", {"responses": {}}),
        put("paths/~other/get/security", [{"a": []}, {"b": []}, {"c": []}]),
        put("paths/~other/get/security", [{}]),
        put("components/schemas/Part/properties/j", True),
        put(PARTS + "get/security", [{"bearer": []}]),
        lambda contract: contract["paths"].update(renamed(contract["paths"].pop("/things/{a}/parts/{b}"))),
        put(GET + "parameters/0/style", "form"),
        put(GET + "parameters/0/explode", True),
        put(GET + "parameters/0/explode", False),
        put(GET + "parameters/0/schema", {"anyOf": [{"type": "integer"}, TAGS]}),
        put(ENCODING + "/list", {"contentType": "text/plain"}),
        put(POST + "requestBody/content", {"*/*": {"schema": TAGS}, "application/*": ref("In"), "multipart/*": FORM}),
        put(GET + "parameters/2/schema/default", 2),
        put("servers", [{"url": "https://THINGS.example.com/"}]),
        put("paths/~things/servers", [{"url": "https://b.example.com"}, {"url": "https://things.example.com/"}]),
        put("paths/x-a", "an extension"),
        put(OTHER + "responses/500", ERRORS),
        put(OTHER + "responses", {"200": BYTES, "4XX": ERRORS, "default": ERRORS}),
        put(OTHER + "responses", {"200": BYTES, "default": ERRORS}),
        put(OTHER + "responses/200/content/application~pdf", {}),
        put(OTHER + "responses/200/content", {"application/pdf": {}, "image/png": {}}),
        put(ENCODING + "/file/contentType", "image/jpeg,image/*"),
        put(ENCODING + "/list", {"style": "form", "contentType": "text/*"}),
        put(ENCODING, {}),
        put(IN + "properties/p", {"type": "object"}),
        put(IN + "properties/l", {"type": "number", "exclusiveMaximum": 9}),
        put(IN + "properties/d", {"type": "string", "nullable": True}),
        put(IN + "properties/m/oneOf", [DOG, CAT]),
        put(OUT + "properties/m", {"oneOf": [DOG, CAT]}),
        put(OUT + "properties/m/anyOf", [CAT]),
        put(POST + "responses/422", {"description": ""}),
        put(POST + "requestBody/content/text~csv", {}),
        put(POST + "responses/201/headers/ETag", {}),
        put(GET + "parameters/0/schema/maximum", 10),
        put(GET + "parameters/0/schema/type", "number"),
        put(IN + "required", []),
        put(IN + "properties/z", {"type": "string"}),
        put(IN + "properties/a", {"type": ["string", "null"], "maxLength": 9}),
        put(IN + "properties/a/maxLength", 10),
        put(IN + "properties/d", {"type": ["string", "null"]}),
        put(OUT + "properties/e", {"type": ["string", "null"]}),
        put(IN + "properties/b", {}),
        put(IN + "properties/b/type", "number"),
        put(IN + "properties/c/enum", ["y", "x", "z"]),
        put(IN + "properties/c", {"type": "string", "pattern": r"^\p{L}$"}),
        put(OUT + "required", ["a", "b", "c"]),
        put(OUT + "properties/z", {"type": "string"}),
        put(OUT + "properties/a/maxLength", 8),
        put(OUT + "properties/c/enum", ["x"]),
        put(OUT + "properties/d/type", "integer"),
        put(OUT + "properties/d/description", "new words"),
    ],
)
def test_what_breaks_nothing_is_not_named(edit: Edit) -> None:
    new = copy.deepcopy(CONTRACT)
    edit(new)
    assert list(breaking(CONTRACT, new)) == []


def many(size: int, edit: Edit = lambda contract: None) -> Any:
    """A contract of schemas that hold each other, and are told apart by nothing but what they hold."""
    schemas: dict[str, Any] = {}
    for number in range(size):
        links = {f"link{step}": ref(f"S{(number + step) % size}")["schema"] for step in range(1, 5)}
        links["any"] = {"oneOf": [ref(f"S{(number + step) % size}")["schema"] for step in range(4)]}
        schemas[f"S{number}"] = {"type": "object", "properties": links | {"n": {"type": "integer"}}}
    contract = {"openapi": "3.1.1", "paths": copy.deepcopy(CONTRACT["paths"]), "components": {"schemas": schemas}}
    contract["paths"] = {"/s": {"post": {"requestBody": {"content": {"application/json": ref("S0")}}, "responses": {}}}}
    edit(contract)
    return contract


@pytest.mark.parametrize("size", [24, 400])
def test_names_of_schemas_that_hold_each_other(size: int) -> None:
    """One of them changed as well; and all are the same."""
    old, new = many(size), many(size, put("components/schemas/S3/properties/n/maximum", 9))
    names = {f"S{number}": f"T{(number * 7) % size}" for number in range(size)}
    for contract, expected in (
        (old, []),
        (new, ["POST /s, request body, link3, n: maximum is narrowed, from none to 9"]),
    ):
        other = json.loads(re.sub(r"\bS\d+", lambda found: names[found[0]], json.dumps(contract)))
        comparison = LOADED["Comparison"](old, other)
        assert list(comparison.paths()) == expected
        assert comparison.most - comparison.left < 300 * size


def test_names_by_which_alternatives_are_told() -> None:
    """They are sent, unless a mapping or a constant tells it."""
    cat, dog = ({"type": "object", "properties": {"k": {"type": "string"}, name: {}}} for name in "ab")

    def told(names: list[str], **more: Any) -> Any:
        alternatives = [ref(name)["schema"] for name in names]
        contract = many(0)
        contract["components"]["schemas"] = dict(zip(names, (cat, dog), strict=True))
        contract["components"]["schemas"]["S0"] = {
            "oneOf": alternatives,
            "discriminator": {"propertyName": "k", **more},
        }
        return contract

    old, new = ["Cat", "Dog"], ["Katze", "Hund"]
    found = list(breaking(told(old), told(new)))
    assert found == [f"POST /s, request body: object k={name} is no longer accepted" for name in old]
    targets: Callable[[list[str]], Any] = lambda names: dict(zip("cd", names, strict=True))
    assert list(breaking(told(old, mapping=targets(old)), told(new, mapping=targets(new)))) == []
    assert list(breaking(told(old, mapping=targets(old)), told(new, mapping=targets(new[::-1])))) != []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ({"A": {"$ref": "#/components/schemas/B", "maxLength": 9}}, {"maxLength": 20}, "maxLength is"),
        (
            {"B": {"$ref": "#/components/schemas/C"}, "C": {"type": "string"}},
            {"C": {"type": "integer"}},
            "it may be integer now",
        ),
        (
            {"A": {"properties": {"c": {"$ref": "#/components/schemas/B"}}}},
            {"B": {"type": "integer"}},
            "it may be integer now",
        ),
        ({"A": {"const": 1}}, {"A": {"const": True}}, "it may be boolean now"),
        ({"A": {"type": "string"}}, {"A": {"type": "string", "example": {"$ref": "no/reference"}}}, ""),
    ],
)
def test_an_operation_that_is_as_before_is_compared_by_what_it_refers_to(
    old: dict[str, Any], new: dict[str, Any], named: str
) -> None:
    answer = {"content": {"application/json": ref("A")}}
    example = {"content": {"application/json": {"schema": {}, "example": {"$ref": "https://example.com"}}}}
    path = {"get": {"responses": {"200": {"description": "", **answer}, "400": {"description": "", **example}}}}
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"type": "string"}} | old
    later = schemas | (new if new.keys() <= {"A", "B", "C"} else {"A": {**schemas["A"], **new}})
    contracts = [
        {"openapi": "3.1.0", "info": {"title": title}, "paths": {"/a": path}, "components": {"schemas": told}}
        for title, told in (("old", schemas), ("new", later))
    ]
    found = list(breaking(*contracts))
    assert [line for line in found if named in line] == found
    assert bool(found) == bool(named)


SERVERS = {"servers": [{"url": "https://a.example.com/v1"}]}
CSV, CSV_1 = ({"requestBody": {"content": {f"text/csv{version}": {}}}} for version in ("", "; version=1"))


@pytest.mark.parametrize(
    ("old", "new", "breaks"),
    [
        ({}, SERVERS, True),
        ({}, {"servers": [{"url": "https://a.example.com"}]}, False),
        ({"servers": [{"url": "/v1"}]}, SERVERS, False),
        ({"servers": [{"url": "/v2"}]}, SERVERS, True),
        (SERVERS, {"get": SERVERS}, False),
        ({"get": CSV_1}, {"get": {"requestBody": {"content": {'text/csv;version="1"': {}}}}}, False),
        ({"get": CSV_1}, {"get": CSV}, False),
        ({"get": CSV}, {"get": CSV_1}, True),
        ({"name": "X-Key", "in": "header"}, {"name": "x-key", "in": "header"}, False),
        ({"name": "key", "in": "query"}, {"name": "Key", "in": "query"}, True),
    ],
)
def test_what_is_around_schemas(old: dict[str, Any], new: dict[str, Any], breaks: bool) -> None:
    def contract(get: Any = None, servers: Any = (), **key: str) -> Any:
        components = {"securitySchemes": {"key": {"type": "apiKey", **key}}}
        path = {"get": {"responses": {}, "security": [{"key": []}], **(get or {})}}
        return {"openapi": "3.1.0", "servers": servers, "paths": {"/a": path}, "components": components}

    assert bool(list(breaking(contract(**old), contract(**new)))) == breaks


def test_a_security_scheme_that_is_referred_to() -> None:
    old = {"openapi": "3.1.0", "info": {}, "security": [{"a": []}], "paths": {"/a": {"get": {"responses": {}}}}}
    old["components"] = {"securitySchemes": {"a": {"$ref": "#/components/x"}}, "x": {"type": "http", "scheme": "basic"}}
    new = copy.deepcopy(old)
    new["components"]["x"]["scheme"] = "bearer"
    assert list(breaking(old, new)) == ["GET /a: a is required to be allowed"]


def test_each_pair_of_schemas_is_named_once() -> None:
    """Not once for each way to it, of which there are more than anybody could wait for."""
    one = put("components/schemas/S7/properties/n/maximum", 9)
    assert list(breaking(many(24), many(24))) == []
    found = list(breaking(many(24), many(24, one)))
    assert len([line for line in found if line.endswith("n: maximum is narrowed, from none to 9")]) == 1, found
    assert len(found) < 24 * 5


def test_words_beside_a_reference_make_no_other_schema() -> None:
    link = ref("S1")["schema"]
    told = {"a": link, "b": {"description": "It.", **link}, "c": {"anyOf": [link, {"type": "null"}], "x-note": 1}}
    old = many(2, put("components/schemas/S0", {"type": "object", "properties": told}))
    new = copy.deepcopy(old)
    del new["components"]["schemas"]["S1"]["properties"]["n"]
    assert list(breaking(old, new)) == ["POST /s, request body, a, n: the property is removed"]


def test_operations_share_what_was_compared() -> None:
    old = many(100)
    old["paths"] = {f"/{number}": old["paths"]["/s"] for number in range(100)}
    new = copy.deepcopy(old)
    new["components"]["schemas"]["S3"]["properties"]["more"] = {"type": "string"}
    comparison = LOADED["Comparison"](old, new)
    looked: list[int] = []
    comparison._look = looked.append
    assert list(comparison.paths()) == []
    assert sum(looked) < 100_000


def test_alternatives_without_names_that_hold_themselves() -> None:
    link = {"$ref": "#/components/schemas/S0"}
    one = {"type": "object", "properties": {"a": link, "n": {"type": "integer"}}}
    two = {"type": "object", "properties": {"b": link, "n": {"type": "string"}}, "required": ["b"]}

    def unions(*alternatives: Any) -> Any:
        return many(1, put("components/schemas/S0", {"oneOf": list(alternatives)}))

    assert list(breaking(unions(one, two), unions(two, one))) == []
    wider = {**one, "properties": one["properties"] | {"c": {"type": "string"}}}  # type: ignore[operator]
    assert list(breaking(unions(one, two), unions(two, wider))) == []
    found = list(breaking(unions(one, two), unions(wider)))
    assert found == [f"POST /s, request body{where}: object is no longer accepted" for where in ("", ", a")]


def test_the_alternative_that_is_told_apart_is_named() -> None:
    """Wherever it stands: the first one here is new, and tells itself by nothing."""

    def one(kind: str, **told: Any) -> Any:
        members = {"k": {"const": kind}, "x": {"type": "integer", **told}}
        return {"type": "object", "properties": members, "required": ["k"]}

    new = {"type": "object", "properties": {"z": {"type": "string"}}, "required": ["z"]}
    old = many(1, put("components/schemas/S0", {"oneOf": [one("a"), one("b")]}))
    other = many(1, put("components/schemas/S0", {"oneOf": [new, one("b"), one("a", maximum=3)]}))
    assert list(breaking(old, other)) == ["POST /s, request body, x: maximum is narrowed, from none to 3"]


def test_values_are_looked_into() -> None:
    """What is listed may be any value of a type that has it."""
    asked = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    for listed, found in (
        ([{"a": 1}, {"a": 2, "b": []}], []),
        ([{"a": "x"}], ["{'a': 'x'} is no longer accepted"]),
        ([{}], ["{} is no longer accepted"]),
    ):
        old = many(1, put("components/schemas/S0", {"enum": listed}))
        lines = [*breaking(old, many(1, put("components/schemas/S0", asked)))]
        assert lines == [f"POST /s, request body: {line}" for line in found]


def pet(told: dict[str, Any], **children: Any) -> dict[str, Any]:
    """Schemas of which a discriminator tells by its children, and these."""
    parent = {"type": "object", "properties": {"k": {"type": "string"}}, "discriminator": {"propertyName": "k", **told}}
    parts = {name: {"properties": members} for name, members in children.items()}
    return {"Pet": parent} | {name: {"allOf": [ref("Pet")["schema"], part]} for name, part in parts.items()}


def union(*names: str) -> dict[str, Any]:
    return {"oneOf": [ref(name)["schema"] for name in names]}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [min(properties)]}


INT, SMALL = {"type": "integer"}, {"type": "integer", "maximum": 3}
CHILD = {"mapping": {"c": "#/components/schemas/Cat"}}
LISTED = {"type": "string", "enum": ["v1", "v2"]}


@pytest.mark.parametrize(
    ("olds", "news", "breaks"),
    [
        # Alternatives in another order, with other names, and with other members.
        (
            {"S0": union("Cat", "Dog"), "Cat": thing(a=INT, n=INT), "Dog": thing(b=INT, n=INT)},
            {"S0": union("Hund", "Katze"), "Katze": thing(a=INT, n=INT, x=INT), "Hund": thing(b=INT, n=INT, y=INT)},
            "",
        ),
        (
            {"S0": union("Cat", "Dog"), "Cat": thing(a=INT, n=INT), "Dog": thing(b=INT, n=INT)},
            {"S0": union("Dog", "Cat"), "Dog": thing(a=INT, n=SMALL), "Cat": thing(b=INT, n=INT, y=INT)},
            "sent",
        ),
        (
            {"S0": union("A"), "A": thing(a=union("B", "C")), "B": thing(b=INT), "C": thing(c=INT)},
            {"S0": union("D"), "D": thing(a=union("F", "E"), z=INT), "E": thing(b=INT, z=INT), "F": thing(c=INT)},
            "",
        ),
        # A member that was there without a type has one.
        ({"S0": {"type": "object", "required": ["a"]}}, {"S0": thing(a=INT)}, "sent"),
        # A parent stands for its children.
        (pet({}, Cat={"a": INT}, Dog={"b": INT}), pet({}, Cat={"a": INT}), "sent"),
        (pet({}, Cat={"a": INT}), pet({}, Cat={"a": INT}, Dog={"b": INT}), "read"),
        (pet({}, Cat={"a": INT}, Dog={"b": INT}), pet({}, Cat={"a": INT}, Dog={"b": SMALL}), "sent"),
        (pet({}, Cat={"a": INT}), pet({}, Katze={"a": INT}), "sent read"),
        (pet(CHILD, Cat={"a": INT}), pet({}, Cat={"a": INT}), "sent read"),
        (pet(CHILD, Cat={"a": INT}), pet({"mapping": {"c": "Katze"}}, Katze={"a": INT}), ""),
        # One of its children stands for itself alone.
        (
            {**pet({}, Cat={"a": INT}, Dog={"b": INT}), "S0": ref("Cat")["schema"]},
            {**pet({}, Katze={"a": INT}, Dog={"b": {}}), "S0": ref("Katze")["schema"]},
            "",
        ),
        # A member that lists its values says itself what tells an alternative.
        (
            {"S0": {**union("Cat", "Dog"), "discriminator": {"propertyName": "k"}}, "Cat": thing(k=LISTED), "Dog": thing(k=INT)},
            {"S0": {**union("Dog", "Katze"), "discriminator": {"propertyName": "k"}}, "Katze": thing(k=LISTED), "Dog": thing(k=INT)},
            "",
        ),
    ],
)  # fmt: skip
def test_alternatives(olds: dict[str, Any], news: dict[str, Any], breaks: str) -> None:
    contracts = []
    for schemas in (olds, news):
        contract = many(0)
        contract["components"]["schemas"] = {"S0": ref("Pet")["schema"], **schemas}
        contract["paths"]["/r"] = {
            "get": {"responses": {"200": {"description": "", **contract["paths"]["/s"]["post"]["requestBody"]}}}
        }
        contracts.append(contract)
    found = {"sent" if line.startswith("POST") else "read" for line in breaking(*contracts)}
    assert found == {*breaks.split()}


def tangle(rnd: random.Random, count: int = 8) -> Any:
    """Schemas by chance, which hold each other as alternatives and as parts."""

    def schema(depth: int) -> Any:
        kind, several = rnd.random(), range(rnd.randint(2, 4))
        if not depth or kind < 0.3:
            return {"$ref": f"#/components/schemas/S{rnd.randrange(count)}"}
        if kind < 0.6:
            return {rnd.choice(["oneOf", "anyOf"]): [schema(depth - 1) for _ in several]}
        if kind < 0.75:
            return {"allOf": [schema(depth - 1) for _ in several]}
        return {"type": "object", "properties": {rnd.choice("abcdef"): schema(depth - 1) for _ in several}}

    return {f"S{number}": schema(3) for number in range(count)}


@pytest.mark.parametrize(("seed", "bounded"), [(2, False), (22, False), (19, True), (29, True)])
def test_the_work_is_bounded(seed: int, bounded: bool) -> None:
    """Two have no end that anybody waited for. What was not compared is told, and what comes after it is compared."""
    rnd = random.Random(seed)
    old = many(1)
    plain = {"type": "object", "properties": {"n": {"type": "integer"}}}
    old["components"]["schemas"] = {**tangle(rnd), "Plain": plain}
    old["paths"] = {f"/{number}": old["paths"]["/s"] for number in range(3)}
    old["paths"]["/z"] = {"post": {"requestBody": {"content": {"application/json": ref("Plain")}}, "responses": {}}}
    new = copy.deepcopy(old)
    new["components"]["schemas"]["S0"] = tangle(rnd)["S0"]
    new["components"]["schemas"]["Plain"]["properties"]["n"]["maximum"] = 9
    comparison = LOADED["Comparison"](old, new)
    looked: list[int] = []
    look = comparison._look
    comparison._look = lambda count: (looked.append(count), look(count))
    found = [line for line in comparison.paths() if "too many" in line or "/z" in line]
    told = "its schemas are too many to be compared to the end, which counts as a change"
    assert found == [
        *(f"POST /{number}: {told}" for number in range(3) if bounded),
        "POST /z, request body, n: maximum is narrowed, from none to 9",
    ]
    assert sum(looked) < 1_000_000
    assert list(breaking(old, copy.deepcopy(old))) == []
    assert list(breaking(old, copy.deepcopy(old) | {"info": {"title": "t", "version": "2"}})) == []


def compare(*files: str, given: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), *files], input=given, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_program_needs_python_alone(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(CONTRACT))
    assert compare(str(old), str(old)) == (0, "Nothing breaks.\n")
    new.write_text(json.dumps({**CONTRACT, "paths": {}}))
    status, printed = compare("-", str(new), given=old.read_text())
    assert status == 1
    assert "/things: the path is removed\n" in printed
    assert "breaking change" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "is not an OpenAPI document in JSON."),
        ("{}", "is not an OpenAPI document in JSON."),
        ('{"openapi": "3.1.1", "paths": []}', "is not an OpenAPI document in JSON."),
        ('{"openapi": "3.1.1", "paths": {"/things": {"$ref": "#/gone"}}}', "is not valid OpenAPI: KeyError('gone')"),
        ('{"openapi": "3.1.1", "paths": {"/things": {"$ref": "other.json"}}}', "other.json is in another document"),
        (
            '{"openapi": "3.1.1", "paths": {"/things": {"$ref": "#/paths/~1things"}}}',
            "#/paths/~1things refers to itself",
        ),
        pytest.param("[" * 100_000, "is not an OpenAPI document in JSON.", id="nested"),
    ],
)
def test_what_is_no_contract(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    status, printed = compare(str(tmp_path / "odd.json"), "-", given=json.dumps(CONTRACT))
    assert status == 1
    assert message in printed
    assert printed.count("\n") == 1


CLIENT = """
class Things:
    def create(self, body):
        answer = self.peer.call('POST', '/things')

    def list_(self, *, limit=UNSET):
        value = self.peer.call('GET', '/things', query={'limit': limit})

    def each_list_(self):
        yield from self.list_()

    def read(self, a, b):
        return self.peer.call('GET', '/things/{a}/parts/{b}', {'a': a, 'b': b})
"""
VIEWS = """
from ..clients import (
    billing,
    things,
)

def view():
    things().create(1) or things().create(2)
    return [
        each
        for each in things()
        .each_list_()
    ]
"""


def consumer(folder: Path, contract: Any, name: str = "things", views: str = VIEWS) -> Path:
    """A service with a client of this contract, and a module that calls it."""
    client = folder / "src/front/clients" / name
    client.mkdir(parents=True)
    (client / "openapi.json").write_text(json.dumps(contract))
    (client / "__init__.py").write_text(CLIENT)
    (folder / "src/front/views.py").write_text(views)
    return folder


def provider(folder: Path, edit: Edit = lambda contract: None) -> Path:
    """A service with this contract."""
    (folder / "src/things").mkdir(parents=True)
    (folder / "src/things/modules.py").touch()
    new = copy.deepcopy(CONTRACT)
    edit(new)
    (folder / "openapi.json").write_text(json.dumps(new))
    return folder / "openapi.json"


def test_what_a_consumer_calls(tmp_path: Path) -> None:
    """What it does not call may break, and what is called alike elsewhere is no call."""
    front = consumer(tmp_path / "front", CONTRACT)
    (front / "src/front/other.py").write_text("from ..clients import billing\n\nbilling().create(2)\n")
    assert compare(str(front), str(provider(tmp_path / "a"))) == (0, "Nothing breaks.\n")
    harmless = provider(tmp_path / "b", drop(PARTS + "get"))
    assert compare(str(front), str(harmless)) == (0, "Nothing breaks.\n"), "nobody calls it"
    status, printed = compare(str(front), str(provider(tmp_path / "c", drop(OUT + "properties/c"))))
    assert (status, printed.splitlines()) == (
        1,
        [
            "front, src/front/views.py:8: things, POST /things, response 201, c: the property is removed",
            "front, src/front/views.py:12: things, GET /things, response 200, c: the property is removed",
            "2 breaking changes.",
        ],
    )
    status, printed = compare(str(front), str(provider(tmp_path / "d", drop("paths/~things"))))
    assert printed.splitlines()[0] == "front, src/front/views.py:8: things, /things: the path is removed"
    # A file of a contract has no lines that call.
    recorded = front / "src/front/clients/things/openapi.json"
    assert compare(str(recorded), str(harmless))[1].startswith("GET /things/{a}/parts/{b}: the operation is removed\n")


def test_which_client_of_a_consumer(tmp_path: Path) -> None:
    """It is called like the service, or its contract is; and it is of one of several versions."""
    titled = {**CONTRACT, "info": {"title": "Things"}}
    new = provider(tmp_path / "things", lambda contract: contract.update(info={"title": "Things"}, paths={}))
    new.with_name("openapi-v2.json").write_text(json.dumps(titled))
    front = consumer(tmp_path / "front", titled, "stuff", VIEWS.replace("things", "stuff"))
    assert compare(str(front), str(new)) == (0, "Nothing breaks.\n")
    new.with_name("openapi-v2.json").unlink()
    assert compare(str(front), str(new))[0] == 1
    stranger = consumer(tmp_path / "stranger", CONTRACT, "other")
    assert compare(str(stranger), str(new)) == (1, f"{stranger} has no client of Things.\n")
    (front / "src/front/views.py").write_text("stuff = (\n")
    status, printed = compare(str(front), str(new))
    assert (status, printed) == (1, f"{front / 'src/front/views.py'}:1: '(' was never closed\n")


def test_each_change_is_a_line(tmp_path: Path) -> None:
    """Whatever signs a contract has."""
    (tmp_path / "odd.json").write_text(
        json.dumps({**CONTRACT, "paths": {"/a\n\ud800\u202e\x1b": {"get": {}}, "/é": {}}})
    )
    status, printed = compare(str(tmp_path / "odd.json"), "-", given=json.dumps({**CONTRACT, "paths": {}}))
    assert (status, printed.splitlines()[0]) == (1, r"/a\u000a\ud800\u202e\u001b: the path is removed")
    assert printed.count("\n") == 3


def test_a_file_that_is_missing_and_a_wrong_call(tmp_path: Path) -> None:
    assert compare(str(tmp_path / "none.json"), "-") == (1, f"{tmp_path / 'none.json'}: No such file or directory\n")
    assert compare() == (1, "Usage: changes.py OLD NEW; - is standard input.\n")
