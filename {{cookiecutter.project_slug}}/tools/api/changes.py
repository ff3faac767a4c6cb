"""Breaking changes between two OpenAPI documents: what a client of the old one can no longer rely on.

A client sends requests and reads responses. So a request may not be asked for more than before, and
a response may not hold less, or other values, than before.

Usage: changes.py OLD NEW; - is standard input. The status is 1 if anything breaks.

OLD may be the folder of a service that calls this one. Then what its client was made from is compared,
and a line is printed for each line of its code that calls an operation which breaks.
"""

import ast
import json
import math
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, product, zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

Document = Mapping[str, Any]
Found = Iterator[str]
#: By place and name.
Parameters = Mapping[tuple[str, str], Document]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: What follows min or max in keywords that bound a value, and the types of these values.
BOUNDS = {"imum": "integer number", "Length": "string", "Items": "array", "Contains": "array", "Properties": "object"}
#: Keywords that are only compared as they stand.
EXACT = [
    *("pattern", "format", "contentEncoding", "contentMediaType", "multipleOf", "uniqueItems", "not", "if", "then"),
    *("else", "contains", "propertyNames", "dependentRequired", "dependentSchemas", "contentSchema"),
]
#: Keywords that say nothing of a value.
WORDS = {"title", "description", "summary", "example", "examples", "deprecated", "externalDocs", "xml", "$comment"}
WORDS |= {"$ref", "allOf", "$defs", "$id", "$schema"}
NOTES = WORDS | {"discriminator", "nullable", "readOnly", "writeOnly"}
#: Alternatives of a schema that are not looked at any more, and pairs of them where two lists hold together.
MANY, PAIRS = 500, 64
#: Schemas that are looked at for an operation, which takes a second or two; after operations that need more, at least.
MOST, LEAST = 500_000, 30_000
#: Formats that hold all values of another one.
WIDER = (("int32", "int64"), ("int32", "double"), ("float", "double"))
SCHEMA = "#/components/schemas/"
#: The servers of a contract that names none.
HERE: Any = [{"url": "/"}]
NOTHING: Document = {}
NEVER: Document = {"enum": []}


class Choice(NamedTuple):
    """An alternative of a schema: the members that tell it from others, its name, its type, and its schema."""

    tags: Mapping[str, Any]
    name: str
    kind: str
    schema: Document

    @property
    def label(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.tags.items()) or self.name


class TooMuchError(ValueError):
    """Schemas hold each other in more ways than anybody can wait for."""


def breaking(old: Document, new: Document) -> Found:
    """Name every breaking change, a line each."""
    return iter(dict.fromkeys(() if _text(old) == _text(new) else Comparison(old, new).paths()))


class Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self.old = old
        self.new = _named_as_before(old, new)
        #: What was made of schemas, by their ids, and these schemas, so that no other one gets their ids.
        self.made: dict[Any, tuple[Any, Document]] = {}
        self.told: dict[Any, tuple[Any, list[Choice]]] = {}
        #: What breaks in pairs of schemas themselves, and the pairs in them; and these schemas.
        self.compared: dict[Any, tuple[Any, list[str], deque[Any]]] = {}
        #: Pairs of schemas that the operation at hand has still to be compared by, and where they stand.
        self.waiting: deque[tuple[str, Any, Document, Document]] = deque()
        #: Those that break nothing, nor does what they hold.
        self.equal: set[Any] = set()
        #: Whether two schemas are only looked at, to tell which alternatives belong together.
        self.matching = False
        #: Of references that refer to the same in both, what that refers to; of others, None.
        self.same: dict[str, set[str] | None] = {}
        #: How many schemas may be looked at for an operation, and still for the one at hand.
        self.most = self.left = MOST

    def paths(self) -> Found:
        # No client sends what a parameter of the path is called.
        known = {_nameless(path): path for path in self.new["paths"]}
        for path in [path for path in self.old["paths"] if not path.startswith("x-")]:
            name = path if path in self.new["paths"] else known.get(_nameless(path))
            if name is None:
                yield f"{path}: the path is removed"
                continue
            pairs = ((self.old, path), (self.new, name))
            items = [resolve(document, document["paths"][name]) for document, name in pairs]
            for method in METHODS:
                where = f"{method.upper()} {path}"
                if method in items[0] and method not in items[1]:
                    yield f"{where}: the operation is removed"
                elif method in items[0] and not (path == name and self._equal(*items, method)):
                    parameters = map(self._parameters, pairs, items, [method] * 2)
                    yield from self.bounded(where, method, parameters, *items)

    def bounded(self, where: str, method: str, parameters: Iterable[Parameters], old: Document, new: Document) -> Found:
        """What breaks in an operation, as far as it can be compared."""
        self.left = self.most
        try:
            yield from _servers(where, (old[method], old, self.old), (new[method], new, self.new))
            yield from self.parameters(where, *parameters)
            yield from self.operation(where, old[method], new[method])
            yield from self.schemas()
        except (RecursionError, TooMuchError) as error:
            self.waiting, self.matching = deque(), False
            if isinstance(error, TooMuchError):
                self.most = max(self.most // 2, LEAST)
            yield f"{where}: its schemas are too many to be compared to the end, which counts as a change"

    def _equal(self, old: Document, new: Document, method: str) -> bool:
        """Whether nothing changed of what an operation is made of, and of what that refers to."""
        olds, news = ([told.get(word) for word in ("parameters", "servers", method)] for told in (old, new))
        if _text([olds, _shared(self.old)]) != _text([news, _shared(self.new)]):
            return False
        seen, waiting = set[str](), _references([olds, _shared(self.old)])
        while waiting:
            seen |= waiting
            if not all(map(self._same, waiting)):
                return False
            waiting = {each for name in waiting for each in self.same[name] or ()} - seen
        return True

    def _same(self, reference: str) -> bool:
        """Whether a reference refers to the same in both; to what that refers is kept."""
        if reference not in self.same:
            try:
                old, new = (_target(document, reference) for document in (self.old, self.new))
                self.same[reference] = _references(old) if _text(old) == _text(new) else None
            except (LookupError, TypeError, ValueError):  # It may be a word of an example.
                self.same[reference] = None
        return self.same[reference] is not None

    def _look(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooMuchError

    def operation(self, where: str, old: Document, new: Document) -> Found:
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: the operation is called {new.get('operationId')}, and was {old.get('operationId')}"
        yield from self.bodies(
            where, resolve(self.old, old.get("requestBody")), resolve(self.new, new.get("requestBody"))
        )
        yield from self.responses(where, _statuses(self.old, old), _statuses(self.new, new))
        yield from self.security(where, old, new)

    def security(self, where: str, old: Document, new: Document) -> Found:
        """A client that was allowed before has to be allowed by one of the new alternatives."""
        before = [_asked(self.old, each) for each in old.get("security", self.old.get("security")) or [{}]]
        after = [_asked(self.new, each) for each in new.get("security", self.new.get("security")) or [{}]]
        refused = [given for given in before if not any(asked.keys() <= given.keys() for asked in after)]
        names = {name for given in refused for asked in after for key, name in asked.items() if key not in given}
        yield from (f"{where}: {name} is required to be allowed" for name in sorted(names))

    def _parameters(self, found: tuple[Document, str], item: Document, method: str) -> Parameters:
        """The parameters by their names, and those of the path by their places in it."""
        document, path = found
        order = re.findall("{([^{}]*)}", path)
        listed = [*item.get("parameters", ()), *item[method].get("parameters", ())]
        named = [(each["in"], each["name"], each) for each in (resolve(document, parameter) for parameter in listed)]
        return {
            (
                place,
                str(order.index(name) + 1)
                if place == "path" and name in order
                else name.lower()
                if place == "header"
                else name,
            ): each
            for place, name, each in named
            if place != "header" or name.lower() not in ("accept", "authorization", "content-type")
        }

    def parameters(self, where: str, old: Parameters, new: Parameters) -> Found:
        for key, parameter in old.items():
            at = f"{where}, {key[0]} parameter {key[1]}"
            if key not in new:
                yield f"{at}: the parameter is removed"
                continue
            if new[key].get("required") and not parameter.get("required"):
                yield f"{at}: it is required now"
            if parameter.get("allowReserved") and not new[key].get("allowReserved"):
                yield f"{at}: reserved signs have to be encoded now"
            if parameter.get("allowEmptyValue") and not new[key].get("allowEmptyValue"):
                yield f"{at}: it may not be empty now"
            if self._rewritten(key[0], parameter, new[key]):
                yield f"{at}: it is written otherwise now"
            if not parameter.get("required"):
                yield from self._default(at, _schema(parameter), _schema(new[key]))
            yield from self.values(at, _schema(parameter), _schema(new[key]), sent=True)
        for key, parameter in new.items():
            if key not in old and parameter.get("required"):
                yield f"{where}, {key[0]} parameter {key[1]}: it is new and required"

    def _rewritten(self, place: str, old: Document, new: Document) -> bool:
        """Whether a value is written otherwise: https://spec.openapis.org/oas/v3.1.1#style-values"""
        styles, explodes = [], []
        for document, told in ((self.old, old), (self.new, new)):
            style = told.get("style", "form" if place in ("query", "cookie") else "simple")
            styles.append([style, *map(_media, told.get("content", ()))])
            kinds = {choice.kind for choice in islice(self._choices(document, _schema(told)), MANY)}
            # What is neither a list nor an object is written as it is.
            if kinds & {"object", "any", *([] if style == "simple" else ["array"])} and style != "deepObject":
                explodes.append(bool(told.get("explode", style == "form")))
        return styles[0] != styles[1] or explodes in ([True, False], [False, True])

    def _default(self, at: str, old: Any, new: Any) -> Found:
        """What stands for a value that a client leaves out may not change."""
        before, after = (self._flat(*each) for each in ((self.old, old), (self.new, new)))
        kept = before.get("default") == after.get("default", NOTHING)
        # To Python, 0 is False.
        if "default" in before and not (kept and type(before["default"]) is type(after["default"])):
            told = after.get("default", "nothing")
            yield f"{at}: without it, {told!r} is taken, and was {before['default']!r}"

    def bodies(self, where: str, old: Document, new: Document) -> Found:
        at = f"{where}, request body"
        if new.get("required") and not old.get("required"):
            yield f"{at}: it is required now"
        yield from self.contents(at, old, new, sent=True)

    def responses(self, where: str, old: Document, new: Document) -> Found:
        """A range, such as 4XX, or the default may become some of its statuses, and these may become it.

        Of successes, these may not: clients know no other one than the contract says.
        """
        added = new.keys() - old.keys()
        for status, response in old.items():
            at = f"{where}, response {status}"
            if near := _described(new, status, exact=status[0] == "2"):
                yield from self.response(at, response, new[near])
            elif not any(status == "default" or (status[1:] == "XX" and each[0] == status[0]) for each in added):
                yield f"{at}: the response is removed"
        for status in sorted(added):
            at = f"{where}, response {status}"
            if near := _described(old, status):
                yield from self.response(at, old[near], new[status])
            elif status[0] == "2":
                yield f"{at}: it may be answered now"

    def response(self, at: str, old: Document, new: Document) -> Found:
        headers = [
            {name.lower(): (name, resolve(document, header)) for name, header in response.get("headers", {}).items()}
            for document, response in ((self.old, old), (self.new, new))
        ]
        for key, (name, header) in headers[0].items():
            if key not in headers[1]:
                yield f"{at}: the header {name} is removed"
                continue
            other = headers[1][key][1]
            if header.get("required") and not other.get("required"):
                yield f"{at}, header {name}: it may be absent now"
            if self._rewritten("header", header, other):
                yield f"{at}, header {name}: it is written otherwise now"
            yield from self.values(f"{at}, header {name}", _schema(header), _schema(other), sent=False)
        yield from self.contents(at, old, new, sent=False)

    def contents(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        known = {_media(media): content for media, content in new.get("content", {}).items()}
        for media, content in old.get("content", {}).items():
            kind = _media(media)
            others = [known[each] for each in _ranges(kind) if each in known][:1]
            if not sent and kind not in known:
                others = [known[each] for each in known if kind in _ranges(each)]
            if not others:
                yield f"{at}: {media} is no longer {'accepted' if sent else 'answered'}"
            for other in others:
                # OpenAPI 3.1 says nothing of bytes that are the whole content.
                if re.search(r"json|xml|form|text|yaml|\*", kind) or ("schema" in content and "schema" in other):
                    yield from self.values(at, content.get("schema", {}), other.get("schema", {}), sent=sent)
                yield from self._encodings(at, content, other, sent=sent)

    def _encodings(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        """Compare how the members of a form are written."""
        for name in dict.fromkeys([*old.get("encoding", ()), *new.get("encoding", ())]):
            told = [content.get("encoding", {}).get(name, {}) for content in (old, new)]
            styles = [(each.get("style", "form"), each.get("explode", True)) for each in told]
            accepted = [_media(each) for each in told[sent].get("contentType", "*/*").split(",")]
            document, form = (self.old, old) if sent else (self.new, new)
            part = self._flat(document, form.get("schema", {})).get("properties", {}).get(name, {})
            part = self._flat(document, part)
            part = self._flat(document, part["items"]) if "items" in part else part
            written = told[not sent].get("contentType") or _part_type(part)
            given = [_media(each) for each in written.split(",")]
            if styles[0] != styles[1] or not all(any(each in _ranges(one) for each in accepted) for one in given):
                yield f"{at}, {name}: it is written otherwise now"

    def values(self, at: str, old: Any, new: Any, *, sent: bool) -> Found:
        """Compare two schemas: of values that a client sends, or of values that it reads."""
        flat = [self._flat(*pair) for pair in ((self.old, old), (self.new, new))]
        names = [schema.get("discriminator", {}).get("propertyName") for schema in flat]
        if all(names) and names[0] != names[1]:
            yield f"{at}: {names[1]} tells which alternative it is, and was {names[0]}"
        olds, news = self._alternatives(self.old, old), self._alternatives(self.new, new)
        # The new contract has to accept values that clients send; clients have to know values that they read.
        needed, offered = (olds, news) if sent else (news, olds)
        for one in needed:
            near = [each for each in offered if each.kind in (one.kind, "number" if one.kind == "integer" else "")]
            if near and one.kind == "null":
                continue
            free = [each.schema for each in offered if each.kind == "any" != one.kind]
            if free:
                yield from _bounds(at, one.kind, *((one.schema, free[0]) if sent else (free[0], one.schema)), sent=sent)
                continue
            several = [each.kind for each in needed].count(one.kind) > 1 or len(near) > 1
            if several:  # Whatever their order is.
                near = self._alike(one, near, sent=sent)
            if near:
                pair = (one.schema, near[0].schema) if sent else (near[0].schema, one.schema)
                if pair[0] != pair[1] or one.kind in ("object", "array", "any"):
                    self.waiting.append((at, (one.kind, *map(id, pair), sent, self.matching), *pair))
            else:
                name = f"{one.kind} {one.label}" if one.label and several else one.kind
                yield f"{at}: {name} is no longer accepted" if sent else f"{at}: it may be {name} now"

    def _alternatives(self, document: Document, written: Any) -> list[Choice]:
        """The alternatives of a schema, which is looked at once."""
        key = (id(written), document is self.old)
        if key not in self.told:
            self.told[key] = written, _joined(self._choices(document, written))
        return self.told[key][1]

    def _choices(
        self, document: Document, written: Any, tags: Document = NOTHING, within: frozenset[int] = frozenset()
    ) -> Iterator[Choice]:
        """The alternatives of a schema, each of one type; an alternative may refer to what it is an alternative of."""
        schema = self._flat(document, written)
        if schema.get("nullable") is True:  # As OpenAPI 3.0 writes it.
            yield Choice({}, "", "null", {})
        if word := next(
            (word for word in ("anyOf", "oneOf") if schema.get(word) and id(schema[word]) not in within), ""
        ):
            # What stands beside the alternatives holds for each of them.
            rest = {name: value for name, value in schema.items() if name not in NOTES | {word} and name[:2] != "x-"}
            beside = self.made.setdefault((id(schema), word), (schema, rest))[1]
            for alternative in schema[word]:
                reference = str(alternative.get("$ref", "")) if isinstance(alternative, Mapping) else ""
                for each in [tags] if tags else self._told(document, schema.get("discriminator") or {}, reference):
                    both = {"allOf": [beside, alternative]}
                    for choice in self._choices(document, both, each, within | {id(schema[word])}):
                        yield choice._replace(name=reference.rpartition("/")[2] or choice.name)
            return
        for kind in _kinds(schema):
            if kind == "object":
                parts = {name: self._flat(document, part) for name, part in schema.get("properties", {}).items()}
                fixed = {name: _enumeration(part) for name, part in parts.items()}
                found = {name: values[0] for name, values in fixed.items() if values and len(values) == 1}
                yield Choice(found | dict(tags), schema.get("title", ""), kind, schema)
            else:
                yield Choice({}, "", kind, schema)

    def _told(self, document: Document, discriminator: Document, reference: str) -> list[Document]:
        """The values by which a discriminator tells an alternative from others: of its mapping, its own, or its name."""
        member = discriminator.get("propertyName")
        if not reference or member is None:
            return [NOTHING]
        name = document.get("names", {}).get(reference) or reference.rpartition("/")[2]
        values = [value for value, target in discriminator.get("mapping", {}).items() if target in (reference, name)]
        part = self._flat(document, {"$ref": reference}).get("properties", {}).get(member)
        own = _enumeration(self._flat(document, part)) or ()
        return [{member: value} for value in values or (own if len(own) == 1 else [name])]

    def _alike(self, one: Choice, near: list[Choice], *, sent: bool) -> list[Choice]:
        """Those that members tell to be the same, or that are written, called or fitting alike; without any, none."""
        self._look(len(near))
        if apart := [each for each in near if each.tags.keys() & one.tags.keys()]:
            near = [each for each in apart if {**one.tags, **each.tags} == {**each.tags, **one.tags}]
            if len(near) < 2:
                return near
        written = [each for each in near if each.schema == one.schema]
        called = [each for each in near if one.name and each.name == one.name]
        if written or called or self.matching:
            return written or called or near
        # By what they hold, or else by what they say themselves; alternatives in them do not count.
        waiting, self.matching = self.waiting, True
        found: list[Choice] = []
        for most in (PAIRS, 0):
            for each in () if found else near:
                self.waiting = deque()
                pair = (one.schema, each.schema) if sent else (each.schema, one.schema)
                differing = chain(self._same_kind("", one.kind, *pair, sent=sent), self.schemas(most))
                found += [each] if next(differing, None) is None else []
        self.waiting, self.matching = waiting, False
        said = [[each.schema.get(word) for word in ("title", "description")] for each in (one, *found)]
        return [each for each, words in zip(found, said[1:], strict=True) if words == said[0]] or found

    def _flat(self, document: Document, schema: Any) -> Document:
        """A schema with what it refers to, and the parts of its ``allOf``, in it; the same for the same schema."""
        place = (id(schema), document is self.old, "flat")
        if place not in self.made:
            self.made[place] = schema, self._merged(document, schema)
        return self.made[place][1]

    def _merged(self, document: Document, schema: Any) -> Document:
        found: dict[int, Document] = {}
        _parts(document, schema, found)
        self._look(len(found))
        parts = [part for part in found.values() if any(word not in WORDS and word[:2] != "x-" for word in part)]
        if len(parts) == 1 and not parts[0].keys() & {"$ref", "allOf"}:
            return parts[0]
        key = frozenset(map(id, parts))
        if key not in self.made:
            made: Document = NOTHING
            for part in parts:
                made = _both(made, part)
            self.made[key] = parts, made
        return self.made[key][1]

    def schemas(self, most: float = math.inf) -> Found:
        """Compare what waits, each pair once in an operation: schemas may hold each other, and themselves."""
        seen, broken = set[Any](), False
        while self.waiting and len(seen) < most:
            at, pair, old, new = self.waiting.popleft()
            if pair in seen or pair in self.equal:
                continue
            seen.add(pair)
            if pair not in self.compared:
                waiting, self.waiting = self.waiting, deque()
                found = [*self._same_kind("", pair[0], old, new, sent=pair[3])]
                self.compared[pair] = (old, new), found, self.waiting
                self.waiting = waiting
            _, found, inner = self.compared[pair]
            self._look(len(inner))
            yield from (at + line for line in found)
            self.waiting.extend((at + place, *rest) for place, *rest in inner if rest[0] not in seen)
            broken = broken or bool(found)
        if not broken and not self.waiting:
            self.equal |= seen

    def _same_kind(self, at: str, kind: str, old: Document, new: Document, *, sent: bool) -> Found:
        if old != new:
            yield from _bounds(at, kind, old, new, sent=sent)
        if kind in ("object", "any"):
            yield from self._members(at, old, new, sent=sent)
        if kind in ("array", "any"):
            heads = [schema.get("prefixItems", ()) for schema in (old, new)]
            for place in range(max(map(len, heads))):
                items = [
                    head[place] if place < len(head) else schema.get("items", NOTHING)
                    for head, schema in zip(heads, (old, new), strict=True)
                ]
                yield from self.values(f"{at}[{place}]", *items, sent=sent)
            yield from self.values(f"{at}[]", old.get("items", NOTHING), new.get("items", NOTHING), sent=sent)

    def _members(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        olds, news = old.get("properties", {}), new.get("properties", {})
        # Requests do not hold what is readOnly, and responses not what is writeOnly.
        word = "readOnly" if sent else "writeOnly"
        hidden = [
            {name for name, part in parts.items() if self._flat(document, part).get(word) is True}
            for document, parts in ((self.old, olds), (self.new, news))
        ]
        before, after = (list(schema.get("required", ())) for schema in (old, new))
        before = [name for name in before if name not in hidden[0]]
        for name, schema in olds.items():
            if name in hidden[0]:
                continue
            where = f"{at}, {name}"
            if name in news:
                if name in hidden[1]:
                    yield f"{where}: it is {word} now"
                if sent and name not in before:
                    yield from self._default(where, schema, news[name])
                yield from self.values(where, schema, news[name], sent=sent)
            else:
                yield f"{where}: the property is removed"
        if sent:
            for name in after:
                if name not in before and name not in hidden[1]:
                    known = name in olds
                    yield f"{at}, {name}: it is {'' if known else 'new and '}required{' now' if known else ''}"
        else:
            yield from (
                f"{at}, {name}: it may be absent now"
                for name in before
                if name not in after and (name in news or name not in olds)
            )
        extra = [schema.get("additionalProperties", schema.get("unevaluatedProperties", True)) for schema in (old, new)]
        if extra[1] is False and sent and extra[0] is not False:
            yield f"{at}: further properties are refused now"
        elif extra[0] not in (True, {}, False) or (sent and extra[0] is not False):
            yield from self.values(f"{at}.*", *extra, sent=sent)
        patterns = [schema.get("patternProperties", {}) for schema in (old, new)]
        for name in [name for name in news if name not in olds and name not in hidden[1]]:
            # What had no name of its own was one of these.
            given = next((part for pattern, part in patterns[0].items() if _matches(pattern, name)), extra[0])
            if given not in (True, {}, False):
                yield from self.values(f"{at}, {name}", given, news[name], sent=sent)
        for pattern in sorted(patterns[0].keys() | patterns[1].keys()):
            both = (each.get(pattern, other) for each, other in zip(patterns, extra, strict=True))
            yield from self.values(f"{at}.{pattern}", *both, sent=sent)


def _bounds(at: str, kind: str, old: Document, new: Document, *, sent: bool) -> Found:
    """Bounds and lists of values, which may only widen for what is sent, and only narrow for what is read."""
    stronger, weaker = (new, old) if sent else (old, new)
    verb = "narrowed" if sent else "widened"
    values, accepted = _enumeration(weaker, kind), _enumeration(stronger, kind)
    if values is not None:  # Then no other bound of these matters.
        for value in values:
            if value not in (values if accepted is None else accepted) or not _fits(value, kind, stronger):
                yield f"{at}: {value!r} is {'no longer accepted' if sent else 'a new value'}"
        return
    if accepted is not None:
        yield f"{at}: {'only some values are accepted now' if sent else 'it may be any value now'}"
    for word in [f"{end}{of}" for of, kinds in BOUNDS.items() if kind in f"any {kinds}" for end in ("max", "min")]:
        (strong, excluded), (weak, beyond) = (_limit(schema, word, kind) for schema in (stronger, weaker))
        sign = 1 if word.startswith("max") else -1
        if strong is not None and (weak is None or (strong * sign, not excluded) < (weak * sign, not beyond)):
            before, after = [
                "none" if bound is None else bound for bound in ((weak, strong) if sent else (strong, weak))
            ]
            name = f"exclusiveM{word[1:]}" if excluded else word
            yield f"{at}: {name} is {verb}, from {before} to {after}"
    for word in EXACT:
        asked, told = (_exact(schema, word) for schema in (stronger, weaker))
        if not all(any(_holds(word, one, other) for one in told) for other in asked):
            yield f"{at}: {word} is {new.get(word, 'none')}, and was {old.get(word, 'none')}"


def _limit(schema: Document, word: str, kind: str) -> tuple[Any, bool]:
    """The largest or smallest number or size, and whether it is excluded itself, as OpenAPI 3.0 or 3.1 says it."""
    exclusive = schema.get(f"exclusiveM{word[1:]}")
    said = word in schema and (schema[word] or word[3:] == "imum" or word.startswith("max"))
    found = [(schema[word], exclusive is True)] if said else []
    if exclusive is not None and not isinstance(exclusive, bool):
        found.append((exclusive, True))
    if not found:
        return None, False
    sign = 1 if word.startswith("max") else -1
    limit, excluded = min(found, key=lambda each: (each[0] * sign, not each[1]))
    if kind == "integer":  # Below 9 is at most 8.
        inside = math.floor(limit * sign)
        return (inside - (excluded and inside == limit * sign)) * sign, False
    return limit, excluded


def _fits(value: Any, kind: str, schema: Document) -> bool:
    """Whether a value of a list is within bounds."""
    if kind in ("integer", "number"):
        (most, below), (least, above) = (_limit(schema, word, kind) for word in ("maximum", "minimum"))
        return (most is None or value < most or (value == most and not below)) and (
            least is None or value > least or (value == least and not above)
        )
    if kind != "string":
        return True
    matched = all(_matches(pattern, value) for pattern in _exact(schema, "pattern"))
    return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)) and matched)


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # It is written for JavaScript.
        return True


def _exact(schema: Document, word: str) -> list[Any]:
    """What a keyword asks for, in each part of the schema, as OpenAPI 3.1 writes it; a password is a text."""
    form, asked = schema.get("format"), schema.get(word)
    if word == "contentEncoding" and form == "byte":
        return ["base64"]
    if word == "contentMediaType" and form == "binary":
        return ["application/octet-stream"]
    hints = ("binary", "byte", "password") if word == "format" else ()
    several = asked if isinstance(asked, list) else [asked]
    return [each for each in several if each is not None and each is not False and each not in hints]


def _holds(word: str, told: Any, asked: Any) -> bool:
    """Whether the values for which a keyword says the one fit the other."""
    if word == "multipleOf" and asked:
        return math.isclose(told / asked, round(told / asked))
    return told == asked or (told, asked) in WIDER


def _parts(document: Document, schema: Any, found: dict[int, Document]) -> None:
    """Find the schemas that hold together with this one: what it refers to, and its ``allOf``."""
    if not isinstance(schema, Mapping):
        schema = NEVER if schema is False else NOTHING
    if id(schema) not in found:
        found[id(schema)] = schema
        if isinstance(schema.get("$ref"), str):
            _parts(document, _target(document, schema["$ref"]), found)
        for part in schema.get("allOf", ()):
            _parts(document, part, found)


def _both(one: Document, other: Document) -> Document:
    """A schema of what holds in both."""
    one, other = _exclusive(one), _exclusive(other)
    made = {**other, **one}
    for word in one.keys() & other.keys() - NOTES:
        first, second = one[word], other[word]
        if first == second:
            continue
        if word in ("properties", "patternProperties"):
            shared = {name: {"allOf": [first[name], second[name]]} for name in first.keys() & second.keys()}
            made[word] = {**second, **first, **shared}
        elif word == "required":
            made[word] = [*dict.fromkeys([*first, *second])]
        elif word == "items":
            made[word] = {"allOf": [first, second]}
        elif word == "enum":
            made[word] = [value for value in first if value in second]
        elif word == "type":
            kinds = [[kind] if isinstance(kind, str) else kind for kind in (first, second)]
            made[word] = [kind for kind in kinds[0] if kind in kinds[1] or (kind == "integer" and "number" in kinds[1])]
        elif word in ("anyOf", "oneOf") and len(first) * len(second) <= PAIRS:
            made[word] = [{"allOf": pair} for pair in product(first, second)]
        elif word.startswith(("max", "exclusiveMax")):
            made[word] = min(first, second)
        elif word.startswith(("min", "exclusiveMin")):
            made[word] = max(first, second)
        elif word == "additionalProperties":
            made[word] = False if False in (first, second) else {"allOf": [first, second]}
        elif word == "prefixItems":
            made[word] = [{"allOf": pair} for pair in zip_longest(first, second, fillvalue=True)]
        elif word in EXACT:  # Each of them has to hold.
            made[word] = [*_exact(one, word), *_exact(other, word)]
    return made


def _exclusive(schema: Document) -> Document:
    """A schema with exclusive bounds as OpenAPI 3.1 writes them: in 3.0, each is about its own bound alone."""
    told = {
        word: schema[word] for word in ("exclusiveMaximum", "exclusiveMinimum") if isinstance(schema.get(word), bool)
    }
    bounds = {word: schema[word[9:].lower()] for word, said in told.items() if said and word[9:].lower() in schema}
    left = {*told, *(word[9:].lower() for word in bounds)}
    return {word: value for word, value in schema.items() if word not in left} | bounds if told else schema


def _kinds(schema: Document) -> list[str]:
    kinds, values = schema.get("type"), _enumeration(schema)
    if kinds is not None:
        return [kinds] if isinstance(kinds, str) else list(kinds)
    if values is not None:
        return [*dict.fromkeys(map(_kind, values))]
    if schema.keys() & {"properties", "required", "additionalProperties", "patternProperties"}:
        return ["object"]
    return ["array"] if schema.keys() & {"items", "prefixItems"} else ["any"]


def _joined(choices: Iterable[Choice]) -> list[Choice]:
    """The alternatives, and those that are lists of values of one type as one."""
    found = list(islice(choices, MANY))
    if len(found) == MANY:
        raise TooMuchError
    for kind in ("string", "integer", "number", "boolean") if len(found) > 1 else ():
        listed = [(each, values) for each in found if each.kind == kind and (values := _enumeration(each.schema, kind))]
        others = [each for each in found if not any(each is one for one, _ in listed)]
        if len(listed) + sum(each.kind == kind for each in others) > 1 and listed:
            open_ = [each.schema for each in others if each.kind == kind]
            values = [v for _, several in listed for v in several if not any(_fits(v, kind, one) for one in open_)]
            joined = {**listed[0][0].schema, "enum": values}
            joined.pop("const", None)
            found = [*others, *([Choice({}, "", kind, joined)] if values else [])]
    return found


def _text(value: Any) -> str:
    """A value to compare: in Python, 1 is True."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _named_as_before(old: Document, new: Document) -> Document:
    """The new document where schemas have the names of those in their places in the old one.

    If more than names changed, only schemas that are new have names of schemas that are gone.
    """
    olds, news = ((document.get("components") or {}).get("schemas") or {} for document in (old, new))
    waiting = deque[Any]([(old, new)] if olds != news else [])
    names: dict[str, str] = {}
    same = True
    while waiting:
        one, other = waiting.popleft()
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            waiting.extendleft((one[name], other[name]) for name in one if name in other and name != "schemas")
        elif isinstance(one, list) and isinstance(other, list):  # Looked at later: it may have another order.
            waiting.extend(zip(one, other, strict=False))
        elif str(one).startswith(SCHEMA) and str(other).startswith(SCHEMA):
            before, name = (reference.removeprefix(SCHEMA).partition("/")[0] for reference in (one, other))
            if before in olds and name in news and name not in names and before not in names.values():
                names[name] = before
                waiting.appendleft((olds[before], news[name]))
            same = same and names.get(name, name) == before
    if not same:
        names = {name: before for name, before in names.items() if name not in olds and before not in news}
    if all(name == before for name, before in names.items()):
        return new
    names = {name: f"{name}*" if name in names.values() else name for name in news} | names

    def renamed(told: dict[str, Any]) -> dict[str, Any]:
        for word, value in told.items():
            if isinstance(value, str) and value.startswith(SCHEMA):
                name, slash, rest = value.removeprefix(SCHEMA).partition("/")
                told[word] = SCHEMA + names.get(name, name) + slash + rest
        # An alternative may be told by its own name, so that these are not the same.
        return told | {"names": {}} if isinstance(told.get("propertyName"), str) else told

    made: dict[str, Any] = json.loads(json.dumps(new), object_hook=renamed)
    made["components"]["schemas"] = {names[name]: told for name, told in made["components"]["schemas"].items()}
    return made | {"names": {SCHEMA + before: name for name, before in names.items()}}


def _references(value: Any) -> set[str]:
    return {json.loads(found) for found in re.findall(r'"\$ref": ("(?:[^"\\]|\\.)*")', _text(value))}


def _shared(document: Document) -> list[Any]:
    """What operations are made of and do not refer to."""
    return [
        document.get("servers") or (),
        document.get("security"),
        (document.get("components") or {}).get("securitySchemes"),
    ]


def _servers(where: str, old: Sequence[Document], new: Sequence[Document]) -> Found:
    """Compare the servers of an operation, which else are those of its path, of the document, or of this host."""
    urls = [
        [
            text
            for server in next((level["servers"] for level in levels if level.get("servers")), HERE)
            for text in (
                re.sub("^[^/{]*//[^/{]*", lambda found: found[0].lower(), server["url"]).rstrip("/") or "/",
                *(
                    f"{server['url']} with {name} {value}"
                    for name, one in server.get("variables", {}).items()
                    for value in one.get("enum") or [one.get("default")]
                ),
            )
        ]
        for levels in (old, new)
    ]
    at = f"{where}, " if any(level.get("servers") for level in (*old[:-1], *new[:-1])) else ""
    paths = {re.sub("^([a-z]+:)?//[^/]*", "", url) or "/" for url in urls[1]}  # On whatever host this one is.
    yield from (f"{at}{url}: the server is removed" for url in sorted({*urls[0]} - {*urls[1]} - paths))


def _statuses(document: Document, operation: Document) -> dict[str, Document]:
    return {
        status if status == "default" else status.upper(): resolve(document, response)
        for status, response in operation.get("responses", {}).items()
    }


def _described(responses: Document, status: str, *, exact: bool = False) -> str:
    """Which response of a contract a status is: its own, that of its range, or the default."""
    ranges = () if exact else (f"{status[0]}XX", "default")
    return next((each for each in (status, *ranges) if each in responses), "")


def _nameless(path: str) -> str:
    return re.sub("{[^{}]*}", "{}", path)


def _media(name: str) -> str:
    return re.sub(r';\s*charset=[^;]*| |"', "", name.lower())


def _asked(document: Document, alternative: Document) -> dict[Any, str]:
    """What has to be shown, schemes and scopes: what it is, and how it is called. The name of a scheme is no matter."""
    found: dict[Any, str] = {}
    for name, scopes in alternative.items():
        told = resolve(document, document.get("components", {}).get("securitySchemes", {}).get(name))
        key = str(told.get("name"))
        key = key.lower() if told.get("in") == "header" else key
        scheme: Any = (told.get("type"), str(told.get("scheme")).lower(), told.get("in"), key) if told else name
        found[scheme] = name
        found.update({(scheme, scope): f"{name} {scope}" for scope in scopes})
    return found


def _ranges(media: str) -> tuple[str, ...]:
    """A media type, and the ranges that it is in, the nearest one first."""
    return media, media.partition(";")[0], f"{media.partition('/')[0]}/*", "*/*"


def _part_type(schema: Document) -> str:
    """The media type of a member of a form, if nothing else is said."""
    if schema.get("format") == "binary":
        return "application/octet-stream"
    return str(schema.get("contentMediaType", "application/json" if "object" in _kinds(schema) else "text/plain"))


def _schema(parameter: Document) -> Any:
    """The schema of a parameter, which may be written as text or in a media type."""
    content: Document = next(iter(parameter.get("content", {}).values()), {})
    return parameter.get("schema", content.get("schema", {}))


def _enumeration(schema: Document, kind: str = "") -> list[Any] | None:
    """The values that a schema lists, of one type."""
    values: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is None or not kind:
        return values
    kinds = ("integer", "number") if kind in ("integer", "number") else (kind,)
    found = [value for value in values if kind == "any" or _kind(value) in kinds]
    return None if kind == "boolean" and len(found) == 2 else found


def _kind(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _target(document: Document, reference: str) -> Any:
    if not reference.startswith("#/"):
        raise ValueError(f"{reference} is in another document")
    found: Any = document
    for part in unquote(reference[2:]).split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found[int(name) if isinstance(found, list) else name]
    return found


def resolve(document: Document, value: Any) -> Any:
    followed = []
    while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
        if value["$ref"] in followed:
            raise ValueError(f"{value['$ref']} refers to itself")
        followed.append(value["$ref"])
        value = _target(document, value["$ref"])
    return value or {}


def read(file: str | Path) -> Document:
    """The document in a file.

    :raises SystemExit: if that is no OpenAPI document.
    """
    try:
        contract = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8"))
        if isinstance(contract["paths"], dict) and "openapi" in contract:
            return contract  # type: ignore[no-any-return]
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    except (KeyError, RecursionError, TypeError, ValueError):
        pass
    sys.exit(f"{file} is not an OpenAPI document in JSON.")


def called(client: Path) -> Iterator[tuple[str, str, list[str]]]:
    """The operations that a service calls by one of its clients: the method, the nameless path, and the lines that call."""
    operations: dict[str, tuple[str, str]] = {}
    tree = ast.parse((client / "__init__.py").read_text(encoding="utf-8"))
    for method in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.peer.call":
                verb, route = (ast.literal_eval(argument) for argument in node.args[:2])
                operations[method.name] = verb, unquote(_nameless(route))
    places: dict[str, list[str]] = {}
    package = client.parent.parent
    for file in filter(Path.is_file, sorted(package.rglob("*.py"))):
        source = file.read_text(encoding="utf-8")
        if file.is_relative_to(client.parent) or not re.search(rf"\b{client.name}\b", source, re.IGNORECASE):
            continue
        for node in ast.walk(ast.parse(source, str(file))):
            if isinstance(node, ast.Attribute):
                name = node.attr if node.attr in operations else node.attr.removeprefix("each_")
                places.setdefault(name, []).append(f"{file.relative_to(package.parent.parent)}:{node.end_lineno}")
    for name, (verb, route) in operations.items():
        if name in places:
            yield verb, route, [*dict.fromkeys(places[name])]


def consumed(consumer: Path, new: Path) -> Found:
    """Name the lines of a service that calls this one, and what breaks there.

    :raises SystemExit: if it has no client of this service.
    """
    documents = [read(file) for file in dict.fromkeys((new, *sorted(new.parent.glob("openapi-*.json"))))]
    title = documents[0].get("info", {}).get("title", new)
    packages = {file.parent.name for file in new.parent.glob("src/*/modules.py")}
    recorded = [(file.parent, read(file)) for file in sorted(consumer.glob("src/*/clients/*/openapi.json"))]
    clients = [each for each in recorded if each[0].name in packages or each[1].get("info", {}).get("title") == title]
    if not clients:
        sys.exit(f"{consumer} has no client of {title}.")
    for client, old in clients:
        # Of several versions, the one that the client is of.
        paths = set(map(_nameless, old["paths"]))
        document = max(documents, key=lambda each: len(paths & set(map(_nameless, each["paths"]))))
        servers = {"servers": document.get("servers", ())}
        for verb, route, places in called(client):
            for path, item in old["paths"].items():
                told = resolve(old, item)
                if unquote(_nameless(path)) == route and verb.lower() in told:
                    one = {word: told[word] for word in ("parameters", verb.lower()) if word in told}
                    for line in breaking({**old, **servers, "paths": {path: one}}, document):
                        yield from (f"{consumer.resolve().name}, {place}: {client.name}, {line}" for place in places)


def main(old: str, new: str) -> None:
    """Print what breaks clients of ``old`` in ``new``, and exit with 1 if anything does."""
    try:
        found = list(consumed(Path(old), Path(new)) if Path(old).is_dir() else breaking(read(old), read(new)))
    except SyntaxError as error:
        sys.exit(f"{error.filename}:{error.lineno}: {error.msg}")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        sys.exit(f"{old} or {new} is not valid OpenAPI: {error!r}")
    for change in found:  # A line each, whatever is written in contracts.
        signs = (sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in change)
        sys.stdout.write(f"{''.join(signs)}\n")
    if found:
        sys.exit(f"{len(found)} breaking change{'s' if len(found) > 1 else ''}.")
    sys.stdout.write("Nothing breaks.\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: changes.py OLD NEW; - is standard input.")
    main(*sys.argv[1:])
