"""Breaking changes between two OpenAPI documents: what a client of the old one can no longer rely on.

A client sends requests and reads responses. So a request may not be asked for more than before, and
a response may not hold less, or other values, than before.

Usage: changes.py OLD NEW; - is standard input. The status is 1 if anything breaks.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]
Found = Iterator[str]

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

    def paths(self) -> Found:
        for path in self.old["paths"]:
            if path not in self.new["paths"]:
                yield f"{path}: the path is removed"
                continue
            items = [resolve(document, document["paths"][path]) for document in (self.old, self.new)]
            for method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                if method in items[0]:
                    where = f"{method.upper()} {path}"
                    if method not in items[1]:
                        yield f"{where}: the operation is removed"
                    else:
                        yield from self.operation(where, items[0], items[1], method)

    def operation(self, where: str, old_item: Document, new_item: Document, method: str) -> Found:
        old, new = old_item[method], new_item[method]
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: the operation is called {new.get('operationId')}, and was {old.get('operationId')}"
        given = self._parameters(self.old, old_item, old), self._parameters(self.new, new_item, new)
        yield from self.parameters(where, *given)
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
        before = old.get("security", self.old.get("security")) or [{}]
        after = new.get("security", self.new.get("security")) or [{}]
        refused = [given for given in before if not any(asked.keys() <= given.keys() for asked in after)]
        for name in sorted({name for given in refused for asked in after for name in asked.keys() - given.keys()}):
            yield f"{where}: {name} is required to be allowed"

    def _parameters(self, document: Document, item: Document, operation: Document) -> dict[tuple[str, str], Any]:
        listed = [*item.get("parameters", ()), *operation.get("parameters", ())]
        found = [resolve(document, parameter) for parameter in listed]
        return {(parameter["in"], parameter["name"]): parameter for parameter in found}

    def parameters(self, where: str, old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Found:
        for key, parameter in old.items():
            at = f"{where}, {key[0]} parameter {key[1]}"
            if key not in new:
                yield f"{at}: the parameter is removed"
                continue
            if new[key].get("required") and not parameter.get("required"):
                yield f"{at}: it is required now"
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

    def values(self, at: str, old: Any, new: Any, *, sent: bool, seen: frozenset[Any] = frozenset()) -> Found:
        """Compare two schemas: of values that a client sends, or of values that it reads."""
        olds, news = self._choices(self.old, old), self._choices(self.new, new)
        # The new contract has to accept values that clients send; clients have to know values that they read.
        needed, offered = (olds, news) if sent else (news, olds)
        for kind, schema in needed.items():
            fitting = offered.get(kind, offered.get("number") if kind == "integer" else None)
            if fitting is None:
                if "any" not in offered:
                    yield f"{at}: {kind} is no longer accepted" if sent else f"{at}: it may be {kind} now"
            elif kind != "null":  # Of null there is nothing more to say.
                pairs = (schema, fitting) if sent else (fitting, schema)
                yield from self._same_kind(at, *pairs, sent=sent, seen=seen)

    def _choices(self, document: Document, schema: Document | bool) -> dict[str, Any]:
        """The schema by the types that it allows, its alternatives and parts resolved."""
        schema = self._merge(document, resolve(document, {} if isinstance(schema, bool) else schema))
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            found: dict[str, Any] = {}
            for number, alternative in enumerate(alternatives):
                for kind, choice in self._choices(document, alternative).items():
                    title = choice.get("title", number) if kind in ("object", "any") else ""
                    found[kind if kind not in found else f"{kind} {title}"] = choice
            return found
        kinds = schema.get("type")
        if kinds is None and ("enum" in schema or "const" in schema):
            values = schema.get("enum", [schema.get("const")])
            kinds = list(dict.fromkeys(_kind(value) for value in values))
        return dict.fromkeys([kinds] if isinstance(kinds, str) else kinds or ["any"], schema)

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

    def _same_kind(self, at: str, old: Document, new: Document, *, sent: bool, seen: frozenset[Any]) -> Found:
        pair = (id(old), id(new))  # Schemas that hold themselves come back here.
        if pair in seen:
            return
        seen |= {pair}
        yield from _bounds(at, old, new, sent=sent)
        for name, schema in old.get("properties", {}).items():
            where = f"{at}, {name}"
            if name in new.get("properties", {}):
                yield from self.values(where, schema, new["properties"][name], sent=sent, seen=seen)
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
            yield from self.values(f"{at}[]", old.get("items", {}), new.get("items", {}), sent=sent, seen=seen)
        extra = [schema.get("additionalProperties") for schema in (old, new)]
        if all(isinstance(schema, dict) for schema in extra):
            yield from self.values(f"{at}.*", *extra, sent=sent, seen=seen)


def _bounds(at: str, old: Document, new: Document, *, sent: bool) -> Found:
    """Bounds and lists of values, which may only widen for what is sent, and only narrow for what is read."""
    stronger, weaker = (new, old) if sent else (old, new)
    verb = "narrowed" if sent else "widened"
    for word, larger_allows_more in BOUNDS.items():
        strong, weak = stronger.get(word), weaker.get(word)
        if strong is not None and (weak is None or (strong < weak if larger_allows_more else strong > weak)):
            yield f"{at}: {word} is {verb}, from {old.get(word, 'none')} to {new.get(word, 'none')}"
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
