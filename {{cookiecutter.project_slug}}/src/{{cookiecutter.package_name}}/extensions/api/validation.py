"""What a request sends, held to types: texts of the query, of headers, cookies and forms; and all mistakes of a body."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice, repeat
from typing import Any, get_args, get_origin

import msgspec
from flask import request
from msgspec import Struct, ValidationError
from werkzeug.datastructures import CombinedMultiDict, FileStorage
from werkzeug.exceptions import UnprocessableEntity

#: Where texts are sent, and what Flask calls it.
PLACES = {"query": "args", "headers": "headers", "cookies": "cookies", "form": "form"}
#: More would help nobody.
MOST_MISTAKES = 100
REFERENCE = "#/components/schemas/{name}"
FILE = {"type": "string", "format": "binary"}
Mistake = dict[str, str]


class Invalid(UnprocessableEntity):
    """A request that is well-formed and breaks a rule: ``Invalid("There is no such customer.", pointer="#/customer")``."""

    def __init__(self, detail: str, errors: list[Mistake] | None = None, **where: str) -> None:
        super().__init__(detail)
        self.members = {"errors": errors or [{"detail": detail, **where}]}


def schema_hook(kind: type) -> dict[str, str]:
    """Describe an uploaded file, which msgspec does not know."""
    if kind is FileStorage:
        return FILE
    raise NotImplementedError


class Texts:
    """The fields of a struct that a client sends as texts, in one place of a request."""

    def __init__(self, place: str, kind: Any) -> None:
        self.place = place
        self.kind = kind
        self.kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        (reference,), components = msgspec.json.schema_components(
            [kind], schema_hook=schema_hook, ref_template=REFERENCE
        )
        self.schema = components.pop(reference["$ref"].rpartition("/")[2])
        #: Further types, which the schema refers to.
        self.parts = list(components.items())
        choices = [
            (name, choice)
            for name, whole in self.schema["properties"].items()
            for choice in whole.get("anyOf", [whole])
        ]
        #: Those that may be sent several times.
        self.many = {name for name, choice in choices if choice.get("type") == "array"}
        files = any(choice.get("items", choice) == FILE for _, choice in choices)
        self.form_type = "multipart/form-data" if files else "application/x-www-form-urlencoded"

    def read(self, mistakes: list[Mistake]) -> object:
        """Read the struct from the request, or append what is wrong with it."""
        sent: Any = getattr(request, PLACES[self.place])
        if self.place == "form":
            sent = CombinedMultiDict([sent, request.files])
        values = {}
        # Clients send headers and cookies that are for others.
        for name in self.kinds if self.place in ("headers", "cookies") else sent:
            given = sent.getlist(name)
            if self.place == "headers" and name in self.many:
                given = [part.strip() for text in given for part in text.split(",")]
            if given:
                several = name in self.many or len(given) > 1
                values[name] = from_text(given if several else given[0], self.kinds.get(name, str))
        return check(values, self.kind, mistakes, parameters=self.place != "form")


def from_text(value: object, kind: Any) -> object:
    """A text, or several, as what a type takes, by JSON's own words: ``true`` and not ``1``, and no ``nan``."""
    try:
        return msgspec.convert(value, kind)
    except ValidationError:
        return [*map(_scalar, value)] if isinstance(value, list) else _scalar(value)


def _scalar(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(r"-?[0-9][0-9.eE+-]*|true|false", text):
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(text)
    return text


def check(value: object, kind: Any, mistakes: list[Mistake], parameters: bool = False) -> object:
    """A value as its type; or None, and all that is wrong with it is appended."""
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except ValidationError:
        for mistake in islice(mistakes_of(value, kind), MOST_MISTAKES):
            if parameters:
                mistake["parameter"] = mistake.pop("pointer")[2:].partition("/")[0]
            mistakes.append(mistake)
    return None


def mistakes_of(value: object, kind: Any, at: str = "#") -> Iterator[Mistake]:
    """All that is wrong with what JSON has been read; msgspec itself stops at the first."""
    try:
        msgspec.convert(value, kind, str_keys=True)
    except ValidationError as error:
        within = chain.from_iterable(_parts(value, kind, at))
        message, _, path = str(error).partition(" - at ")
        yield next(within, {"detail": message, "pointer": at + _pointer(path)})
        yield from within


def _parts(value: object, kind: Any, at: str) -> Iterator[Iterable[Mistake]]:
    """What is wrong with the fields of an object, or with the items of an array."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if isinstance(value, dict) and isinstance(origin, type) and issubclass(origin, Struct):
        config = origin.__struct_config__
        if config.tag is not None and value.get(config.tag_field) != config.tag:
            return
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for name, field in fields.items():
            if name in value:
                yield mistakes_of(value[name], field.type, f"{at}/{_escape(name)}")
            elif field.required:
                yield [{"detail": "This is required.", "pointer": f"{at}/{_escape(name)}"}]
        if config.forbid_unknown_fields:
            for name in value.keys() - fields.keys() - {config.tag_field}:
                yield [{"detail": "There is no such field.", "pointer": f"{at}/{_escape(name)}"}]
    elif isinstance(value, dict) and origin is dict and arguments:
        for name, part in value.items():
            yield mistakes_of(part, arguments[1], f"{at}/{_escape(name)}")
    elif isinstance(value, list) and origin in (list, set, frozenset, tuple) and arguments:
        kinds = arguments if origin is tuple and arguments[-1] is not ... else repeat(arguments[0])
        for number, (part, item) in enumerate(zip(value, kinds, strict=False)):
            yield mistakes_of(part, item, f"{at}/{number}")
    elif origin is not dict:  # A union, or something that is annotated: whatever of it has parts.
        for choice in arguments:
            yield from _parts(value, choice, at)


def _escape(name: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc6901"""
    return name.replace("~", "~0").replace("/", "~1")


def _pointer(path: str) -> str:
    """The rest of a JSON pointer, from msgspec's ``$.lines[0].price``."""
    return re.sub(r"\.|\[", "/", path.strip("`").removeprefix("$").replace("]", ""))
