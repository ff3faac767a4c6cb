"""Changes made by chance, in contracts of all kinds: each that breaks a client is named, and none that does not.

A pair of schemas stands somewhere in a request or in an answer, in what may hold a schema. Other changes are made of a
contract as a whole.
"""

import copy
import json
import random
import re
import runpy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from manifest import TEMPLATE, TREE

breaking = runpy.run_path(str(TREE / "tools/api/changes.py"))["breaking"]
CONTRACTS = [json.loads(file.read_text()) for file in sorted((TEMPLATE / "tests/contracts").glob("*.json"))]
#: How many changes of each sort are made.
COUNT = 100

Schema = Any
Contract = Any
JSON = "application/json"


def obj(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def only(*required: str, **properties: Schema) -> Schema:
    return {**obj(**properties), "required": list(required)}


TEXT: Schema = {"type": "string"}
INT: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
LIST = {"type": "array", "items": TEXT}
MAP = {"type": "object", "additionalProperties": TEXT}
CAT, DOG = obj(kind={"const": "cat"}, lives=INT), obj(kind={"const": "dog"}, barks={"type": "boolean"})
FISH, BIRD = only("fins", fins=INT), only("wings", wings=INT)

#: The second takes fewer values than the first: a request may not become that, and an answer may not have been it.
NARROWER: dict[str, tuple[Schema, Schema]] = {
    "maximum": (INT, {**INT, "maximum": 9}),
    "maximum, less": ({**INT, "maximum": 9}, {**INT, "maximum": 8}),
    "minimum": (NUMBER, {**NUMBER, "minimum": 0}),
    "exclusive": ({**NUMBER, "minimum": 0}, {**NUMBER, "exclusiveMinimum": 0}),
    "exclusive, of 3.0": ({**NUMBER, "maximum": 9}, {**NUMBER, "maximum": 9, "exclusiveMaximum": True}),
    "exclusive, of both versions": (
        {**NUMBER, "maximum": 9, "exclusiveMaximum": True},
        {**NUMBER, "exclusiveMaximum": 8},
    ),
    "step": (INT, {**INT, "multipleOf": 5}),
    "step, larger": ({**INT, "multipleOf": 5}, {**INT, "multipleOf": 10}),
    "whole numbers": (NUMBER, INT),
    "32 bits": ({**INT, "format": "int64"}, {**INT, "format": "int32"}),
    "longest": ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
    "shortest": (TEXT, {**TEXT, "minLength": 1}),
    "pattern": (TEXT, {**TEXT, "pattern": "^a"}),
    "format": (TEXT, {**TEXT, "format": "uuid"}),
    "encoding": (TEXT, {**TEXT, "contentEncoding": "base64"}),
    "values": (TEXT, {**TEXT, "enum": ["a", "b"]}),
    "a member of a value": ({"type": "object", "properties": {"a": INT}, "required": ["a"]}, {"enum": [{"a": 1}]}),
    "items of a value": ({"type": "array", "items": INT}, {"enum": [[1, 2]]}),
    "fewer values": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "one value": ({**TEXT, "enum": ["a", "b"]}, {**TEXT, "const": "a"}),
    "numbers": ({"enum": [1, 2]}, {"enum": [1]}),
    "values in alternatives": ({"oneOf": [{"const": "a"}, {"const": "b"}]}, {"const": "b"}),
    "an open list": ({"anyOf": [TEXT, {"enum": ["a"]}]}, {"enum": ["a"]}),
    "values within bounds": ({**INT, "minimum": 1, "maximum": 9}, {**INT, "enum": [1, 9]}),
    "values and bounds": ({**INT, "enum": [1, 9]}, {**INT, "enum": [1, 9], "maximum": 5}),
    "no null": ({"type": ["string", "null"]}, TEXT),
    "no null, of 3.0": ({**TEXT, "nullable": True}, TEXT),
    "no null, of both versions": ({"anyOf": [INT, {"type": "null"}]}, {**INT, "nullable": False}),
    "one type": ({"type": ["string", "integer"]}, TEXT),
    "any type": ({}, TEXT),
    "no type": ({}, False),
    "list of what": ({"type": "array"}, LIST),
    "longest list": (LIST, {**LIST, "maxItems": 3}),
    "shortest list": (LIST, {**LIST, "minItems": 1}),
    "no item twice": (LIST, {**LIST, "uniqueItems": True}),
    "pairs": ({"type": "array"}, {"type": "array", "prefixItems": [TEXT, INT]}),
    "pairs, with no more": (
        {"type": "array", "prefixItems": [TEXT]},
        {"type": "array", "prefixItems": [TEXT], "items": False},
    ),
    "what a list holds": (LIST, {**LIST, "contains": {"const": "a"}}),
    "map of what": ({"type": "object", "additionalProperties": {}}, MAP),
    "largest map": (MAP, {**MAP, "maxProperties": 3}),
    "names in a map": (MAP, {**MAP, "propertyNames": {"pattern": "^a"}}),
    "patterns of names": (obj(), {**obj(), "patternProperties": {"^x": INT}}),
    "required": (obj(a=TEXT), only("a", a=TEXT)),
    "required by a part": ({"allOf": [obj(a=TEXT), {}]}, {"allOf": [obj(a=TEXT), {"required": ["a"]}]}),
    "required together": (obj(a=TEXT, b=TEXT), {**obj(a=TEXT, b=TEXT), "dependentRequired": {"a": ["b"]}}),
    "never": (TEXT, {**TEXT, "not": {"const": "a"}}),
    "if": (obj(a=TEXT), {**obj(a=TEXT), "if": {"required": ["a"]}, "then": {"required": ["b"]}}),
    "bounds of two parts": (
        {"allOf": [{**TEXT, "maxLength": 9}, {"maxLength": 20}]},
        {"allOf": [{**TEXT, "maxLength": 8}, {"maxLength": 20}]},
    ),
    "a property of two parts": (
        {"allOf": [obj(a=TEXT), obj(a={})]},
        {"allOf": [obj(a=TEXT), obj(a={"maxLength": 3})]},
    ),
    "beside alternatives": (
        {**obj(a=TEXT), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {**obj(a={**TEXT, "maxLength": 3}), "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    ),
    "alternatives of kinds": ({"anyOf": [TEXT, LIST]}, LIST),
    "alternatives": ({"oneOf": [CAT, DOG]}, {"oneOf": [CAT]}),
    "alternatives without names": ({"anyOf": [FISH, BIRD]}, {"anyOf": [BIRD]}),
    "in an alternative": ({"oneOf": [CAT, DOG]}, {"oneOf": [obj(kind={"const": "cat"}, lives={**INT, "maximum": 9}), DOG]}),
    "beside a reference": ({"$ref": "#/components/schemas/Text"}, {"$ref": "#/components/schemas/Text", "maxLength": 3}),
    "steps of two parts": ({"allOf": [{**INT, "multipleOf": 2}, {}]}, {"allOf": [{**INT, "multipleOf": 2}, {"multipleOf": 3}]}),
    "fractions": ({**NUMBER, "multipleOf": 0.1}, {**NUMBER, "multipleOf": 0.3}),
    "32 bits as a fraction": ({**NUMBER, "format": "double"}, {**INT, "format": "int32"}),
    "two patterns": ({**TEXT, "pattern": "a"}, {"allOf": [{**TEXT, "pattern": "a"}, {"pattern": "b"}]}),
    "never, of two parts": ({**TEXT, "not": {"const": "a"}}, {"allOf": [{**TEXT, "not": {"const": "a"}}, {"not": {"const": "b"}}]}),
    "no item twice, of a part": ({**LIST, "uniqueItems": False}, {"allOf": [{**LIST, "uniqueItems": False}, {"uniqueItems": True}]}),
    "exclusive, of two parts of 3.0": ({**NUMBER, "maximum": 9}, {"allOf": [{**NUMBER, "maximum": 9, "exclusiveMaximum": True}, {"maximum": 20, "exclusiveMaximum": False}]}),
    "exclusive, of two parts": ({**NUMBER, "exclusiveMaximum": 9}, {"allOf": [{**NUMBER, "exclusiveMaximum": 9}, {"exclusiveMaximum": 8}]}),
    "pairs of two parts": ({"type": "array", "prefixItems": [TEXT]}, {"allOf": [{"type": "array", "prefixItems": [TEXT]}, {"prefixItems": [{"maxLength": 3}, INT]}]}),
    "map of two parts": (MAP, {"allOf": [MAP, {"additionalProperties": {"maxLength": 3}}]}),
    "null, in one of two parts": ({**TEXT, "nullable": True}, {"allOf": [{**TEXT, "nullable": True}, TEXT]}),
    "true beside 1": ({"enum": [1, True]}, {"enum": [1.0]}),
    "true in values": ({"enum": [{"a": 1}, {"a": True}]}, {"enum": [{"a": 1}]}),
    "steps of numbers": (NUMBER, {**NUMBER, "multipleOf": 1}),
    "pairs, no longer": ({"type": "array", "prefixItems": [TEXT]}, {"type": "array", "prefixItems": [TEXT], "maxItems": 1}),
    "the rest of two parts": ({**LIST, "prefixItems": [INT]}, {"allOf": [{**LIST, "prefixItems": [INT]}, {"items": {"maxLength": 3}}]}),
    "texts": (TEXT, {"anyOf": [{**TEXT, "maxLength": 3}, {**TEXT, "pattern": "^a"}]}),
    "one of two texts": ({"anyOf": [{**TEXT, "maxLength": 3}, {**TEXT, "pattern": "^a"}]}, {**TEXT, "pattern": "^a"}),
    "what an alternative is called": (
        {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Fish", "Bird")], "discriminator": {"propertyName": "k", "mapping": {"f": "Fish", "b": "#/components/schemas/Bird", "c": "Bird"}}},
        {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Fish", "Bird")], "discriminator": {"propertyName": "k", "mapping": {"f": "Fish", "b": "#/components/schemas/Bird"}}},
    ),
}  # fmt: skip
#: The second lacks something that clients of the first use, whether they send or read it.
LESS: dict[str, tuple[Schema, Schema]] = {
    "a property": (obj(a=TEXT, b=INT), obj(a=TEXT)),
    "a property of a part": ({"allOf": [obj(a=TEXT), obj(b=INT)]}, {"allOf": [obj(a=TEXT), {}]}),
    "a property of an alternative": ({"oneOf": [CAT, DOG]}, {"oneOf": [CAT, obj(kind={"const": "dog"})]}),
    "a property in a list": ({**LIST, "items": obj(a=TEXT, b=INT)}, {**LIST, "items": obj(a=TEXT)}),
}
#: Neither takes a value that the other does not.
SAME: dict[str, tuple[Schema, Schema]] = {
    "null": ({"type": ["string", "null"]}, {**TEXT, "nullable": True}),
    "null beside": ({"anyOf": [TEXT, {"type": "null"}]}, {"type": ["null", "string"]}),
    "null in a list of values": ({"type": ["string", "null"], "enum": ["a", None]}, {"enum": ["a", None]}),
    "null of 3.0, in a list": ({**TEXT, "nullable": True, "enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a", None]}),
    "null in one part": ({"allOf": [{**TEXT, "nullable": True}, TEXT]}, TEXT),
    "null around parts": ({"nullable": True, "allOf": [{"$ref": "#/components/schemas/Text"}]}, {"type": ["null", "string"]}),
    "steps of one": ({**INT, "multipleOf": 1}, INT),
    "steps of a half": ({**INT, "multipleOf": 0.5}, INT),
    "whole numbers": ({**NUMBER, "multipleOf": 2}, {**INT, "multipleOf": 2}),
    "numbers that are whole": ({"allOf": [NUMBER, INT]}, INT),
    "1 and 1.0": ({"enum": [1]}, {"enum": [1.0]}),
    "values out of bounds": ({**TEXT, "enum": ["ab", "abc"], "maxLength": 2}, {"const": "ab"}),
    "all types": ({}, {"type": ["array", "boolean", "null", "number", "object", "string"]}),
    "no further items": ({"type": "array", "prefixItems": [TEXT], "items": False}, {"type": "array", "prefixItems": [TEXT], "maxItems": 1}),
    "no further items, elsewhere": ({"type": "array", "prefixItems": [TEXT], "items": False}, {"allOf": [{"type": "array", "prefixItems": [TEXT]}], "unevaluatedItems": False}),
    "items that are not there": ({**LIST, "maxItems": 1}, {"type": "array", "prefixItems": [TEXT, INT], "maxItems": 1}),
    "an alternative within another": ({"anyOf": [obj(a=TEXT), only("a", a=TEXT)]}, obj(a=TEXT)),
    "bounds of no type": ({**INT, "format": "x"}, {**INT, "format": "x", "pattern": "a"}),
    "one part": ({"allOf": [TEXT]}, TEXT),
    "one alternative": ({"oneOf": [obj(a=TEXT)]}, obj(a=TEXT)),
    "parts": ({"allOf": [only("a", a=TEXT), obj(b=INT)]}, only("a", b=INT, a=TEXT)),
    "order of parts": ({"allOf": [only("a", a=TEXT), obj(b=INT)]}, {"allOf": [obj(b=INT), only("a", a=TEXT)]}),
    "order of properties": (only("a", "b", a=TEXT, b=INT), only("b", "a", b=INT, a=TEXT)),
    "order of values": ({"enum": ["a", "b"]}, {**TEXT, "enum": ["b", "a"]}),
    "order of alternatives": ({"oneOf": [CAT, DOG]}, {"anyOf": [DOG, CAT]}),
    "order of alternatives without names": ({"oneOf": [FISH, BIRD]}, {"oneOf": [BIRD, FISH]}),
    "order of types": ({"type": ["string", "integer"]}, {"anyOf": [INT, TEXT]}),
    "one value": ({"const": "a"}, {"enum": ["a"]}),
    "values that are alternatives": ({"enum": ["a", "b"]}, {"oneOf": [{"const": "b"}, {"const": "a", "title": "A"}]}),
    "an open list": ({"anyOf": [TEXT, {"enum": ["a"]}]}, {"anyOf": [{"enum": ["a", "b"]}, TEXT]}),
    "notes": (obj(a=TEXT), {**obj(a={**TEXT, "title": "A", "description": "It.", "examples": ["a"], "deprecated": True, "x-a": 1}), "title": "O"}),
    "defaults of keywords": (obj(a=LIST), {**obj(a={**LIST, "minItems": 0, "uniqueItems": False, "readOnly": False}), "additionalProperties": True, "minProperties": 0}),
    "shortest": (TEXT, {**TEXT, "minLength": 0}),
    "exclusive": ({**NUMBER, "maximum": 9, "exclusiveMaximum": True}, {**NUMBER, "exclusiveMaximum": 9}),
    "exclusive, of parts": ({**NUMBER, "maximum": 9}, {"allOf": [{**NUMBER, "maximum": 20, "exclusiveMaximum": True}, {"maximum": 9}]}),
    "exclusive whole numbers": ({**INT, "exclusiveMinimum": 0}, {**INT, "minimum": 1}),
    "weaker bounds beside": ({**INT, "maximum": 9}, {"allOf": [{**INT, "maximum": 9}, {"maximum": 20}]}),
    "order of patterns": ({"allOf": [{**TEXT, "pattern": "a"}, {"pattern": "b"}]}, {"allOf": [{**TEXT, "pattern": "b"}, {"pattern": "a"}]}),
    "bounds of other types": ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 9, "maximum": 3, "minItems": 2}),
    "alternatives that differ inside": (
        {"oneOf": [obj(a=only("z", z=TEXT)), obj(a=only("z", z=INT))]},
        {"oneOf": [{"$ref": "#/components/schemas/Fins"}, {"$ref": "#/components/schemas/Text2"}]},
    ),
    "any": ({}, True),
    "any, listed": ({"type": "object"}, {"type": "object", "additionalProperties": {}}),
    "a type that is plain": ({"properties": {"a": TEXT}}, obj(a=TEXT)),
    "files": ({**TEXT, "format": "binary"}, {**TEXT, "contentMediaType": "application/octet-stream"}),
    "bytes": ({**TEXT, "format": "byte"}, {**TEXT, "contentEncoding": "base64"}),
    "a hint": (TEXT, {**TEXT, "format": "password"}),
    "both values": ({"type": "boolean"}, {"enum": [True, False]}),
    "a reference": (TEXT, {"$ref": "#/components/schemas/Text"}),
    "a note beside a reference": ({"$ref": "#/components/schemas/Text"}, {"$ref": "#/components/schemas/Text", "description": "It."}),
    "another name": ({"$ref": "#/components/schemas/Fish"}, {"$ref": "#/components/schemas/Fisch"}),
    "the same for all alternatives": ({"oneOf": [{**CAT, "required": ["kind"]}, {**DOG, "required": ["kind"]}]}, {"oneOf": [CAT, DOG], "required": ["kind"]}),
    "a hint of which alternative": (
        {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]},
        {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}], "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat", "dog": "#/components/schemas/Dog"}}},
    ),
}  # fmt: skip
COMPONENTS = {"Text": TEXT, "Cat": CAT, "Dog": DOG, "Fish": FISH, "Fisch": FISH, "Bird": BIRD}
COMPONENTS |= {"Fins": obj(a=only("z", z=INT)), "Text2": obj(a=only("z", z=TEXT))}
#: Where a schema may stand in another one.
HOLDERS: list[Callable[[Schema], Schema]] = [
    lambda schema: schema,
    lambda schema: only("y", x=schema, y=INT),
    lambda schema: only("x", x=schema, y=INT),
    lambda schema: {"type": "array", "items": schema},
    lambda schema: {"type": "array", "prefixItems": [INT, schema]},
    lambda schema: {"type": "object", "additionalProperties": schema},
    lambda schema: {**obj(), "patternProperties": {"^x": schema}},
    lambda schema: {"allOf": [obj(x=schema), only("y", y=TEXT)]},
    lambda schema: {"allOf": [obj(x=schema), obj(x={"description": "It."})]},
    lambda schema: {"oneOf": [obj(kind={"const": "a"}, x=schema), obj(kind={"const": "b"}, x=TEXT)]},
    lambda schema: {"anyOf": [only("x", x=schema, z=TEXT), {"type": "null"}]},
    lambda schema: {**obj(x=schema), "anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
]


def operations(contract: Contract) -> list[Any]:
    return [
        item[method] for item in contract["paths"].values() for method in ("get", "post", "put", "delete", "patch") if method in item
    ]  # fmt: skip


def base(chance: random.Random) -> tuple[Contract, Any]:
    """A contract, and one of its operations, which has something of everything that may be changed."""
    contract = copy.deepcopy(chance.choice(CONTRACTS))
    components = contract.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | copy.deepcopy(COMPONENTS)
    components.setdefault("securitySchemes", {})["key"] = {"type": "apiKey", "in": "header", "name": "X-Key"}
    components["securitySchemes"]["login"] = {"type": "http", "scheme": "bearer"}
    contract["servers"] = [{"url": "https://a.example.com/v1"}]
    operation = chance.choice(operations(contract))
    operation.setdefault("operationId", "made")
    operation["security"] = [{"key": []}]
    parameters = operation["parameters"] = [*operation.get("parameters", ())]
    parameters.append({"name": "made", "in": "query", "schema": LIST})
    parameters.append({"name": "X-Made", "in": "header", "schema": TEXT})
    operation["requestBody"] = {"content": {JSON: {"schema": obj(a=TEXT, b={**INT, "default": 1})}, "text/csv": {}}}
    operation["responses"] = {
        "200": {"description": "", "headers": {"X-Left": {"required": True, "schema": INT}}, "content": {JSON: {"schema": obj(a=TEXT)}, "text/csv": {}}},
        "4XX": {"description": ""},
    }  # fmt: skip
    return contract, operation


def put(contract: Contract, operation: Any, schema: Schema, place: str) -> None:
    """Let a schema stand in what is sent or read."""
    match place:
        case "body":
            operation["requestBody"]["content"][JSON]["schema"] = schema
        case "form":
            operation["requestBody"]["content"]["multipart/form-data"] = {"schema": obj(x=schema)}
        case "parameter":
            operation["parameters"].append({"name": "p", "in": "query", "content": {JSON: {"schema": schema}}})
        case "shared body":
            contract["components"].setdefault("requestBodies", {}).update(
                {"B": {"content": {JSON: {"schema": schema}}}}
            )
            operation["requestBody"] = {"$ref": "#/components/requestBodies/B"}
        case "shared parameter":
            contract["components"].setdefault("parameters", {}).update(
                {"a/b ~": {"name": "p", "in": "query", "schema": schema}}
            )
            operation["parameters"].append({"$ref": "#/components/parameters/a~1b%20~0"})
        case "itself":  # A schema that holds itself.
            schema = {**only("x", x=schema), "properties": {"x": schema, "next": {"$ref": "#/components/schemas/Self"}}}
            contract["components"]["schemas"]["Self"] = schema
            operation["requestBody"]["content"][JSON]["schema"] = {"$ref": "#/components/schemas/Self"}
        case "answer":
            operation["responses"]["200"]["content"][JSON]["schema"] = schema
        case "shared answer":
            contract["components"].setdefault("responses", {}).update(
                {"R": {"description": "", "content": {JSON: {"schema": schema}}}}
            )
            operation["responses"]["2XX"] = {"$ref": "#/components/responses/R"}
        case "error":
            operation["responses"]["default"] = {
                "description": "",
                "content": {"application/problem+json": {"schema": schema}},
            }
        case "header":
            operation["responses"]["200"]["headers"]["X-H"] = {"schema": schema}
        case "shared schema":
            contract["components"]["schemas"]["Made"] = schema
            operation["responses"]["200"]["content"][JSON]["schema"] = {"$ref": "#/components/schemas/Made"}


SENT = ["body", "form", "parameter", "shared body", "shared parameter", "itself"]
READ = ["answer", "shared answer", "error", "header", "shared schema"]
Change = tuple[str, Contract, Contract]


def pair(chance: random.Random, breaks: bool) -> Change:
    """Two schemas, one instead of the other, somewhere."""
    sorts = {"narrower": NARROWER, "less": LESS} if breaks else {"narrower": NARROWER, "less": LESS, "same": SAME}
    sort = chance.choices([*sorts], [len(table) for table in sorts.values()])[0]
    name = chance.choice([*sorts[sort]])
    old, new = sorts[sort][name]
    sent = chance.random() < 0.5
    place = chance.choice(SENT if sent else READ)
    if sort == "same":
        old, new = chance.sample([old, new], 2)
    elif breaks != (sent or sort == "less"):
        old, new = new, old
    holders = chance.sample(HOLDERS, chance.randrange(3))
    both = []
    contract, operation = base(chance)
    number = operations(contract).index(operation)
    for schema in (old, new):
        for holder in holders:
            schema = holder(schema)
        made = copy.deepcopy(contract)
        put(made, operations(made)[number], copy.deepcopy(schema), place)
        both.append(made)
    return f"{name}, {place}, {[HOLDERS.index(each) for each in holders]}", both[0], both[1]


Edit = Callable[[Contract, Any], object]


def item_of(contract: Contract, operation: Any) -> tuple[str, Any, str]:
    return next((path, item, method) for path, item in contract["paths"].items() for method in item if item[method] is operation)  # fmt: skip


def gone(contract: Contract, operation: Any) -> None:
    _, item, method = item_of(contract, operation)
    del item[method]


def moved(contract: Contract, operation: Any) -> None:
    path, *_ = item_of(contract, operation)
    contract["paths"] = {f"/moved{each}" if each == path else each: item for each, item in contract["paths"].items()}


def another_method(contract: Contract, operation: Any) -> None:
    _, item, method = item_of(contract, operation)
    item["trace"] = item.pop(method)


def parameters_renamed(contract: Contract, operation: Any) -> None:
    path, item, _ = item_of(contract, operation)
    shared = contract["components"].get("parameters", {}).values()
    listed = [each for told in (item, *item.values()) if isinstance(told, dict) for each in told.get("parameters", ())]
    for parameter in [*shared, *listed]:
        if parameter.get("in") == "path" and f"{{{parameter['name']}}}" in path:
            parameter["name"] += "_"
    contract["paths"] = {
        each.replace("}", "_}") if each == path else each: value for each, value in contract["paths"].items()
    }


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same, where all that has no order has another one."""
    if isinstance(value, list):
        return [shuffled(each, chance) for each in value]
    if not isinstance(value, dict):
        return value
    names = chance.sample([*value], len(value))
    return {name: shuffled(value[name], chance) for name in names}


def noted(value: Any) -> Any:
    """The same with other words for people."""
    if isinstance(value, list):
        return [noted(each) for each in value]
    if not isinstance(value, dict):
        return value
    words = {name: "Other words." for name in ("description", "summary") if isinstance(value.get(name), str)}
    return {name: noted(each) for name, each in value.items()} | words


def replace(contract: Contract, other: Contract) -> None:
    contract.clear()
    contract.update(other)


def rename_schema(contract: Contract, operation: Any) -> None:
    contract["components"]["schemas"] |= {"New": contract["components"]["schemas"]["Fish"]}


def set_in(*path: Any, to: Any) -> Edit:
    def edit(contract: Contract, operation: Any) -> None:
        value = operation
        for part in path[:-1]:
            value = value[part]
        value[path[-1]] = to

    return edit


def drop(*path: Any) -> Edit:
    def edit(contract: Contract, operation: Any) -> None:
        value = operation
        for part in path[:-1]:
            value = value[part]
        del value[path[-1]]

    return edit


BODY, ANSWER = ("requestBody", "content"), ("responses", "200")
#: What breaks clients of an operation.
BREAKS: dict[str, Edit] = {
    "the path is moved": moved,
    "the operation is removed": gone,
    "the method": another_method,
    "the name": set_in("operationId", to="other"),
    "no name": drop("operationId"),
    "a parameter is removed": lambda contract, operation: operation["parameters"].pop(),
    "a parameter is required": set_in("parameters", -1, "required", to=True),
    "a parameter is new": lambda contract, operation: operation["parameters"].append({"name": "n", "in": "query", "required": True, "schema": TEXT}),
    "a parameter is elsewhere": set_in("parameters", -1, "in", to="query"),
    "a parameter is called otherwise": set_in("parameters", -2, "name", to="Made"),
    "how a list is written": set_in("parameters", -2, "explode", to=False),
    "another style": set_in("parameters", -2, "style", to="pipeDelimited"),
    "a parameter in JSON": lambda contract, operation: operation["parameters"].append({"content": {JSON: {"schema": operation["parameters"][-1].pop("schema")}}, **operation["parameters"].pop()}),
    "the body is required": set_in("requestBody", "required", to=True),
    "no body": drop("requestBody"),
    "JSON is not taken": drop(*BODY, JSON),
    "another format is not taken": drop(*BODY, "text/csv"),
    "JSON is not answered": drop(*ANSWER, "content", JSON),
    "another default": set_in(*BODY, JSON, "schema", "properties", "b", "default", to=2),
    "a default that is equal to Python": set_in(*BODY, JSON, "schema", "properties", "b", "default", to=True),
    "no default": drop(*BODY, JSON, "schema", "properties", "b", "default"),
    "readOnly": set_in(*BODY, JSON, "schema", "properties", "a", "readOnly", to=True),
    "writeOnly": set_in(*ANSWER, "content", JSON, "schema", "properties", "a", "writeOnly", to=True),
    "closed": set_in(*BODY, JSON, "schema", "additionalProperties", to=False),
    "another success": lambda contract, operation: operation["responses"].update({"201": operation["responses"].pop("200")}),
    "any success": lambda contract, operation: operation["responses"].update({"2XX": operation["responses"].pop("200")}),
    "one more success": set_in("responses", "202", to={"description": ""}),
    "errors": drop("responses", "4XX"),
    "a header": drop(*ANSWER, "headers", "X-Left"),
    "a header that may be absent": set_in(*ANSWER, "headers", "X-Left", "required", to=False),
    "who is asked": set_in("security", to=[{"key": [], "login": []}]),
    "who is asked otherwise": set_in("security", to=[{"login": []}]),
    "a scope": set_in("security", to=[{"key": ["write"]}]),
    "where a key is sent": lambda contract, operation: contract["components"]["securitySchemes"]["key"].update({"name": "X-Other"}),
    "a server": lambda contract, operation: contract.update(servers=[{"url": "https://a.example.com/v2"}]),
}  # fmt: skip
#: What does not.
HARMLESS: dict[str, Edit] = {
    "nothing": lambda contract, operation: None,
    "another operation": lambda contract, operation: contract["paths"].update({"/new": {"get": {"responses": {}}}}),
    "another method": lambda contract, operation: item_of(contract, operation)[1].setdefault("options", {"responses": {}}),
    "names in the path": parameters_renamed,
    "words": lambda contract, operation: replace(contract, noted(contract)),
    "order": lambda contract, operation: replace(contract, shuffled(contract, random.Random(len(str(operation))))),
    "order of parameters": lambda contract, operation: operation["parameters"].reverse(),
    "tags": set_in("tags", to=["a"]),
    "deprecated": set_in("deprecated", to=True),
    "a schema that nobody uses": rename_schema,
    "version": lambda contract, operation: contract.setdefault("info", {}).update(version="9", title="Other"),
    "a parameter": lambda contract, operation: operation["parameters"].append({"name": "n", "in": "query", "schema": TEXT}),
    "a header to send": lambda contract, operation: operation["parameters"].append({"name": "n", "in": "header", "schema": TEXT}),
    "a header that is none": lambda contract, operation: operation["parameters"].append({"name": "Accept", "in": "header", "required": True, "schema": TEXT}),
    "case of a header": set_in("parameters", -1, "name", to="x-made"),
    "how a list is written": lambda contract, operation: operation["parameters"][-2].update(explode=True, style="form", required=False),
    "a shared parameter": lambda contract, operation: operation["parameters"].append((contract["components"].setdefault("parameters", {}).update(P=operation["parameters"].pop()), {"$ref": "#/components/parameters/P"})[1]),
    "a shared body": lambda contract, operation: (contract["components"].setdefault("requestBodies", {}).update(B=operation["requestBody"]), operation.update(requestBody={"$ref": "#/components/requestBodies/B"})),
    "a shared answer": lambda contract, operation: (contract["components"].setdefault("responses", {}).update(R=operation["responses"]["200"]), operation["responses"].update({"200": {"$ref": "#/components/responses/R"}})),
    "a shared header": lambda contract, operation: (contract["components"].setdefault("headers", {}).update(H=operation["responses"]["200"]["headers"].pop("X-Left")), operation["responses"]["200"]["headers"].update({"x-left": {"$ref": "#/components/headers/H"}})),
    "a shared schema": lambda contract, operation: (contract["components"]["schemas"].update(S=operation["requestBody"]["content"][JSON]["schema"]), operation["requestBody"]["content"][JSON].update(schema={"$ref": "#/components/schemas/S"})),
    "a property to send": set_in(*BODY, JSON, "schema", "properties", "n", to=TEXT),
    "a property to read": set_in(*ANSWER, "content", JSON, "schema", "properties", "n", to=TEXT),
    "a property to read, always": lambda contract, operation: operation["responses"]["200"]["content"][JSON].update(schema=only("n", a=TEXT, n=TEXT)),
    "what is only read": lambda contract, operation: operation["requestBody"]["content"][JSON].update(schema=only("n", n={**TEXT, "readOnly": True}, **operation["requestBody"]["content"][JSON]["schema"]["properties"])),
    "what is only sent": set_in(*ANSWER, "content", JSON, "schema", "properties", "n", to={**TEXT, "writeOnly": True}),
    "a media type to send": set_in(*BODY, "text/html", to={}),
    "a media type to read": set_in(*ANSWER, "content", "text/html", to={}),
    "any media type": lambda contract, operation: operation["requestBody"]["content"].update({"text/*": operation["requestBody"]["content"].pop("text/csv")}),
    "a charset": lambda contract, operation: operation["requestBody"]["content"].update({"application/json; charset=utf-8": operation["requestBody"]["content"].pop(JSON)}),
    "an error": set_in("responses", "500", to={"description": ""}),
    "a default error": set_in("responses", "default", to={"description": ""}),
    "one error of a range": lambda contract, operation: operation["responses"].update({"404": operation["responses"].pop("4XX")}),
    "an answered header": set_in(*ANSWER, "headers", "X-New", to={}),
    "nobody is asked": set_in("security", to=[]),
    "a further way to be known": set_in("security", to=[{"login": []}, {"key": []}]),
    "another name of a scheme": lambda contract, operation: (contract["components"]["securitySchemes"].update(other=contract["components"]["securitySchemes"]["key"]), operation.update(security=[{"other": []}])),
    "a further server": lambda contract, operation: contract["servers"].insert(0, {"url": "https://b.example.com"}),
    "a slash of a server": lambda contract, operation: contract.update(servers=[{"url": "https://a.example.com/v1/", "description": "x"}]),
    "callbacks and extensions": lambda contract, operation: operation.update({"x-a": 1, "externalDocs": {"url": "https://example.com"}, "callbacks": {}}),
}  # fmt: skip


def edited(chance: random.Random, breaks: bool) -> Change:
    name, edit = chance.choice([*(BREAKS if breaks else HARMLESS).items()])
    old, operation = base(chance)
    new = copy.deepcopy(old)
    edit(new, operations(new)[operations(old).index(operation)])
    return name, old, new


def changes(breaks: bool, count: int = COUNT, seed: int = 1) -> Iterator[Change]:
    chance = random.Random(f"{seed} {breaks}")
    for _ in range(count):
        yield chance.choice([pair, edited])(chance, breaks)


def test_there_are_enough_kinds() -> None:
    assert len({*NARROWER, *LESS, *BREAKS}) > 80
    assert len({*NARROWER, *LESS, *SAME, *HARMLESS}) > 100


@pytest.mark.parametrize(
    ("narrower", "name"), [(table is NARROWER, name) for table in (NARROWER, SAME) for name in table]
)
def test_each_pair(narrower: bool, name: str) -> None:
    """As the whole of what is sent, and of what is read."""
    both = []
    for schema in (NARROWER if narrower else SAME)[name]:
        told = {"schema": schema}
        post = {"requestBody": {"content": {JSON: told}}, "responses": {}}
        get = {"responses": {"200": {"description": "", "content": {JSON: told}}}}
        both.append(
            {"openapi": "3.1.0", "paths": {"/a": {"post": post, "get": get}}, "components": {"schemas": COMPONENTS}}
        )
    for old, new, method in ((*both, "POST"), (*reversed(both), "GET")):
        found = [line.split()[0] for line in breaking(old, new)]
        assert set(found) == ({method} if narrower else set())


def renamed(contract: Contract, how: Callable[[list[str]], list[str]]) -> Contract:
    """The same with other names of its schemas."""
    schemas = contract["components"]["schemas"]
    names = dict(zip(schemas, how([*schemas]), strict=True))
    pattern = r'(?<="#/components/schemas/)[^"/]+'
    made = json.loads(re.sub(pattern, lambda found: names[found[0]], json.dumps(contract, ensure_ascii=False)))
    made["components"]["schemas"] = dict(
        sorted((names[name], told) for name, told in made["components"]["schemas"].items())
    )
    return made


HOW: list[Callable[[list[str]], list[str]]] = [
    lambda names: [f"{name}Model" for name in names],
    lambda names: [f"S{len(names) - number}" for number in range(len(names))],
    lambda names: [*names[1:], names[0]],
]


@pytest.mark.parametrize("how", HOW)
def test_names_of_schemas(how: Callable[[list[str]], list[str]]) -> None:
    """They are no matter, also where something else breaks."""
    for contract in CONTRACTS:
        if contract.get("components", {}).get("schemas"):
            assert list(breaking(contract, renamed(contract, how))) == []
    for breaks in (True, False):
        for name, old, new in changes(breaks, 30, seed=2):
            assert bool(list(breaking(old, renamed(new, how)))) == breaks, name


def test_what_breaks_is_named() -> None:
    assert [name for name, old, new in changes(breaks=True) if not list(breaking(old, new))] == []


def test_what_breaks_nothing_is_not_named() -> None:
    found = ((name, list(breaking(old, new))) for name, old, new in changes(breaks=False))
    assert [each for each in found if each[1]] == []
