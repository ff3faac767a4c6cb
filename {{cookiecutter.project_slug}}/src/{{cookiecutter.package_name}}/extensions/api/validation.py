"""Requests, checked by types: texts of the query, of headers, cookies and forms; and all mistakes of a body."""

import re
from collections.abc import Iterator
from contextlib import suppress
from inspect import isclass
from itertools import islice, repeat
from typing import Any, get_args, get_origin

import msgspec
from flask import request
from msgspec import UNSET, Struct, UnsetType, ValidationError
from werkzeug.datastructures import CombinedMultiDict, FileStorage
from werkzeug.exceptions import UnprocessableEntity

#: Where texts are sent, and the attribute of Flask's request.
PLACES = {"query": "args", "headers": "headers", "cookies": "cookies", "form": "form"}
#: The most mistakes that one answer names.
MOST_MISTAKES = 100
#: The schema of an uploaded file, a type that msgspec does not know.
FILES: dict[type, dict[str, Any]] = {FileStorage: {"type": "string", "format": "binary"}}
REF = "#/components/schemas/{name}"
Mistake = dict[str, str]


class Invalid(UnprocessableEntity):
    """A request that is well-formed and breaks a rule: ``Invalid("There is no such customer.", pointer="#/customer")``."""

    def __init__(self, detail: str, errors: list[Mistake] | None = None, **where: str) -> None:
        super().__init__(detail)
        self.members = {"errors": errors or [{"detail": detail, **where}]}


class Texts:
    """The fields of a struct that a client sends as texts, in one place of a request."""

    def __init__(self, place: str, kind: Any) -> None:
        self.place = place
        self.kind = kind
        self.kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        (root,), self.parts = msgspec.json.schema_components([kind], schema_hook=FILES.__getitem__, ref_template=REF)
        #: Further types, which the schema refers to.
        self.schema = self.parts.pop(root["$ref"].rpartition("/")[2])
        self.many = {name for name, schema in self.schema["properties"].items() if "array" in _words(schema, "type")}
        for name, schema in self.schema["properties"].items():
            if not is_text(schema, self.parts):
                raise TypeError(f"{name} is an object or a list of lists, which no text is")
        files = [name for name, schema in self.schema["properties"].items() if "binary" in _words(schema, "format")]
        self.form_type = "multipart/form-data" if files else "application/x-www-form-urlencoded"

    def read(self, mistakes: list[Mistake]) -> object:
        """Read the struct from the request, or append what is wrong with it."""
        sent: Any = getattr(request, PLACES[self.place])
        if self.place == "form":
            sent = CombinedMultiDict([sent, request.files])
        values = {}
        # Clients also send headers and cookies that no operation declares.
        for name in self.kinds if self.place in ("headers", "cookies") else sent:
            given = sent.getlist(name)
            if self.place == "headers" and name in self.many:
                given = [part.strip() for text in given for part in text.split(",")]
            if given:
                one = len(given) == 1 and name not in self.many
                values[name] = from_text(given[0] if one else given, self.kinds.get(name, str))
        return check(values, self.kind, mistakes, parameters=self.place != "form")


def is_text(schema: dict[str, Any], parts: dict[str, Any], several: bool = True) -> bool:
    """Whether a text, or several, can be what a schema describes, or one of its alternatives."""
    schema = parts.get(schema.get("$ref", "").rpartition("/")[2], schema)
    if "anyOf" in schema:
        return any(is_text(choice, parts, several) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        items = [schema.get("items"), *schema.get("prefixItems", ())]
        return several and all(is_text(item, parts, several=False) for item in items if isinstance(item, dict))
    return schema.get("type") not in ("object", "null")


def _words(schema: dict[str, Any], keyword: str) -> list[str | None]:
    """What a schema, its items or one of its alternatives say by a keyword."""
    parts = [schema, schema.get("items"), *schema.get("anyOf", ())]
    return [part.get(keyword) for part in parts if isinstance(part, dict)]


def from_text(value: object, kind: Any) -> object:
    """A text, or several, as a value that fits a type. It is written as in JSON: ``true`` and not ``1``, no ``nan``."""
    with suppress(ValidationError):
        return msgspec.convert(value, kind)
    if isinstance(value, list):
        return [from_text(text, bool) for text in value]
    if isinstance(value, str) and re.fullmatch(r"-?[0-9][0-9.eE+-]*|true|false", value):
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(value)
    return value


def check(value: object, kind: Any, mistakes: list[Mistake], parameters: bool = False) -> object:
    """Convert a value to its type. If that fails, append the mistakes, and return None."""
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except ValidationError:
        for mistake in islice(mistakes_of(value, kind), MOST_MISTAKES):
            if parameters:
                mistake["parameter"] = mistake.pop("pointer")[2:].partition("/")[0]
            mistakes.append(mistake)
    return None


def mistakes_of(value: object, kind: Any, at: str = "#") -> Iterator[Mistake]:
    """All mistakes in decoded JSON, by JSON pointers; msgspec itself stops at the first."""
    try:
        msgspec.convert(value, kind, str_keys=True)
    except ValidationError as error:
        detail, _, path = str(error).partition(" - at ")
        if value is UNSET or kind is UnsetType:
            detail = "This is required." if value is UNSET else "There is no such field."
        within = (
            mistake
            for name, part, inner in _parts(value, kind)
            for mistake in mistakes_of(part, inner, f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}")
        )
        # msgspec writes ``$.lines[0].price``.
        rest = re.sub(r"\.|\[", "/", path.strip("`").removeprefix("$").replace("]", ""))
        yield next(within, {"detail": detail, "pointer": at + rest})
        yield from within


def _parts(value: object, kind: Any) -> Iterator[tuple[object, object, Any]]:
    """Fields of an object, or items of an array, with types. A missing field is UNSET; an unknown one has UnsetType."""
    while (inner := getattr(kind, "__value__", getattr(kind, "__supertype__", kind))) is not kind:
        kind = inner  # of an alias, and of a NewType
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if isinstance(value, dict) and isclass(origin) and issubclass(origin, Struct):
        config = origin.__struct_config__
        if config.tag is None or value.get(config.tag_field) == config.tag:
            fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
            asked = {name for name, field in fields.items() if field.required or name in value}
            yield from ((name, value.get(name, UNSET), fields[name].type) for name in asked)
            if config.forbid_unknown_fields:
                yield from ((name, value[name], UnsetType) for name in value.keys() - fields - {config.tag_field})
    elif isinstance(value, dict) and origin is dict and arguments:
        yield from ((name, part, arguments[1]) for name, part in value.items())
    elif isinstance(value, list) and origin in (list, set, frozenset, tuple) and arguments:
        kinds = arguments if origin is tuple and arguments[-1] is not ... else repeat(arguments[0])
        yield from ((number, *pair) for number, pair in enumerate(zip(value, kinds, strict=False)))
    elif origin is not dict:  # A union, or an annotated type: try each of its types.
        for choice in arguments:
            yield from _parts(value, choice)
