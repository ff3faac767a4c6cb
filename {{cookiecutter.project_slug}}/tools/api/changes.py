"""Breaking changes between two OpenAPI documents: what a client of the old one can no longer rely on.

A client sends requests and reads responses. So a request may not be asked for more than before, and
a response may not hold less, or other values, than before.

Usage: changes.py OLD NEW; - is standard input. The status is 1 if anything breaks.
"""

import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]
Found = Iterator[str]
#: By place and name.
Parameters = Mapping[tuple[str, str], Document]

#: Keywords that bound a value, and whether a larger bound allows more.
BOUNDS = {
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), True),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), False),
}
EXACT = ("pattern", "format", "multipleOf", "uniqueItems")


def breaking(old: Document, new: Document) -> Found:
    """Name every breaking change, a line each."""
    return Comparison(old, new).paths()


class Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self.old = old
        self.new = new
        self.merged: dict[int, Document] = {}
        #: Pairs of schemas that the operation at hand has still to be compared by, and where they stand.
        self.waiting: deque[tuple[str, Document, Document, bool]] = deque()
        #: Whether two schemas are only looked at, to tell which alternatives belong together.
        self.matching = False

    def paths(self) -> Found:
        servers = [{server["url"] for server in document.get("servers", ())} for document in (self.old, self.new)]
        yield from (f"{url}: the server is removed" for url in sorted(servers[0] - servers[1]))
        # No client sends what a parameter of the path is called.
        known = {_nameless(path): path for path in self.new["paths"]}
        for path in self.old["paths"]:
            if _nameless(path) not in known:
                yield f"{path}: the path is removed"
                continue
            pairs = ((self.old, path), (self.new, known[_nameless(path)]))
            items = [resolve(document, document["paths"][name]) for document, name in pairs]
            for method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                if method in items[0]:
                    where = f"{method.upper()} {path}"
                    if method not in items[1]:
                        yield f"{where}: the operation is removed"
                    else:
                        yield from self.parameters(where, *map(self._parameters, pairs, items, [method] * 2))
                        yield from self.operation(where, items[0][method], items[1][method])
                        yield from self.schemas()

    def operation(self, where: str, old: Document, new: Document) -> Found:
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: the operation is called {new.get('operationId')}, and was {old.get('operationId')}"
        yield from self.bodies(
            where, resolve(self.old, old.get("requestBody")), resolve(self.new, new.get("requestBody"))
        )
        for status, response in old.get("responses", {}).items():
            at = f"{where}, response {status}"
            if status not in new.get("responses", {}):
                yield f"{at}: the response is removed"
            else:
                yield from self.response(at, resolve(self.old, response), resolve(self.new, new["responses"][status]))
        yield from self.security(where, old, new)

    def security(self, where: str, old: Document, new: Document) -> Found:
        """A client that was allowed before has to be allowed by one of the new alternatives."""
        before = [_asked(each) for each in old.get("security", self.old.get("security")) or [{}]]
        after = [_asked(each) for each in new.get("security", self.new.get("security")) or [{}]]
        refused = [given for given in before if not any(asked <= given for asked in after)]
        for name in sorted({name for given in refused for asked in after for name in asked - given}):
            yield f"{where}: {name} is required to be allowed"

    def _parameters(self, found: tuple[Document, str], item: Document, method: str) -> Parameters:
        """The parameters by their names, and those of the path by their places in it."""
        document, path = found
        order = re.findall("{([^{}]*)}", path)
        listed = [*item.get("parameters", ()), *item[method].get("parameters", ())]
        named = [(each["in"], each["name"], each) for each in (resolve(document, parameter) for parameter in listed)]
        return {
            (place, str(order.index(name) + 1) if place == "path" and name in order else name): each
            for place, name, each in named
        }

    def parameters(self, where: str, old: Parameters, new: Parameters) -> Found:
        for key, parameter in old.items():
            at = f"{where}, {key[0]} parameter {key[1]}"
            if key not in new:
                yield f"{at}: the parameter is removed"
                continue
            if new[key].get("required") and not parameter.get("required"):
                yield f"{at}: it is required now"
            if _style(parameter) != _style(new[key]):
                yield f"{at}: it is written otherwise now"
            yield from self.values(at, _schema(parameter), _schema(new[key]), sent=True)
        for key, parameter in new.items():
            if key not in old and parameter.get("required"):
                yield f"{where}, {key[0]} parameter {key[1]}: it is new and required"

    def bodies(self, where: str, old: Document, new: Document) -> Found:
        at = f"{where}, request body"
        if new.get("required") and not old.get("required"):
            yield f"{at}: it is required now"
        yield from self.contents(at, old, new, sent=True)

    def response(self, at: str, old: Document, new: Document) -> Found:
        for name in old.get("headers", {}):
            if name not in new.get("headers", {}):
                yield f"{at}: the header {name} is removed"
        yield from self.contents(at, old, new, sent=False)

    def contents(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        for media, content in old.get("content", {}).items():
            if media in new.get("content", {}):
                schemas = (content.get("schema", {}), new["content"][media].get("schema", {}))
                yield from self.values(at, *schemas, sent=sent)
            else:
                yield f"{at}: {media} is no longer {'accepted' if sent else 'answered'}"

    def values(self, at: str, old: Any, new: Any, *, sent: bool) -> Found:
        """Compare two schemas: of values that a client sends, or of values that it reads."""
        olds, news = list(self._choices(self.old, old)), list(self._choices(self.new, new))
        # The new contract has to accept values that clients send; clients have to know values that they read.
        needed, offered = (olds, news) if sent else (news, olds)
        for label, kind, schema in needed:
            near = [each for each in offered if each[1] in (kind, "number" if kind == "integer" else kind)]
            if any(each[1] == "any" != kind for each in offered) or (near and kind == "null"):
                continue  # There is nothing more to say of it.
            pairs = [(schema, each[2]) if sent else (each[2], schema) for each in near]
            several = [each[1] for each in needed].count(kind) > 1 or len(pairs) > 1
            if several:  # Whatever their order is.
                pairs = self._alike(pairs, [bool(label) and each[0] == label for each in near], sent=sent)
            if pairs:
                self.waiting.append((at, *pairs[0], sent))
            else:
                name = f"{kind} {label}" if label and several else kind
                yield f"{at}: {name} is no longer accepted" if sent else f"{at}: it may be {name} now"

    def _choices(self, document: Document, schema: Document | bool) -> Iterator[tuple[str, str, Document]]:
        """The alternatives of a schema, resolved: what each is called, its type, and its schema."""
        written = {} if isinstance(schema, bool) else schema
        schema = self._merge(document, resolve(document, written))
        alternatives = schema.get("anyOf") or schema.get("oneOf") or ()
        for alternative in alternatives:
            yield from self._choices(document, alternative)
        if schema.get("nullable") is True:  # As OpenAPI 3.0 writes it.
            yield "", "null", schema
        if alternatives:
            return
        kinds = schema.get("type")
        if kinds is None and ("enum" in schema or "const" in schema):
            kinds = list(dict.fromkeys(_kind(value) for value in schema.get("enum", [schema.get("const")])))
        for kind in [kinds] if isinstance(kinds, str) else kinds or ["any"]:
            yield _label(written, schema) if kind == "object" else "", kind, schema

    def _alike(self, pairs: list[tuple[Document, Document]], named: list[bool], *, sent: bool) -> list[Any]:
        """The pairs, the best first: written alike, called alike, or fitting; without any other, none."""
        written = [pair for pair in pairs if pair[0] == pair[1]]
        called = [pair for pair, same in zip(pairs, named, strict=True) if same]
        if written or called or self.matching:
            return written or called or pairs
        # By what they say themselves: what waits, and alternatives in them, does not count.
        waiting, self.waiting, self.matching = self.waiting, deque(), True
        fitting = [pair for pair in pairs if next(self._same_kind("", *pair, sent=sent), None) is None]
        self.waiting, self.matching = waiting, False
        return fitting

    def _merge(self, document: Document, schema: Document) -> Document:
        """A schema with the parts of its ``allOf`` in it, the same for the same schema."""
        if "allOf" not in schema:
            return schema
        if id(schema) not in self.merged:
            merged = {name: value for name, value in schema.items() if name != "allOf"}
            self.merged[id(schema)] = merged
            for part in schema["allOf"]:
                found = self._merge(document, resolve(document, part))
                merged |= {
                    **found,
                    "properties": merged.get("properties", {}) | found.get("properties", {}),
                    "required": [*merged.get("required", ()), *found.get("required", ())],
                }
        return self.merged[id(schema)]

    def schemas(self) -> Found:
        """Compare what waits, each pair once in an operation: schemas may hold each other, and themselves."""
        seen = {}
        while self.waiting:
            at, old, new, sent = self.waiting.popleft()
            pair = (id(old), id(new), sent)
            if pair not in seen:
                seen[pair] = old, new  # Kept, so that no other schema gets the id of one of these.
                yield from self._same_kind(at, old, new, sent=sent)

    def _same_kind(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        yield from _bounds(at, old, new, sent=sent)
        if sent and old.get("default") is not None and old["default"] != new.get("default"):
            yield f"{at}: without it, {new.get('default', 'nothing')!r} is taken, and was {old['default']!r}"
        for name, schema in old.get("properties", {}).items():
            where = f"{at}, {name}"
            if name in new.get("properties", {}):
                yield from self.values(where, schema, new["properties"][name], sent=sent)
                if not sent and name in old.get("required", ()) and name not in new.get("required", ()):
                    yield f"{where}: it may be absent now"
            else:
                yield f"{where}: the property is removed"
        if sent:
            for name in new.get("required", ()):
                if name not in old.get("required", ()):
                    known = name in old.get("properties", {})
                    yield f"{at}, {name}: it is {'' if known else 'new and '}required{' now' if known else ''}"
            if new.get("additionalProperties") is False and old.get("additionalProperties", True) is not False:
                yield f"{at}: further properties are refused now"
        if "items" in old or "items" in new:
            yield from self.values(f"{at}[]", old.get("items", {}), new.get("items", {}), sent=sent)
        extra = [schema.get("additionalProperties") for schema in (old, new)]
        if all(isinstance(schema, dict) for schema in extra):
            yield from self.values(f"{at}.*", *extra, sent=sent)


def _bounds(at: str, old: Document, new: Document, *, sent: bool) -> Found:
    """Bounds and lists of values, which may only widen for what is sent, and only narrow for what is read."""
    stronger, weaker = (new, old) if sent else (old, new)
    verb = "narrowed" if sent else "widened"
    for word, larger_allows_more in BOUNDS.items():
        strong, weak = bounds = [_bound(schema, word) for schema in (stronger, weaker)]
        if strong is not None and (weak is None or (strong < weak if larger_allows_more else strong > weak)):
            before, after = ["none" if bound is None else bound for bound in (bounds[::-1] if sent else bounds)]
            yield f"{at}: {word} is {verb}, from {before} to {after}"
    for word in EXACT:
        if stronger.get(word) not in (None, False) and stronger.get(word) != weaker.get(word):
            yield f"{at}: {word} is {new.get(word, 'none')}, and was {old.get(word, 'none')}"
    strong, weak = (_enumeration(schema) for schema in (stronger, weaker))
    if strong is not None and weak is None:
        yield f"{at}: {'only some values are accepted now' if sent else 'it may be any value now'}"
    elif strong is not None and weak is not None:
        for value in weak:
            if value not in strong:
                yield f"{at}: {value!r} is {'no longer accepted' if sent else 'a new value'}"


def _bound(schema: Document, word: str) -> Any:
    """A bound as OpenAPI 3.1 says it. In 3.0, ``exclusiveMaximum`` is a flag of ``maximum``."""
    if isinstance(schema.get(word), bool):
        return schema.get(word.replace("exclusiveM", "m")) if schema[word] else None
    return None if schema.get(f"exclusiveM{word[1:]}") is True else schema.get(word)


def _nameless(path: str) -> str:
    return re.sub("{[^{}]*}", "{}", path)


def _asked(alternative: Document) -> set[str]:
    """The names of schemes and of their scopes."""
    return {word for name, scopes in alternative.items() for word in (name, *(f"{name} {scope}" for scope in scopes))}


def _style(parameter: Document) -> tuple[str, bool]:
    """How lists and objects are written: https://spec.openapis.org/oas/v3.1.1#style-values"""
    style = parameter.get("style", "form" if parameter["in"] in ("query", "cookie") else "simple")
    return style, parameter.get("explode", style == "form")


def _label(written: Document, schema: Document) -> str:
    """What an alternative is called: the value that tells it from others, or its name."""
    parts = {name: part for name, part in schema.get("properties", {}).items() if isinstance(part, dict)}
    tags = [f"{name}={part['const']}" for name, part in parts.items() if "const" in part]
    return " ".join(tags) or str(written.get("$ref", "")).rpartition("/")[2] or schema.get("title", "")


def _schema(parameter: Document) -> Any:
    """The schema of a parameter, which may be written as text or in a media type."""
    content: Document = next(iter(parameter.get("content", {}).values()), {})
    return parameter.get("schema", content.get("schema", {}))


def _enumeration(schema: Document) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _kind(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def resolve(document: Document, value: Any) -> Any:
    while isinstance(value, Mapping) and "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value or {}


def read(file: str) -> Document:
    """The document in a file.

    :raises SystemExit: if that is no OpenAPI document.
    """
    try:
        contract = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
        if isinstance(contract["paths"], dict) and "openapi" in contract:
            return contract  # type: ignore[no-any-return]
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    except (KeyError, TypeError, ValueError):
        pass
    sys.exit(f"{file} is not an OpenAPI document in JSON.")


def main(old: str, new: str) -> None:
    """Print what breaks clients of ``old`` in ``new``, and exit with 1 if anything does."""
    documents = read(old), read(new)
    try:
        found = list(breaking(*documents))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        sys.exit(f"{old} or {new} is not valid OpenAPI: {error!r}")
    sys.stdout.writelines(f"{change}\n" for change in found)
    if found:
        sys.exit(f"{len(found)} breaking change{'s' if len(found) > 1 else ''}.")
    sys.stdout.write("Nothing breaks.\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: changes.py OLD NEW; - is standard input.")
    main(*sys.argv[1:])
