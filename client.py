"""A typed client of another service, from its contract: OpenAPI 3.0 or 3.1, in JSON.

``make client CONTRACT=../orders/openapi.json`` in a service clones the template, at the commit that made the service,
and runs this in the service's folder. Nothing of a contract becomes code: names are made from ASCII letters, digits and
underscores, texts are literals, and all else is words of this module. The package is imported in a process of its own
before it takes its place; without that, and for a contract that is not supported, nothing is written.
"""

import json
import keyword
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import click

from stubs import (
    CLASSES,
    docstring,
    identifier,
    is_json,
    literal,
    media_type,
    operations,
    pascal,
    resolve,
    tidy,
    unique,
)

JSON = "application/json"
FORMS = {"multipart/form-data": True, "application/x-www-form-urlencoded": False}
#: Bytes of a contract.
LARGEST = 20 * 1024 * 1024
#: What the package itself defines or imports, beside classes.
MODULE = {"config", "init_app", "ready", "schemas", "http_client", "bp"}
#: What lower-case names may not be, because types and methods of the package are written with these words.
TAKEN = {
    *("str", "int", "float", "bool", "bytes", "list", "dict", "datetime", "self", "body", "answer", "value", "page"),
    *("schemas", "http_client", "peer", "field", "l", "type"),
}
FORMATS = {
    "date-time": "datetime.datetime",
    "date": "datetime.date",
    "time": "datetime.time",
    "uuid": "UUID",
    "byte": "bytes",
    "decimal": "Decimal",
}
#: What says nothing of the type of a value.
NOTES = {"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "xml"}
#: A list in pages, by a cursor: parameters, and members of the answer.
CURSORS = {"cursor", "after", "page_token", "pageToken"}
NEXT = {"next", "next_cursor", "nextCursor", "next_page_token", "nextPageToken"}
#: Stands before the names of classes, which are elsewhere than the methods; no text has it, because repr escapes it.
CLASS = "\0"
#: What msgspec refuses in names of members.
UNFIT = re.compile(r'["\\\x00-\x1f]')
#: Imports what was written, and makes a decoder of each type, in the environment of the service.
PROGRAM = """
import importlib, inspect, json, sys
import msgspec
made = importlib.import_module(sys.argv[1])
schemas = importlib.import_module(f"{sys.argv[1]}.schemas")
kinds = [kind for kind in vars(schemas).values() if inspect.isclass(kind) and kind.__module__ == schemas.__name__]
for kind in kinds + [eval(text, vars(made)) for text in json.loads(sys.argv[2])]:
    msgspec.json.Decoder(kind)
"""


class Part(NamedTuple):
    """A type, as an annotation, and which JSON it is."""

    text: str
    family: str


class Kind(NamedTuple):
    """A type, or several of which a value has one; None stands at the end."""

    parts: tuple[Part, ...]
    #: The class, if it is one alone.
    name: str = ""

    @property
    def text(self) -> str:
        return " | ".join(part.text for part in self.parts)

    @property
    def optional(self) -> str:
        """The annotation of what may be left out."""
        if self == ANY:
            return "Any"
        ordered = sorted((*self.parts, Part("UnsetType", "unset")), key=lambda part: part.family == "null")
        return Kind(tuple(ordered)).text

    def has(self, family: str) -> bool:
        return any(part.family == family for part in self.parts)


def one(text: str, family: str, name: str = "") -> Kind:
    return Kind((Part(text, family),), name)


ANY = one("Any", "any")
NULL = one("None", "null")


@dataclass
class Class:
    """A class of ``schemas.py``: a struct, or a list of values."""

    base: str
    about: str
    #: Name in JSON, attribute, type, whether it is always there; or the value and the name of it.
    fields: list[tuple[str, str, Kind, bool]] = field(default_factory=list)
    values: list[tuple[str, object]] = field(default_factory=list)
    tag: tuple[str, object] | None = None


class Refusal(click.ClickException):
    """Why nothing was written, in one line."""


def attribute(text: str) -> str:
    """A name as attributes and arguments have it."""
    name = identifier(text)[:120]
    return f"{name}_" if name in TAKEN else name


class Client:
    """What is written of one contract."""

    def __init__(self, contract: Mapping[str, Any], name: str) -> None:
        self.contract, self.name = contract, name
        self.classes: dict[str, Class] = {}
        #: What was made of references; in a form, of what holds files.
        self.known: dict[tuple[str, bool], Kind] = {}
        self.left_out: list[str] = []
        #: Members that are addresses, and so no cursors: their classes and attributes.
        self.links: set[tuple[str, str]] = set()
        #: The types that answers are decoded to.
        self.answered: list[str] = []
        #: Whether the types are those of parameters, which are only sent: their lists of values do not grow.
        self.sending = False
        #: Whether the types are those of a form, in which bytes are files; in JSON they are texts.
        self.form = False
        self.secret: tuple[str, str] | None = None
        version = contract.get("openapi")
        if not isinstance(version, str) or not re.match(r"3\.[01](\.|$)", version):
            raise Refusal(f"The contract is not OpenAPI 3.0 or 3.1: {literal(version, 20)}.")
        self.methods: dict[str, str] = {}
        refused = Refusal("The contract has no operation.")
        for path, verb, operation in operations(contract):
            before = self.classes.copy(), self.known.copy(), [*self.left_out], [*self.answered], self.secret
            tags = [(made, made.tag) for made in self.classes.values()]
            try:
                self.operation(path, verb, operation)
            except click.ClickException as refusal:
                self.classes, self.known, self.left_out, self.answered, self.secret = before
                for made, tag in tags:
                    made.tag = tag
                refused, self.sending, self.form = Refusal(refusal.message), False, False
                self.leave(refusal.message if path in refusal.message else f"{verb.upper()} {path}: {refusal.message}")
        for path, linked in contract["paths"].items():
            item = {} if path.startswith("x-") else resolve(contract, linked)
            for verb in sorted({"head", "options", "trace", "servers"} & item.keys()):
                self.leave(f"{verb.upper()} {path}")
        if not self.methods:
            raise refused
        if contract.get("webhooks"):
            self.leave("webhooks")

    def leave(self, what: str) -> None:
        """Remember what is not carried over."""
        if what not in self.left_out:
            self.left_out.append(what)

    # --- types ---

    def kind(self, schema: Any, where: str) -> Kind:
        """The type of a schema; ``where`` is what a class is called after that has no name."""
        if not isinstance(schema, Mapping):
            return ANY
        if "$ref" in schema:
            return self.referred(schema["$ref"])
        parts = [part for part in schema.get("allOf") or () if not isinstance(part, Mapping) or part.keys() - NOTES]
        if len(parts) == 1 and not schema.get("properties"):
            # A way to say more of what is referred to.
            only = self.kind(parts[0], where)
            return self.joined([only, NULL], where) if schema.get("nullable") is True else only
        schema = self.flat(schema)
        if alternatives := self.alternatives(schema):
            if schema.get("properties"):
                self.leave(f"{where}: what stands beside its alternatives")
            found = self.union(alternatives, schema, where)
        elif "const" in schema:
            found = self.constant(schema["const"], where)
        elif "enum" in schema:
            found = self.choice(schema["enum"], where)
        elif isinstance(schema.get("type"), list):
            several = [self.kind({**schema, "type": single}, where) for single in schema["type"]]
            found = self.joined(several, where)
        else:
            found = self.single(schema, where)
        return self.joined([found, NULL], where) if schema.get("nullable") is True else found

    def referred(self, reference: Any) -> Kind:
        target = resolve(self.contract, {"$ref": reference})
        holders = [target, *(self.flat(target).get("properties") or {}).values()] if self.form else []
        key = (str(reference), any(map(self.is_file, holders)))
        if key not in self.known:
            name = key[0].rpartition("/")[2]
            # A schema that holds itself is known before it is read; that makes sense for objects alone.
            self.known[key] = Kind(())
            before, self.sending, self.form = (self.sending, self.form), False, key[1]
            self.known[key] = (
                self.struct(self.flat(target), name, key) if self.is_struct(target) else self.kind(target, name)
            )
            self.sending, self.form = before
        if not self.known[key].parts:
            self.leave(f"{key[0].rpartition('/')[2]}: where it is in itself, it is Any")
            return ANY
        return self.known[key]

    def is_file(self, schema: Any) -> bool:
        """Whether a form has files there, one or several."""
        told = self.flat(resolve(self.contract, schema)) if isinstance(schema, Mapping) else {}
        told = self.flat(resolve(self.contract, told["items"])) if isinstance(told.get("items"), Mapping) else told
        return told.get("format") == "binary" or ("contentMediaType" in told and "contentEncoding" not in told)

    def flat(self, schema: Any) -> Mapping[str, Any]:
        """A schema with the schemas of its ``allOf`` in it; of ``true`` and ``false``, nothing."""
        if not isinstance(schema, Mapping):
            return {}
        if not schema.get("allOf"):
            return schema
        merged = {word: value for word, value in schema.items() if word != "allOf"}
        for part in schema["allOf"]:
            inner = self.flat(resolve(self.contract, part))
            both = {
                "properties": {**inner.get("properties", {}), **merged.get("properties", {})},
                "required": [*inner.get("required", ()), *merged.get("required", ())],
            }
            # What is common to several types is a hint for one of them, and no further type.
            inner = {word: value for word, value in inner.items() if word != "discriminator"}
            merged = {**inner, **merged, **{word: value for word, value in both.items() if value}}
        return merged

    def alternatives(self, schema: Mapping[str, Any]) -> Sequence[Any]:
        """Those of a schema, unless they only say what has to be there of what stands beside them."""
        found: Sequence[Any] = schema.get("oneOf") or schema.get("anyOf") or ()
        bare = schema.get("properties") and all(
            isinstance(part, Mapping) and not part.keys() - NOTES - {"required", "not", "type"} for part in found
        )
        return () if bare else found

    def is_struct(self, schema: Any) -> bool:
        if not isinstance(schema, Mapping) or "$ref" in schema:
            return False
        found = self.flat(schema)
        return (
            bool(found.get("properties"))
            and found.get("type", "object") in ("object", ["object", "null"], ["null", "object"])
            and not self.alternatives(found)
            and not any(found.get(word) for word in ("enum", "const"))
        )

    def single(self, schema: Mapping[str, Any], where: str) -> Kind:
        match schema.get("type"):
            case "string":
                if self.form and self.is_file(schema):
                    return one("File", "object")
                return one(FORMATS.get(str(schema.get("format", "")), "str"), "string")
            case "integer":
                return one("int", "integer")
            case "number":
                return one("float", "number")
            case "boolean":
                return one("bool", "boolean")
            case "null":
                return NULL
            case "array":
                items = self.kind(schema.get("items"), f"{where} item")
                return one(f"list[{items.text}]", "array")
            case "object" | None if schema.get("properties"):
                return self.struct(schema, where)
            case "object":
                values = self.kind(schema.get("additionalProperties"), f"{where} value")
                return one(f"dict[str, {values.text}]", "object")
            case None:
                return ANY
            case other:
                self.leave(f"{where}: its type {other}, which JSON Schema does not know, is Any")
                return ANY

    def struct(self, schema: Mapping[str, Any], where: str, key: tuple[str, bool] | None = None) -> Kind:
        name = unique(pascal(where), self.classes)
        made = self.classes[name] = Class("Struct", str(schema.get("description") or ""))
        kind = one(f"{CLASS}{name}", "object", name)
        if schema.get("nullable") is True or "null" in (schema.get("type") or ()):
            kind = self.joined([kind, NULL], where)
        if key:
            self.known[key] = kind
        required, taken, form = set(schema.get("required", ())), set[str](), self.form
        if schema.get("additionalProperties") not in (None, False):
            self.leave(f"{name}: members that its contract does not name")
        for given, inner in schema["properties"].items():
            if UNFIT.search(given):
                if given in required:
                    raise Refusal(f"{name} needs a member whose name msgspec does not take: {literal(given)}.")
                self.leave(f"{name}: the member {given}")
                continue
            called = unique(attribute(given), taken)
            taken.add(called)
            told = self.flat(resolve(self.contract, inner)) if isinstance(inner, Mapping) else {}
            always = given in required and not told.get("readOnly") and not told.get("writeOnly")
            self.form = form and self.is_file(inner)
            made.fields.append((given, called, self.kind(inner, f"{name} {given}"), always))
            self.form = form
            if str(told.get("format", "")).startswith("uri"):
                self.links.add((name, called))
        return kind

    def choice(self, values: Sequence[Any], where: str) -> Kind:
        """A list of values, which may grow: an answer with another value is read as well."""
        families = {type(value).__name__ for value in values if value is not None}
        if families & {"dict", "list"}:
            self.leave(f"{where}: its list of values, which are no texts or numbers")
            return ANY
        several = list(dict.fromkeys(value for value in values if value is not None))
        if families == {"bool"}:
            found = one("bool", "boolean")
        elif families in ({"str"}, {"int"}) and self.sending:
            found = one(f"Literal[{', '.join(map(repr, several))}]", "string" if families == {"str"} else "integer")
        elif families in ({"str"}, {"int"}):
            name = unique(pascal(where), self.classes)
            made = self.classes[name] = Class("Choice" if families == {"str"} else "Number", "")
            for value in several:
                words = re.sub(r"[^A-Za-z0-9]+", "_", str(value)).strip("_").upper()[:60]
                words = words if words[:1].isalpha() and len(words) > 1 else f"VALUE_{words}".rstrip("_")
                made.values.append((unique(words, dict(made.values)), value))
            found = one(f"{CLASS}{name}", "string" if families == {"str"} else "integer")
        elif several:
            self.leave(f"{where}: its list of values, of several types")
            return ANY
        else:
            return NULL
        return self.joined([found, NULL], where) if None in values else found

    def constant(self, value: object, where: str) -> Kind:
        if value is None:
            return NULL
        if isinstance(value, str) or type(value) is int:
            return one(f"Literal[{value!r}]", "string" if isinstance(value, str) else "integer")
        return one("bool", "boolean") if isinstance(value, bool) else ANY

    def union(self, alternatives: Sequence[Any], schema: Mapping[str, Any], where: str) -> Kind:
        kinds = [self.kind(part, f"{where} {number}") for number, part in enumerate(alternatives, 1)]
        structs = [kind for kind in kinds if kind.name]
        if len({kind.name for kind in structs}) > 1 and not self.tagged(alternatives, kinds, schema):
            self.leave(f"{where}: alternatives that no member tells apart are Any")
            return ANY
        return self.joined(kinds, where, tagged=len(structs) > 1)

    def tagged(self, alternatives: Sequence[Any], kinds: Sequence[Kind], schema: Mapping[str, Any]) -> bool:
        """Whether a member tells the alternatives apart; then their classes know their value of it."""
        told = schema.get("discriminator") or {}
        members = [
            (kind, part.get("$ref"), self.flat(resolve(self.contract, part)).get("properties", {}))
            for kind, part in zip(kinds, alternatives, strict=True)
            if kind.name
        ]
        shared = set.intersection(*(set(properties) for _, _, properties in members))
        for name in [told["propertyName"]] if "propertyName" in told else sorted(shared):
            values: dict[str, object] = {}
            if UNFIT.search(name):
                continue
            for kind, reference, properties in members:
                inner = resolve(self.contract, properties.get(name)) if name in properties else {}
                listed = [inner["const"]] if "const" in inner else list(inner.get("enum", ()))
                mapped = [
                    value
                    for value, target in told.get("mapping", {}).items()
                    if reference and target in (reference, reference.rpartition("/")[2])
                ]
                fallback = [reference.rpartition("/")[2]] if reference and told else []
                found = mapped or listed or fallback
                if len(found) == 1 and (isinstance(found[0], str) or type(found[0]) is int):
                    values[kind.name] = found[0]
            tags = {class_: (name, value) for class_, value in values.items()}
            if (
                len(tags) == len({kind.name for kind, _, _ in members})
                and len(set(values.values())) == len(values)
                and len({type(value) for value in values.values()}) == 1
                and all(self.classes[class_].tag in (None, tag) for class_, tag in tags.items())
            ):
                for class_, tag in tags.items():
                    self.classes[class_].tag = tag
                return True
        return False

    def joined(self, kinds: Sequence[Kind], where: str, tagged: bool = False) -> Kind:
        """A type of several, as msgspec can tell them apart."""
        parts = list(dict.fromkeys(part for kind in kinds for part in kind.parts))
        if ANY in kinds:
            return ANY
        for family, plain in (("string", "str"), ("integer", "int"), ("array", ""), ("object", "")):
            several = [part for part in parts if part.family == family]
            if len(several) < 2 or (family == "object" and tagged):
                continue
            if not plain:
                self.leave(f"{where}: alternatives that are both {family}s are Any")
                return ANY
            parts = [part for part in parts if part.family != family] + [Part(plain, family)]
        parts.sort(key=lambda part: part.family == "null")
        return Kind(tuple(parts), kinds[0].name if len(parts) == 1 else "")

    # --- methods ---

    def operation(self, path: str, verb: str, operation: Mapping[str, Any]) -> None:
        given = operation.get("operationId") or f"{verb} {path}"
        if not isinstance(given, str):
            raise Refusal(f"{verb.upper()} {literal(path)}: its operationId is no text.")
        name, at = attribute(given), f"{verb.upper()} {path}"
        if name in self.methods:
            raise Refusal(f"Two operations would be called {name}: give one another operationId.")
        if not any(re.fullmatch(r"2(\d\d|XX)|default", str(status)) for status in operation.get("responses") or ()):
            self.leave(f"{at}: it has no answer of success")
            return
        for word in ("callbacks", "servers"):
            if operation.get(word):
                self.leave(f"{at}: {word}")
        arguments: dict[str, tuple[Kind, bool]] = {}
        sent: dict[str, list[str]] = {"path": [], "query": [], "header": []}
        shown, cursor, seen = str(path), "", set[tuple[str, str]]()
        # A parameter of the operation replaces that of the path.
        told = [one for linked in reversed(operation["parameters"]) for one in self.spread(linked)]
        for parameter in sorted(told, key=lambda parameter: parameter["in"] != "path"):
            key = (str(parameter["in"]), str(parameter["name"]))
            if key in seen or (key[0] == "header" and key[1].lower() in ("accept", "authorization", "content-type")):
                continue
            seen.add(key)
            count = len(arguments)
            self.parameter(at, given, parameter, arguments, sent)
            if key[0] == "query" and key[1] in CURSORS and len(arguments) > count:
                cursor = list(arguments)[-1]
        route, names = "", []
        for part in re.split(r"(\{[^{}]*\})", shown):
            if part[:1] == "{" and part[-1:] == "}":
                if ("path", part[1:-1]) not in seen:
                    raise Refusal(f"{literal(at)}: the path has a parameter {literal(part)}, which is not declared.")
                names.append(part[1:-1])
                route += "{" + attribute(part[1:-1]) + "}"
            else:
                route += quote(part, safe="/:@!$&'()*+,;=~-._%")
        if not shown.startswith("/") or len(set(names)) != len(names) or len(set(map(attribute, names))) != len(names):
            raise Refusal(f"{literal(at)} is not a path with parameters that can be told apart.")
        call = [repr(verb.upper()), repr(route)]
        if names:
            call.append("{" + ", ".join(f"{attribute(n)!r}: {self.called(sent['path'], n)}" for n in names) + "}")
        for place, key_word in (("query", "query"), ("header", "headers")):
            if sent[place]:
                call.append(f"{key_word}={{{', '.join(sorted(sent[place]))}}}")
        body = self.body(at, given, operation, call)
        returns, lines, items = self.answers(at, given, operation, call)
        if self.secured(at, operation):
            call.append("secured=True")
        order = [re.findall(r"\w+", self.called(sent["path"], n))[-1] for n in names]
        positional = [f"{argument}: {arguments[argument][0].text}" for argument in order]
        if body:
            positional.append(body)
        named = {key: told for key, told in arguments.items() if key not in order}
        keywords = [
            f"{key}: {kind.text}" if required else f"{key}: {kind.optional} = UNSET"
            for key, (kind, required) in sorted(named.items(), key=lambda one: (not one[1][1], one[0]))
        ]
        about = docstring(operation.get("summary") or operation.get("description") or given)
        text = ", ".join(["self", *positional, *(["*", *keywords] if keywords else [])])
        lines = [line.replace("CALL", f"self.peer.call({', '.join(call)})") for line in lines]
        self.methods[name] = _method(name, text, returns, about, lines)
        if cursor and items and verb == "get":
            self.pages(name, cursor, items, order, positional, named, keywords)

    def spread(self, linked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """A parameter; of an object in the query, its members, which are sent as parameters."""
        parameter = resolve(self.contract, linked)
        style, schema = parameter.get("style", "form"), self.flat(resolve(self.contract, parameter.get("schema")))
        deep = style == "deepObject"
        exploded = deep or (style == "form" and parameter.get("explode", True))
        if parameter["in"] != "query" or not exploded or not self.is_struct(schema):
            yield parameter
            return
        for name, inner in schema["properties"].items():
            # Nobody has said how a list in such an object is written.
            many = deep and self.flat(resolve(self.contract, inner)).get("type") == "array"
            required = bool(parameter.get("required")) and name in schema.get("required", ())
            called = {"name": f"{parameter['name']}[{name}]" if deep else name, "style": style if many else "form"}
            yield {"in": "query", "required": required, "schema": inner, **called}

    def called(self, sent: Sequence[str], name: str) -> str:
        """The argument that is sent for a parameter of the path."""
        return next(text.partition(": ")[2] for text in sent if text.startswith(f"{name!r}: "))

    def parameter(
        self,
        at: str,
        given: str,
        parameter: Mapping[str, Any],
        arguments: dict[str, tuple[Kind, bool]],
        sent: dict[str, list[str]],
    ) -> None:
        place, name = str(parameter["in"]), str(parameter["name"])
        required = place == "path" or parameter.get("required") is True
        self.sending = True
        kind = self.kind(parameter.get("schema"), f"{given} {name}")
        self.sending = False
        style = parameter.get("style", "form" if place in ("query", "cookie") else "simple")
        named = [self.classes[name].base for name in re.findall(rf"{CLASS}(\w+)", kind.text)]
        whole = kind.has("object") or "Struct" in named or "dict[" in kind.text
        known = {"path": "simple", "query": "form", "header": "simple"}.get(place) == style
        if not known or whole or "content" in parameter:
            if required:
                raise Refusal(f"{literal(at)}: the {literal(place, 20)} parameter {literal(name)} is not supported.")
            self.leave(f"{at}: the {place} parameter {name}")
            return
        if place == "header" and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise Refusal(f"{literal(at)}: {literal(name)} cannot be the name of a header.")
        argument = unique(attribute(name), arguments)
        arguments[argument] = (kind, required)
        joined = kind.has("array") and (place != "query" or parameter.get("explode") is False)
        value = f"http_client.commas({argument})" if joined else argument
        sent[place].append(f"{name!r}: {value}")

    def body(self, at: str, given: str, operation: Mapping[str, Any], call: list[str]) -> str:
        """The argument for the body, if there is one."""
        told = resolve(self.contract, operation.get("requestBody"))
        content = told.get("content") or {}
        if not content:
            return ""
        chosen = _preferred(content)
        self.further(at, "its body", content, chosen)
        schema, where = content[chosen].get("schema"), f"{given} body"
        chosen = self.spoken(chosen, schema)
        if is_json(chosen):
            kind = self.kind(schema, where)
            more = f", {chosen!r}" if chosen != JSON else ""
            call.append(f"body=http_client.json_body(body{more})")
        elif chosen in FORMS:
            self.form = True
            kind = self.kind(schema, where)
            self.form = False
            if not kind.name:
                raise Refusal(f"{literal(at)}: a form has to be an object with properties.")
            call.append(f"body=http_client.form_body(body, multipart={FORMS[chosen]})")
        else:
            kind = one("str" if chosen.startswith("text/") else "bytes", "string")
            media_type = "application/octet-stream" if "*" in chosen else chosen
            if not re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", media_type, re.ASCII):
                raise Refusal(f"{literal(at)}: {literal(chosen)} is no media type.")
            call.append(f"body=http_client.raw_body(body, {media_type!r})")
        return f"body: {kind.text}" if told.get("required") is True else f"body: {kind.optional} = UNSET"

    def answers(
        self, at: str, given: str, operation: Mapping[str, Any], call: list[str]
    ) -> tuple[str, list[str], tuple[str, str, str] | None]:
        """The type of the answer, the lines that read it, and of a page: the items' type, items and next."""
        responses = {str(status): resolve(self.contract, told) for status, told in operation["responses"].items()}
        good = {status: told for status, told in responses.items() if re.fullmatch(r"2(\d\d|XX)", status)}
        if not good and "default" in responses:
            good = {"2XX": responses["default"]}
        kinds: dict[str, tuple[Kind, str]] = {}
        accept: list[str] = []
        page, tagged = None, False
        for status, told in sorted(good.items()):
            content = told.get("content") or {}
            headers = {str(header).lower() for header in told.get("headers", {})}
            if left := sorted(headers - {"etag", "x-request-id"}):
                self.leave(f"{at}: the headers of its answer: {', '.join(left)}")
            chosen = _preferred(content, forms=False)
            kinds[status] = (NULL, "None")
            if chosen:
                self.further(at, "its answer", content, chosen)
                schema = content[chosen].get("schema")
                chosen = self.spoken(chosen, schema)
                accept.append(chosen)
                tagged = tagged or "etag" in headers
                if is_json(chosen):
                    kind = self.kind(schema, f"{given} answer")
                    self.answered.append(kind.text.replace(CLASS, "schemas."))
                    kinds[status] = (kind, f"answer.json({kind.text})")
                    page = self.page(kind)
                else:
                    text = chosen.startswith("text/")
                    found = ("str", "answer.text()") if text else ("bytes", "answer.content")
                    kinds[status] = (one(found[0], "string"), found[1])
        if any(not re.fullmatch(r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+", one, re.ASCII) for one in accept):
            raise Refusal(f"{literal(at)}: {literal(', '.join(accept))} is no media type.")
        accept = list(dict.fromkeys(accept))
        if accept not in ([], [JSON]):
            call.append(f"accept={', '.join(accept)!r}")
        if "2XX" in good:
            call.append("expect=range(200, 300)")
        elif list(good) not in ([], ["200"]):
            call.append(f"expect=({', '.join(sorted(good))}{',' * (len(good) == 1)})")
        several = list(dict.fromkeys(kinds.values()))
        if all(kind == NULL for kind, _ in several):
            return "None", ["CALL"], None
        parts = dict.fromkeys(part for kind, _ in several for part in kind.parts)
        ordered = sorted(parts, key=lambda part: part.family == "null")
        returns = "Any" if any(kind == ANY for kind, _ in several) else Kind(tuple(ordered)).text
        *first, (_, last) = several
        value = ""
        for kind, read in first:
            statuses = [status for status, found in kinds.items() if found == (kind, read)]
            if "2XX" in statuses:
                raise Refusal(f"{literal(at)}: its answers of success are of several types.")
            told = " or ".join(f"answer.status == {status}" for status in statuses)
            value += f"{read} if {told} else "
        lines = ["answer = CALL", f"value: {returns} = {value}{last}"]
        lines.append("return Tagged(value, answer.etag)" if tagged else "return value")
        if len(several) > 1:
            page = None
        return (f"Tagged[{returns}]" if tagged else returns), lines, page

    def page(self, kind: Kind) -> tuple[str, str, str] | None:
        """Of an answer that is a page: the type of an item, and the attributes for items and for the next cursor."""
        if not kind.name:
            return None
        fields = self.classes[kind.name].fields
        lists = [(called, inner.text) for _, called, inner, always in fields if always and inner.has("array")]
        following = [
            called
            for given, called, inner, _ in fields
            if given in NEXT and _is_text(inner) and (kind.name, called) not in self.links
        ]
        if len(lists) != 1 or len(following) != 1 or not re.fullmatch(r"list\[.*\]", lists[0][1], re.DOTALL):
            return None
        return lists[0][1][5:-1], lists[0][0], following[0]

    def pages(
        self,
        name: str,
        cursor: str,
        items: tuple[str, str, str],
        order: Sequence[str],
        positional: Sequence[str],
        named: Mapping[str, tuple[Kind, bool]],
        keywords: Sequence[str],
    ) -> None:
        each, (kind, listed, following) = f"each_{name}", items
        if each in self.methods or not _is_text(named[cursor][0]) or named[cursor][1]:
            return
        # A page that has not changed would be no page.
        left = {cursor, "if_none_match"}
        kept = [word for word in keywords if word.partition(":")[0] not in left]
        given = [*order, *(f"{key}={key}" for key in named if key not in left), f"{cursor}=next_"]
        value = ".value" if self.methods[name].partition(" -> ")[2].startswith("Tagged[") else ""
        text = ", ".join(["self", *positional, *(["*", *kept] if kept else [])])
        lines = [
            "next_: str | UnsetType = UNSET",
            "while True:",
            f"    page = self.{name}({', '.join(given)}){value}",
            f"    yield from page.{listed}",
            f"    if not page.{following} or page.{following} == next_:",
            "        return",
            f"    next_ = page.{following}",
        ]
        about = docstring(f"All items of {name}, one page after the other.")
        self.methods[each] = _method(each, text, f"Iterator[{kind}]", about, lines)

    def secured(self, at: str, operation: Mapping[str, Any]) -> bool:
        """Whether the operation asks who calls, in a way that the client knows."""
        wanted = operation.get("security", self.contract.get("security")) or []
        if not wanted or {} in wanted:
            return False
        schemes = self.contract.get("components", {}).get("securitySchemes", {})
        for name in [name for each in wanted for name in each]:
            match resolve(self.contract, schemes.get(name)):
                case {"type": "oauth2" | "openIdConnect"}:
                    secret = ("Authorization", "Bearer ")
                case {"type": "http", "scheme": str(scheme)} if scheme.lower() in ("bearer", "basic"):
                    secret = ("Authorization", f"{scheme.title()} ")
                case {"type": "apiKey", "in": "header", "name": str(header)} if re.fullmatch(r"[A-Za-z0-9_-]+", header):
                    secret = (header, "")
                case _:
                    continue
            if self.secret in (None, secret):
                self.secret = secret
                return True
        self.leave(f"{at}: how it asks who calls")
        return False

    def spoken(self, chosen: str, schema: Any) -> str:
        """A media type as it is sent; any one is JSON, unless the content is a text or bytes."""
        plain = media_type(chosen)
        text = schema is None or self.flat(resolve(self.contract, schema)).get("type") == "string"
        return JSON if plain == "application/*+json" or (plain in ("*/*", "application/*") and not text) else plain

    def further(self, at: str, what: str, content: Mapping[str, Any], chosen: str) -> None:
        if others := sorted(str(kind) for kind in content if kind != chosen):
            self.leave(f"{at}: {what} as {', '.join(others)}")

    # --- files ---

    def package(self, local: str) -> str:
        """The module of the client."""
        info = self.contract.get("info") or {}
        title = f"{info.get('title') or self.name} {info.get('version') or ''}".strip()
        about = docstring(f"{title}: a client, which `make client` writes from the contract beside it. Do not edit it.")
        secret = f", {self.secret!r}" if self.secret else ""
        class_ = pascal(self.name)
        methods = "\n".join(self.methods.values()).replace(CLASS, "schemas.")
        return f'''{about}

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID
from decimal import Decimal
import datetime

from flask import Flask
from msgspec import UNSET, UnsetType

from ...extensions import http_client
from ...extensions.http_client import File, Tagged
from . import schemas

if TYPE_CHECKING:
    from ...core.settings import Env


def config(env: "Env") -> dict[str, Any]:
    return http_client.settings(env, {self.name!r}, {local!r}, token={bool(self.secret)})


def init_app(app: Flask) -> None:
    http_client.call_peer(app, {self.name!r}{secret})


def ready() -> None:
    """Raise while the service does not answer, if {self.name.upper()}_REQUIRED is true."""
    http_client.check({self.name!r})


def {self.name}() -> "{class_}":
    """The service, as this application calls it."""
    return {class_}(http_client.peer({self.name!r}))


class {class_}:
    def __init__(self, peer: http_client.Peer) -> None:
        self.peer = peer

{methods}'''

    def schemas(self) -> str:
        """The module of the types."""
        parts = {}
        for name, made in self.classes.items():
            tag = f", tag_field={made.tag[0]!r}, tag={made.tag[1]!r}" if made.tag else ""
            settings = f", kw_only=True{tag}" if made.base == "Struct" else ""
            lines = [f"class {name}({made.base}{settings}):"]
            if made.about.strip():
                lines.append(f"    {docstring(made.about)}\n")
            for given, called, kind, always in made.fields:
                if made.tag and given == made.tag[0]:
                    continue
                renamed = f"name={given!r}" if given != called else ""
                text = kind.text if always else kind.optional
                match bool(renamed), always:
                    case True, _:
                        default = f" = field({renamed}{'' if always else ', default=UNSET'})"
                    case False, always:
                        default = "" if always else " = UNSET"
                lines.append(f"    {called}: {text}{default}")
            lines += [f"    {called} = {value!r}" for called, value in made.values]
            if len(lines) == 1:
                lines.append('    """It has no members."""')
            parts[name] = "\n".join(lines)
        # Of a member that tells classes apart, the list of its values is not needed.
        used = re.findall(rf"{CLASS}([A-Za-z0-9]+)", "\n".join([*parts.values(), *self.methods.values()]))
        kept = [text for name, text in parts.items() if name in used or self.classes[name].base == "Struct"]
        body = "\n\n\n".join(kept).replace(CLASS, "")
        return f'''"""What the operations take and answer."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from ...extensions.http_client import File
from ...extensions.http_client.choices import Choice, Number

{body}
'''


def _is_text(kind: Kind) -> bool:
    return {part.text for part in kind.parts} - {"None"} == {"str"}


def _method(name: str, arguments: str, returns: str, about: str, lines: Sequence[str]) -> str:
    body = "".join(f"        {line}\n" for line in [about, *lines])
    return f"    def {name}({arguments}) -> {returns}:\n{body}"


def _preferred(content: Mapping[str, Any], forms: bool = True) -> str:
    """Of several media types, the one that the client speaks: JSON, forms, or the first."""
    kinds = [str(kind) for kind in content]
    for wanted in (JSON, r"(application/.+\+|text/)json", *(FORMS if forms else ())):
        for kind in kinds:
            if re.fullmatch(wanted, media_type(kind)):
                return kind
    return kinds[0] if kinds else ""


# --- reading ---


def read(address: str) -> bytes:
    """The contract: of a file, a URL, or ``repository#commit:path``."""
    try:
        if re.match(r"https?://", address) and "#" not in address:
            with urlopen(address, timeout=20) as response:
                data: bytes = response.read(LARGEST + 1)
        elif match := re.fullmatch(r"([^#]+)#([\w./-]+):(.+)", address):
            data = _committed(*match.groups())
        else:
            with Path(address).open("rb") as file:
                data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise Refusal(f"There is no contract at {address}: {error}") from None
    if len(data) > LARGEST:
        raise Refusal(f"The contract at {address} has more than {LARGEST} bytes.")
    return data


def _committed(repository: str, commit: str, path: str) -> bytes:
    with TemporaryDirectory() as folder:
        clone = ["git", "clone", "--quiet", "--bare", "--", repository, folder]
        for command in (clone, ["git", "-C", folder, "show", "--end-of-options", f"{commit}:{path}"]):
            done = subprocess.run(command, capture_output=True, check=False, timeout=300)
            if done.returncode:
                told = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
                raise ValueError(told[-1])
        return done.stdout


def parse(data: bytes, address: str) -> dict[str, Any]:
    try:
        contract = json.loads(data)
        # Half a character, as JSON can write one, is in no name of Python.
        json.dumps(contract, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{address} is not JSON: {error}") from None
    if not isinstance(contract, dict):
        raise Refusal(f"{address} is not a contract, but a {type(contract).__name__}.")
    return contract


# --- writing ---


def edits(package: Path, client: Client, local: str) -> dict[Path, str]:
    """What changes in files of the service, or why it cannot."""
    name, upper = client.name, client.name.upper()
    settings = [
        (f"{upper}_URL", local, f"where {name} is; required in production"),
        (f"{upper}_TIMEOUT", "2", f"seconds that a call to {name} may take, all its attempts included"),
        (f"{upper}_REQUIRED", "false", f"whether this service is unready while {name} does not answer"),
    ]
    if client.secret:
        settings.append(
            (f"{upper}_TOKEN", "", f"what {name} knows this service by; sent to operations that ask for it")
        )
    changed = {}
    modules = package / "modules.py"
    text = modules.read_text(encoding="utf-8")
    if f'"clients.{name}"' not in text:
        found = re.findall(r"^OWN\b[^\n]*= \[\n(?:[^\]]*\n)?(?=\]$)", text, re.MULTILINE)
        if len(found) != 1:
            raise Refusal(f'{modules} has no list OWN that ends with a line "]", into which clients.{name} would go.')
        changed[modules] = text.replace(found[0], f'{found[0]}    "clients.{name}",\n')
    example = Path(".env.example")
    text = example.read_text(encoding="utf-8")
    lines = [
        f"\n# {told}\n#{setting}={value}\n"
        for setting, value, told in settings
        if not re.search(rf"^#? ?{setting}=", text, re.MULTILINE)
    ]
    if lines:
        changed[example] = text.rstrip("\n") + "\n" + "".join(lines)
    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8")
    rows = [
        f"| `{setting}` | {f'`{value}`' if value else ''} | {told} |\n"
        for setting, value, told in settings
        if f"| `{setting}` |" not in text
    ]
    head = "### Settings of your own\n\n| Setting | For example | What it is |\n| --- | --- | --- |\n"
    if rows and text.count(head) != 1:
        raise Refusal('README.md has no table "Settings of your own", into which the settings of the client would go.')
    if rows:
        start = text.index(head) + len(head)
        end = re.compile(r"(?:\|.*\n)*").match(text, start)
        at = end.end() if end else start
        changed[readme] = text[:at] + "".join(rows) + text[at:]
    tests = Path("tests/clients") / f"test_{name}.py"
    if not tests.exists():
        changed[tests] = TESTS.replace("NAME", name)
    root = package / "clients/__init__.py"
    if not root.exists():
        changed[root] = '"""The services that this one calls: a package each, which `make client` writes."""\n'
    return changed


TESTS = '''"""The client of NAME, and what a test says of that service."""

from collections.abc import Callable
from typing import Any

import pytest


def test_every_operation(fake: Callable[[str], Any]) -> None:
    """It is asked as its contract says, and its answers are read: with examples that are made from the contract."""
    fake("NAME").try_all()


def test_it_is_away(fake: Callable[[str], Any]) -> None:
    NAME = fake("NAME")
    NAME.away()
    with pytest.raises(NAME.UnreachableError):
        NAME.try_all()
'''


def write(client: Client, data: bytes, package: Path) -> Path:
    """Write the package and its lines in other files, or nothing."""
    folder = package / "clients" / client.name
    if folder.exists() and not (folder / "openapi.json").exists():
        raise Refusal(f"{folder} is in the way: `make client` did not write it. Give another NAME.")
    example = Path(".env.example").read_text(encoding="utf-8")
    earlier = re.search(rf"^#? ?{client.name.upper()}_URL=(\S*)$", example, re.MULTILINE)
    if earlier and not folder.exists():
        raise Refusal(
            f"{client.name.upper()}_URL is in .env.example already, of no client: give another NAME, or take it out."
        )
    servers = client.contract.get("servers") or [{}]
    prefix = urlsplit(str(servers[0].get("url") or "")).path.rstrip("/")
    prefix = prefix if re.fullmatch(r"(/[\w.~-]+)*", prefix, re.ASCII) else ""
    port = 8001 + len(list(package.glob("clients/*/openapi.json")))
    local = (
        earlier[1]
        if earlier and re.fullmatch(r"https?://[\w.:/~-]+", earlier[1])
        else f"http://127.0.0.1:{port}{prefix}"
    )
    changed = edits(package, client, local)
    folder.parent.mkdir(exist_ok=True)
    fresh = not (folder.parent / "__init__.py").exists()
    made = Path(mkdtemp(prefix="made_", dir=folder.parent))
    try:
        (made / "client.py").write_text(client.package(local), encoding="utf-8")
        (made / "schemas.py").write_text(client.schemas(), encoding="utf-8")
        (made / "openapi.json").write_bytes(data)
        made.chmod(0o755)
        _format(made)
        _run(
            *(sys.executable, "-c", PROGRAM, f"{package.name}.clients.{made.name}", json.dumps(client.answered)),
            PYTHONPATH=os.pathsep.join(filter(None, [str(package.parent.resolve()), os.environ.get("PYTHONPATH")])),
        )
        # Bytecode of what the service installs stays: the next start is faster. That of this folder has another name.
        shutil.rmtree(made / "__pycache__", ignore_errors=True)
        for path, text in changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if fresh and not folder.exists():
            shutil.rmtree(folder.parent)
    return folder


def _format(folder: Path) -> None:
    """Take out imports that are not used; what the rules of the service still say of it is accepted."""
    ruff = [sys.executable, "-m", "ruff"]
    _run(*ruff, "check", "--no-cache", "--quiet", "--fix", "--select=F401,I", str(folder))
    # Only now: what a package imports and does not use is offered to others, and stays.
    (folder / "client.py").rename(folder / "__init__.py")
    tidy(folder)


def _run(*command: str, **variables: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
    if done.returncode:
        raise click.ClickException(
            f"The contract makes no package, which is a mistake of the template.\n{done.stdout}{done.stderr}"
        )


def _names(given: str, contract: Mapping[str, Any], address: str) -> Iterator[str]:
    yield given
    yield identifier(str((contract.get("info") or {}).get("title") or ""))
    yield identifier(Path(address).resolve().parent.name)


@click.command
@click.argument("address")
@click.argument("name", required=False, default="")
def main(address: str, name: str) -> None:
    """Write a client of the contract at ADDRESS as the package ``clients/NAME``."""
    packages = [path.parent for path in Path().glob("src/*/modules.py")]
    if len(packages) != 1 or not (packages[0] / "extensions/http_client").is_dir():
        raise Refusal("""This service has no http_client: make update ANSWERS='{"http_client": "yes"}'""")
    data = read(address)
    contract = parse(data, address)
    called = name or next(filter(lambda found: found not in ("", "_"), _names("", contract, address)), "")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,29}", called) or {called, pascal(called)} & (MODULE | CLASSES | TAKEN):
        raise Refusal(f"{called!r} cannot be the name of a client: give another one, with NAME=orders")
    if keyword.iskeyword(called):
        raise Refusal(f"{called!r} is a word of Python: give another name, with NAME=orders")
    try:
        client = Client(contract, called)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Refusal(f"{address} is not valid OpenAPI: {error!r}") from None
    except RecursionError:
        raise Refusal(f"{address} nests without an end.") from None
    folder = write(client, data, packages[0])
    click.echo(f"Wrote {folder}, with {len(client.methods)} methods.")
    for line in client.left_out:
        click.echo(f"Not carried over: {literal(line, 300)[1:-1]}")
    again = "make openapi, because operations may now answer 502 and 504, " if Path("openapi.json").exists() else ""
    click.echo(f"Next: git diff, {again}make check; in production, set {called.upper()}_URL.")


if __name__ == "__main__":
    main()
