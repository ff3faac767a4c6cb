"""Breaking changes between two OpenAPI documents: what a client of the old one can no longer rely on.

A client sends requests and reads responses. So a request may not be asked for more than before, and
a response may not hold less, or other values, than before.

Schemas are brought into one form first: for each type of values, what is asked of these (``Shape``). Then a shape that
is needed has to fit into one that is offered: what clients sent into what is accepted now, what is answered now into
what they know. Shapes hold each other, and themselves, so a pair of them fits until something shows that it does not.

Usage: changes.py OLD NEW; - is standard input. The status is 1 if anything breaks.

OLD may be the folder of a service that calls this one. Then what its client was made from is compared,
and a line is printed for each line of its code that calls an operation which breaks.
"""

import ast
import gc
import json
import math
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

Document = Mapping[str, Any]
Found = Iterator[str]
#: By place and name.
Parameters = Mapping[tuple[str, str], Document]
#: A schema, and the document that its references refer to.
Written = tuple[Document, Any]
Made = TypeVar("Made")

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
KINDS = ["null", "boolean", "number", "string", "array", "object"]
ALWAYS = ("not", "if", "then", "else")
#: Of each type: what follows min or max in keywords that bound values, and keywords that are compared as they stand.
WORDS = {
    "number": (("imum",), ("multipleOf", "format", *ALWAYS)),
    "string": (("Length",), ("pattern", "format", "contentEncoding", "contentMediaType", "contentSchema", *ALWAYS)),
    "array": (("Items", "Contains"), ("uniqueItems", "contains", *ALWAYS)),
    "object": (("Properties",), ("propertyNames", "dependentRequired", "dependentSchemas", *ALWAYS)),
}
OBJECT = {"properties", "required", "additionalProperties", "patternProperties"}
ARRAY = {"items", "prefixItems"}
#: Keywords that say something of a value.
SAYING = {"type", "enum", "const", "exclusiveMinimum", "exclusiveMaximum", "unevaluatedProperties", "unevaluatedItems"}
SAYING |= {*OBJECT, *ARRAY, *(word for _, words in WORDS.values() for word in words)}
SAYING |= {f"{end}{of}" for bounds, _ in WORDS.values() for of in bounds for end in ("max", "min")}
#: Formats of OpenAPI 3.0 that have other words in 3.1, or say nothing.
FORMATS = {"byte": ("contentEncoding", "base64"), "password": ("", "")}
FORMATS["binary"] = ("contentMediaType", "application/octet-stream")
#: Formats that hold all values of another one.
WIDER = (("int32", "int64"), ("int32", "double"), ("float", "double"))
#: Schemas that are looked at for an operation, which takes a second or two; after operations that need more, at least.
MOST, LEAST = 500_000, 30_000
SCHEMA = "#/components/schemas/"
REFERENCE = re.compile(r'"\$ref": ("(?:[^"\\]|\\.)*")')
#: The servers of a contract that names none.
HERE: Any = [{"url": "/"}]
ANY: Document = {}
NULL: Document = {"type": "null"}
NEVER: Document = {"enum": []}


class Shape:
    """Values of one type: what the parts of a schema, which all hold, ask of them."""

    def __init__(self, document: Document, kind: str, parts: Sequence[Document]) -> None:
        self.document, self.kind, self.parts = document, kind, parts
        self.bounds, self.words = WORDS.get("number" if kind == "integer" else kind, ((), ALWAYS))
        #: What the parts say by each keyword.
        self.said: dict[str, list[Any]] = {}
        for word, told in (each for part in parts for each in part.items()):
            plain, said = FORMATS.get(told, (word, told)) if word == "format" else (word, told)
            self.said.setdefault(plain, []).append(said)
        self.properties, self.patterns = self._named("properties"), self._named("patternProperties")
        self.required = dict.fromkeys(name for names in self.said.get("required", ()) for name in names)
        #: The schemas of properties without names, of the first items, each of which has its own, and of further ones.
        self.extra = self._all("additionalProperties", "unevaluatedProperties")
        items = [(part.get("prefixItems", ()), part.get("items", True)) for part in parts]
        heads = range(max((len(head) for head, _ in items), default=0))
        self.heads = [_all([head[place] if place < len(head) else rest for head, rest in items]) for place in heads]
        self.rest = self._all("items", "unevaluatedItems")
        #: The values by their texts, if they are listed; without those that do not fit.
        self.values = self._values()
        if self.values and kind == "number" and {*map(_kind, self.values.values())} == {"integer"}:
            self.kind = "integer"

    def _all(self, word: str, otherwise: str) -> Any:
        return _all(self.said.get(word) or self.said.get(otherwise) or ())

    def _named(self, word: str) -> dict[str, Any]:
        found: dict[str, list[Any]] = {}
        for name, schema in (each for named in self.said.get(word, ()) for each in named.items()):
            found.setdefault(name, []).append(schema)
        return {name: _all(schemas) for name, schemas in found.items()}

    def _values(self) -> dict[str, Any] | None:
        lists = [*self.said.get("enum", ()), *([value] for value in self.said.get("const", ()))]
        lists += [[None]] if self.kind == "null" else [[False, True]] if self.kind == "boolean" else []
        if not lists:
            return None
        first, *others = ({_text(value): value for value in each if self._within(value)} for each in lists)
        return {text: value for text, value in first.items() if all(text in each for each in others)}

    def takes(self, value: Any) -> bool:
        return self._within(value) if self.values is None else _text(value) in self.values

    def _within(self, value: Any) -> bool:
        """Whether a value is of this type and within bounds."""
        kind = _kind(value)
        if kind != self.kind and (kind, self.kind) != ("integer", "number"):
            return False
        size = len(value) if isinstance(value, str | list | dict) else value
        for of in self.bounds[:1]:
            if (size, True) > self.limit(f"max{of}") or (-size, True) > self.limit(f"min{of}"):
                return False
        steps, patterns = (self.rules(word) if word in self.words else () for word in ("multipleOf", "pattern"))
        fits = all(_holds("multipleOf", value, step) for step in steps)
        return fits and all(_matches(pattern, value) for pattern in patterns)

    def limit(self, word: str) -> tuple[float, bool]:
        """The strongest bound, as OpenAPI 3.0 or 3.1 writes it, and whether it is allowed itself; minima are negated."""
        sign, exclusive = 1 if word[:3] == "max" else -1, f"exclusiveM{word[1:]}"
        found = [(part[word] * sign, part.get(exclusive) is not True) for part in self.parts if word in part]
        found += [(bound * sign, False) for bound in self.said.get(exclusive, ()) if not isinstance(bound, bool)]
        found += [(len(self.heads), True)] if word == "maxItems" and self.rest is False else []
        limit, included = min([*found, _unbound(word)])
        if self.kind == "integer" and abs(limit) != math.inf:  # Below 9 is at most 8.
            whole = math.floor(limit)
            return whole - (whole == limit and not included), True
        return limit, included

    def member(self, name: str) -> Any:
        """The schema of a property, whether it has a name of its own or not."""
        unnamed = (part for pattern, part in self.patterns.items() if _matches(pattern, name))
        return self.properties[name] if name in self.properties else next(unnamed, self.extra)

    def rules(self, word: str) -> list[Any]:
        """What a keyword asks for that is only compared."""
        return [told for told in self.said.get(word, ()) if told is not False]


class Choice(NamedTuple):
    """An alternative of a schema, what it is called, and by which members a discriminator tells it."""

    shape: Shape
    name: str
    told: Document


#: What was made of the old schema, what of the new one, and whether it is sent.
Pair = tuple[Shape, Shape, bool]


class Claim(NamedTuple):
    """What clients rely on: that one of these pairs fits. If none does, this is said, or what differs in the nearest."""

    where: str
    said: str
    pairs: Sequence[Pair] = ()
    #: Whether the first pair is the nearest; or else, the first that breaks nothing itself.
    sure: bool = False


Claims = Iterator[Claim]


class TooMuchError(ValueError):
    """Schemas hold each other in more ways than anybody can wait for."""


def breaking(old: Document, new: Document) -> Found:
    """Name every breaking change, a line each."""
    return iter(dict.fromkeys(Comparison(old, new).paths()))


def once(make: Callable[["Comparison", Document, Any], Made]) -> Callable[["Comparison", Document, Any], Made]:
    """Make something of a schema once, and keep the schema, so that no other one gets its id."""

    def kept(self: "Comparison", document: Document, schema: Any) -> Made:
        key = (make, id(document), id(schema))
        if key not in self.made:
            self.made[key] = schema, make(self, document, schema)
        return self.made[key][1]  # type: ignore[no-any-return]

    return kept


class Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self.old, self.new = old, new
        #: How many schemas may be looked at for an operation, and still for the one at hand.
        self.most = self.left = MOST
        #: What was made of schemas, by their ids, and these schemas; and by the keys of the parts that hold together.
        self.made: dict[Any, tuple[Any, Any]] = {}
        self.chosen: dict[Any, list[Choice]] = {}
        self.shapes: dict[Any, Shape] = {}
        #: What clients rely on: in the operation at hand, and where; in two schemas; and in a pair of shapes.
        self.claims: deque[tuple[str, Claim]] = deque()
        self.asked: dict[Any, list[Claim]] = {}
        self.compared: dict[Pair, list[Claim]] = {}
        #: Pairs that were looked at, those of them that do not fit, and by pairs, claims of others that rely on them.
        self.looked: set[Pair] = set()
        self.broken: set[Pair] = set()
        self.relying: dict[Pair, list[tuple[Pair, Claim]]] = {}
        #: Of what is referred to, by its id.
        self.numbers: dict[tuple[bool, int], int] = {}
        self.numbered = self._numbered()

    def paths(self) -> Found:
        # No client sends what a parameter of the path is called.
        known = {_nameless(path): path for path in self.new["paths"]}
        for path in [path for path in self.old["paths"] if not path.startswith("x-")]:
            name = path if path in self.new["paths"] else known.get(_nameless(path))
            if name is None:
                yield f"{path}: the path is removed"
                continue
            if all(self.numbered.get((True, each)) == self.numbered.get((False, each), "") for each in ("", path)):
                continue
            pairs = ((self.old, path), (self.new, name))
            items = [resolve(document, document["paths"][name]) for document, name in pairs]
            for method in METHODS:
                where = f"{method.upper()} {path}"
                if method in items[0] and method not in items[1]:
                    yield f"{where}: the operation is removed"
                elif method in items[0]:
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
            # What was looked at relies on what was not.
            for unfinished in (self.claims, self.looked, self.relying):
                unfinished.clear()
            if isinstance(error, TooMuchError):
                self.most = max(self.most // 2, LEAST)
            yield f"{where}: its schemas are too many to be compared to the end, which counts as a change"

    def _look(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooMuchError

    def _numbered(self) -> dict[tuple[bool, str], int]:
        """Number paths, and what they refer to: the same number for what says the same in both, whatever it is called.

        First, all have one number. Then what is spelled otherwise gets another one, and so does what refers to that.
        """
        targets: dict[tuple[bool, str], Any] = {}
        shared = self.old["paths"].keys() & self.new["paths"].keys()
        for old, document in ((True, self.old), (False, self.new)):
            schemes = _component(document, "securitySchemes")
            targets[old, ""] = [document.get("servers"), document.get("security"), schemes]
            targets |= {(old, path): document["paths"][path] for path in shared}
        spelled, waiting = {}, [*targets]
        while waiting:
            key = waiting.pop()
            document, target = self.old if key[0] else self.new, targets[key]
            spelled[key] = _spelled([target, *(self._unions(document, target) if isinstance(target, Mapping) else ())])
            for other in [(key[0], name) for name in {*spelled[key][1]} if (key[0], name) not in targets]:
                try:
                    targets[other] = _target(document, json.loads(other[1]))
                except (LookupError, TypeError, ValueError):  # It may be a word of an example.
                    targets[other] = other[1]
                waiting.append(other)
        numbers, count = dict.fromkeys(spelled, 0), 0
        while count < (count := len({*numbers.values()})):
            known: dict[Any, int] = {}
            numbers = {
                key: known.setdefault((told, *(numbers[key[0], name] for name in names)), len(known))
                for key, (told, names) in spelled.items()
            }
        self.numbers = {(key[0], id(target)): numbers[key] for key, target in targets.items()}
        self.made.clear()
        return numbers

    def operation(self, where: str, old: Document, new: Document) -> Found:
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: the operation is called {new.get('operationId')}, and was {old.get('operationId')}"
        body, other = resolve(self.old, old.get("requestBody")), resolve(self.new, new.get("requestBody"))
        if other.get("required") and not body.get("required"):
            yield f"{where}, request body: it is required now"
        yield from self.contents(f"{where}, request body", body, other, sent=True)
        yield from self.responses(where, _statuses(self.old, old), _statuses(self.new, new))
        yield from self.security(where, old, new)

    def security(self, where: str, old: Document, new: Document) -> Found:
        """A client that was allowed before has to be allowed by one of the new alternatives."""
        before = [_asked(self.old, each) for each in old.get("security", self.old.get("security")) or [{}]]
        after = [_asked(self.new, each) for each in new.get("security", self.new.get("security")) or [{}]]
        refused = [given for given in before if not any(asked.keys() <= given.keys() for asked in after)]
        names = {name for given in refused for asked in after for key, name in asked.items() if key not in given}
        yield from (f"{where}: {name} is required to be allowed" for name in sorted(names))

    def _parameters(self, where: tuple[Document, str], item: Document, method: str) -> Parameters:
        """The parameters by their names, and those of the path by their places in it."""
        document, path = where
        order = re.findall("{([^{}]*)}", path)
        listed = [*item.get("parameters", ()), *item[method].get("parameters", ())]
        found: dict[tuple[str, str], Document] = {}
        for each in (resolve(document, parameter) for parameter in listed):
            place, name = each["in"], each["name"].lower() if each["in"] == "header" else each["name"]
            if place != "header" or name not in ("accept", "authorization", "content-type"):
                found[place, str(order.index(name) + 1) if place == "path" and name in order else name] = each
        return found

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
            optional = not parameter.get("required")
            self.values(at, _schema(parameter), _schema(new[key]), sent=True, optional=optional)
        for key, parameter in new.items():
            if key not in old and parameter.get("required"):
                yield f"{where}, {key[0]} parameter {key[1]}: it is new and required"

    def _rewritten(self, place: str, old: Document, new: Document) -> bool:
        """Whether a value is written otherwise: https://spec.openapis.org/oas/v3.1.1#style-values"""
        styles, explodes = [], []
        for document, told in ((self.old, old), (self.new, new)):
            style = told.get("style", "form" if place in ("query", "cookie") else "simple")
            styles.append([style, *map(_media, told.get("content", ()))])
            kinds = {choice.shape.kind for choice in self._choices(document, _schema(told))}
            # What is neither a list nor an object is written as it is.
            if kinds & {"object", *([] if style == "simple" else ["array"])} and style != "deepObject":
                explodes.append(bool(told.get("explode", style == "form")))
        return styles[0] != styles[1] or explodes in ([True, False], [False, True])

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
            {name.lower(): (name, resolve(document, each)) for name, each in response.get("headers", {}).items()}
            for document, response in ((self.old, old), (self.new, new))
        ]
        headers[0].pop("content-type", None)  # It is told by the content.
        for key, (name, header) in headers[0].items():
            if key not in headers[1]:
                yield f"{at}: the header {name} is removed"
                continue
            _, other = headers[1][key]
            if header.get("required") and not other.get("required"):
                yield f"{at}, header {name}: it may be absent now"
            if self._rewritten("header", header, other):
                yield f"{at}, header {name}: it is written otherwise now"
            self.values(f"{at}, header {name}", _schema(header), _schema(other), sent=False)
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
                    self.values(at, content.get("schema", ANY), other.get("schema", ANY), sent=sent)
                yield from self._encodings(at, content, other, sent=sent)

    def _encodings(self, at: str, old: Document, new: Document, *, sent: bool) -> Found:
        """Compare how the members of a form are written."""
        for name in dict.fromkeys([*old.get("encoding", ()), *new.get("encoding", ())]):
            told = [content.get("encoding", {}).get(name, {}) for content in (old, new)]
            styles = [(each.get("style", "form"), each.get("explode", True)) for each in told]
            accepted = [_media(each) for each in told[sent].get("contentType", "*/*").split(",")]
            document, form = (self.old, old) if sent else (self.new, new)
            schemas = (choice.shape.properties for choice in self._choices(document, form.get("schema", ANY)))
            part = next((members[name] for members in schemas if name in members), ANY)
            written = told[not sent].get("contentType") or self._part_media(document, part)
            given = [_media(each) for each in written.split(",")]
            if styles[0] != styles[1] or not all(any(each in _ranges(one) for each in accepted) for one in given):
                yield f"{at}, {name}: it is written otherwise now"

    def _part_media(self, document: Document, schema: Any) -> str:
        """The media type of a member of a form, if nothing else is said; of a list, that of its items."""
        shapes = {choice.shape.kind: choice.shape for choice in self._choices(document, schema)}
        if [*shapes] == ["array"]:
            return self._part_media(document, shapes["array"].rest)
        if "string" not in shapes:
            return "application/json" if "object" in shapes else "text/plain"
        return str([*shapes["string"].rules("contentMediaType"), "text/plain"][0])

    def values(self, at: str, old: Any, new: Any, *, sent: bool, optional: bool = False) -> None:
        """Let two schemas be compared: of values that a client sends, or leaves out, or of values that it reads."""
        claims = self._claims("", (self.old, old), (self.new, new), sent=sent, optional=optional)
        self.claims.extend((at, claim) for claim in claims)

    def schemas(self) -> Found:
        """What breaks claims, each pair once in an operation, where it is found first."""
        seen = set[Pair]()
        while self.claims:
            at, claim = self.claims.popleft()
            if any(map(self._fits, claim.pairs)):
                continue
            plain = (pair for pair in claim.pairs if all(inner.pairs for inner in self._compared(pair)))
            near = claim.pairs[0] if claim.sure else next(plain, None)
            if near is None:
                yield f"{at}{claim.where}: {claim.said}"
            elif near not in seen:
                seen.add(near)
                self.claims.extend((at + claim.where, inner) for inner in self._compared(near))

    def _fits(self, pair: Pair) -> bool:
        """Whether a pair fits, as far as anything shows; what it relies on is looked at as well."""
        waiting = deque([pair])
        while waiting:
            if (one := waiting.popleft()) in self.looked:
                continue
            self.looked.add(one)
            claims = self._compared(one)
            fits = all(claim.pairs for claim in claims) and all(self._rely(one, claim, waiting) for claim in claims)
            failing = [] if fits else [one]
            while failing:
                self.broken.add(each := failing.pop())
                owners = ((owner, claim) for owner, claim in self.relying.pop(each, ()) if owner not in self.broken)
                failing += [owner for owner, claim in owners if not self._rely(owner, claim, waiting)]
        return pair not in self.broken

    def _rely(self, owner: Pair, claim: Claim, waiting: deque[Pair]) -> bool:
        """Let a pair rely on the first pair of a claim that may still fit."""
        if pair := next((pair for pair in claim.pairs if pair not in self.broken), None):
            self.relying.setdefault(pair, []).append((owner, claim))
            waiting.append(pair)
        return pair is not None

    def _compared(self, pair: Pair) -> list[Claim]:
        if pair not in self.compared:
            old, new, sent = pair
            self.compared[pair] = [*_bounds(old, new, sent=sent), *self._inner(old, new, sent=sent)]
            self._look(1 + len(self.compared[pair]))
        return self.compared[pair]

    def _inner(self, old: Shape, new: Shape, *, sent: bool) -> Claims:
        if old.kind == "object":
            yield from self._members(old, new, sent=sent)
        if old.kind == "array":
            first, most = max(len(old.heads), len(new.heads)), min(old.limit("maxItems"), new.limit("maxItems"))[0]
            for place in [place for place in range(first) if place < most]:
                items = [(each.document, [*each.heads, *[each.rest] * first][place]) for each in (old, new)]
                yield from self._claims(f"[{place}]", *items, sent=sent)
            if first < most:
                yield from self._claims("[]", (old.document, old.rest), (new.document, new.rest), sent=sent)

    def _members(self, old: Shape, new: Shape, *, sent: bool) -> Claims:
        # Requests do not hold what is readOnly, and responses not what is writeOnly.
        word = "readOnly" if sent else "writeOnly"
        hidden = [
            {name for name, part in each.properties.items() if self._noted((each.document, part), word) is True}
            for each in (old, new)
        ]
        before = [name for name in old.required if name not in hidden[0]]
        for name, schema in old.properties.items():
            if name in hidden[0] or (schema is False and name not in new.properties):
                continue
            if name not in new.properties:
                yield Claim(f", {name}", "the property is removed")
                continue
            if name in hidden[1]:
                yield Claim(f", {name}", f"it is {word} now")
            both = (old.document, schema), (new.document, new.properties[name])
            yield from self._claims(f", {name}", *both, sent=sent, optional=sent and name not in before)
        for name in new.required if sent else before:
            if sent and name not in before and name not in hidden[1]:
                yield Claim(f", {name}", "it is required now" if name in old.properties else "it is new and required")
            if not sent and name not in new.required and (name in new.properties or name not in old.properties):
                yield Claim(f", {name}", "it may be absent now")
        if sent and new.extra is False and old.extra is not False:
            yield Claim("", "further properties are refused now")
        elif sent or old.extra is not False:
            yield from self._claims(".*", (old.document, old.extra), (new.document, new.extra), sent=sent)
        for name in [name for name in new.properties if name not in old.properties and name not in hidden[1]]:
            given = old.member(name)  # What had no name of its own.
            anything = any(not each.shape.parts for each in self._choices(old.document, given))
            if given is not False and (name in old.required or not anything):
                both = (old.document, given), (new.document, new.properties[name])
                yield from self._claims(f", {name}", *both, sent=sent)
        for pattern in sorted(old.patterns.keys() | new.patterns.keys()):
            if sent or pattern in old.patterns or old.extra is not False:
                parts = [(each.document, each.patterns.get(pattern, each.extra)) for each in (old, new)]
                yield from self._claims(f".{pattern}", *parts, sent=sent)

    def _claims(self, where: str, old: Written, new: Written, *, sent: bool, optional: bool = False) -> Claims:
        """What clients rely on in two schemas, which is found out once."""
        if optional:  # What stands for a value that is left out may not change.
            before, after = (self._noted(each, "default", NULL) for each in (old, new))
            if before is not NULL and (after is NULL or _text(before) != _text(after)):
                told = "nothing" if after is NULL else after
                yield Claim(where, f"without it, {told!r} is taken, and was {before!r}")
        keys = (self._keys(*old), self._keys(*new), sent)
        if keys[0] != keys[1] and keys not in self.asked:
            self.asked[keys] = [*self._needs(*map(self._choices, *zip(old, new, strict=True)), sent=sent)]
        yield from (claim._replace(where=where) for claim in self.asked.get(keys, ()))

    def _needs(self, old: list[Choice], new: list[Choice], *, sent: bool) -> Claims:
        """The new contract has to accept values that clients send; clients have to know values that they read."""
        needed, offered = (old, new) if sent else (new, old)
        gone: list[str] = []
        for one in needed:
            shape, listed = one.shape, one.shape.values
            near = [each for each in offered if _near(shape, each.shape)]
            wide = [each for each in near if each.shape.values is None]
            if not near:
                gone.append(shape.kind)
            elif listed is not None:
                for value in listed.values():
                    if not any(self._takes(each.shape, value) for each in near):
                        yield Claim("", f"{value!r} is {'no longer accepted' if sent else 'a new value'}")
            elif not wide:
                yield Claim("", "only some values are accepted now" if sent else "it may be any value now")
            else:
                yield from self._need(one, needed, wide, sent=sent)
        if kinds := ", ".join(dict.fromkeys(gone)):
            are = "are" if "," in kinds else "is"
            yield Claim("", f"{kinds} {are} no longer accepted" if sent else f"it may be {kinds} now")

    def _takes(self, shape: Shape, value: Any) -> bool:
        """Whether a value is of a shape, with all that it holds."""
        held: list[tuple[Any, Any]] = []
        if isinstance(value, dict):
            held = [(value[name], shape.member(name)) for name in value]
        elif isinstance(value, list):
            held = [*zip(value, [*shape.heads, *[shape.rest] * len(value)], strict=False)]
        if not shape.takes(value) or (isinstance(value, dict) and not shape.required.keys() <= value.keys()):
            return False
        return shape.values is not None or all(
            any(self._takes(each.shape, inner) for each in self._choices(shape.document, schema))
            for inner, schema in held
        )

    def _need(self, one: Choice, needed: list[Choice], offered: list[Choice], *, sent: bool) -> Claims:
        """An alternative has to fit into one of those that are offered, whatever their names and their order are."""
        name, told = one.shape.kind, True
        rivals = [each for each in needed if each.shape.kind == name and each.shape.values is None]
        if one.told or len(rivals) + len(offered) > 2:
            self._look(len(offered))
            tags = self._tags(one.shape.document, one)
            place = offered[[each is one for each in rivals].index(True) % len(offered)]
            nearest = sorted(offered, key=lambda each: (each.name != one.name, each is not place))
            alike = sorted(((each, self._alike(one, each)) for each in nearest), key=lambda each: not each[1])
            offered = [each for each, shared in alike if shared is not None]
            told = any(shared for _, shared in alike) or one.name in {each.name for each in offered[:1]} - {""}
            label = " ".join(f"{member}={json.loads(value)}" for member, value in tags.items()) or one.name
            name = f"{name} {label}".rstrip()
        if not any(each.shape is one.shape for each in offered):
            pairs = [(one.shape, each.shape, True) if sent else (each.shape, one.shape, False) for each in offered]
            yield Claim("", f"{name} is no longer accepted" if sent else f"it may be {name} now", pairs, told)

    def _alike(self, one: Choice, other: Choice) -> set[str] | None:
        """The members that tell two alternatives to be the same; None, if these tell that they are not."""
        tags, others = (self._tags(each.shape.document, each) for each in (one, other))
        shared = tags.keys() & others.keys()
        apart = one.told and other.told and one.told.keys() != other.told.keys()
        return None if apart or any(tags[name] != others[name] for name in shared) else shared

    @once
    def _tags(self, document: Document, choice: Choice) -> dict[str, str]:
        """The members that tell an alternative from others, and the texts of their values."""
        members = {name: self._choices(document, schema) for name, schema in choice.shape.properties.items()}
        listed = {name: [*(each[0].shape.values or ())] for name, each in members.items() if len(each) == 1}
        told = {name: _text(value) for name, value in choice.told.items()}
        return {**told, **{name: values[0] for name, values in listed.items() if len(values) == 1}}

    def _choices(self, document: Document, schema: Any) -> list[Choice]:
        """The alternatives of a schema, each of one type."""
        keys = self._keys(document, schema)
        if keys not in self.chosen:
            found = {(each.shape, str(each.told)): each for each in self._opened(document, schema, {})}
            self.chosen[keys] = [*found.values()]
        return self.chosen[keys]

    def _opened(
        self, document: Document, schema: Any, beside: Mapping[Any, Document], name: str = "", told: Document = ANY
    ) -> Iterator[Choice]:
        """The alternatives of a schema that holds beside others: those of one list after the other."""
        held = {**beside, **self._parts(document, schema)}
        self._look(len(held))
        for part, union in ((each, union) for each in held.values() for union in self._unions(document, each)):
            if any(self._says(document, alternative) <= held.keys() for alternative in union):  # One holds already.
                continue
            for alternative in union:
                reference = str(alternative.get("$ref", "")) if isinstance(alternative, Mapping) else ""
                for tags in _told(part.get("discriminator") or ANY, reference):
                    called = name or reference.rpartition("/")[2]
                    yield from self._opened(document, alternative, held, called, {**tags, **told})
            return
        saying = {key: part for key, part in held.items() if part.keys() & SAYING}
        parts, keys = [*saying.values()], frozenset(saying)
        name = name or next((str(part["title"]) for part in held.values() if "title" in part), "")
        for kind in _kinds(parts):
            if (kind, keys) not in self.shapes:
                self.shapes[kind, keys] = Shape(document, kind, parts)
            shape = self.shapes[kind, keys]
            if shape.values is None or shape.values:
                # A member that lists its values says itself what tells it.
                members = {member: self._choices(document, shape.properties.get(member, True)) for member in told}
                kept = [word for word, each in members.items() if any(one.shape.takes(told[word]) for one in each)]
                yield Choice(shape, name, {member: told[member] for member in kept})

    @once
    def _parts(self, document: Document, schema: Any) -> dict[Any, Document]:
        """The schemas that hold together with this one, by their numbers: what it refers to, and its ``allOf``."""
        found: dict[Any, Document] = {}
        waiting, old = [schema], document is self.old
        while waiting:
            part = waiting.pop(0)
            part = part if isinstance(part, Mapping) else NEVER if part is False else ANY
            part = self._nullable(document, part) if part.get("nullable") is True else part
            key = self.numbers.get((old, id(part)), (old, id(part)))
            if key not in found:
                found[key] = part
                waiting += [_target(document, part["$ref"])] if isinstance(part.get("$ref"), str) else []
                waiting += part.get("allOf", ())
        self._look(len(found))
        return {key: part for key, part in found.items() if part.keys() != {"$ref"}}

    @once
    def _nullable(self, document: Document, schema: Document) -> Document:
        """A schema that OpenAPI 3.0 lets be null, as alternatives."""
        notes = {word: told for word, told in schema.items() if word in ("default", "readOnly", "writeOnly", "title")}
        return {**notes, "anyOf": [NULL, {word: told for word, told in schema.items() if word != "nullable"}]}

    def _noted(self, written: Written, word: str, missing: Any = None) -> Any:
        return next((part[word] for part in self._parts(*written).values() if word in part), missing)

    @once
    def _keys(self, document: Document, schema: Any) -> frozenset[Any]:
        return frozenset(self._parts(document, schema))

    def _says(self, document: Document, schema: Any) -> set[Any]:
        """The keys of what a schema says; a reference says nothing itself."""
        parts = self._parts(document, schema).items()
        return {key for key, part in parts if "$ref" not in part or part.keys() & SAYING}

    @once
    def _unions(self, document: Document, part: Any) -> list[Sequence[Any]]:
        """Lists of alternatives. A parent that has a discriminator stands for the schemas that have it as a part."""
        found = [part[word] for word in ("anyOf", "oneOf") if part.get(word)]
        if found or not part.get("discriminator"):
            return found
        children = [
            {"$ref": SCHEMA + name}
            for name, each in _component(document, "schemas").items()
            if isinstance(each, Mapping) and "allOf" in each and part is not each
            if any(one is part for one in self._parts(document, each).values())
        ]
        return [children] if children else []


def _near(needed: Shape, offered: Shape) -> bool:
    """Whether values of a type may be of the other one."""
    kinds = needed.kind, offered.kind
    some = kinds == ("number", "integer") and needed.values is not None
    return some or kinds[0] == kinds[1] or kinds == ("integer", "number")


def _unbound(word: str) -> tuple[float, bool]:
    """The bound where none is told: nothing has a size below 0."""
    return math.inf if word[:3] == "max" or word[3:] == "imum" else 0, True


def _bounds(old: Shape, new: Shape, *, sent: bool) -> Claims:
    """Bounds, which may only widen for what is sent, and only narrow for what is read."""
    needed, offered = (old, new) if sent else (new, old)
    for word in [f"{end}{of}" for of in old.bounds for end in ("max", "min")]:
        asked = offered.limit(word)
        if asked < needed.limit(word):
            sign = 1 if word[:3] == "max" else -1
            limits = (old.limit(word), new.limit(word))
            shown = ["none" if limit == _unbound(word) else limit[0] * sign for limit in limits]
            name = word if asked[1] else f"exclusiveM{word[1:]}"
            moved = f"{'narrowed' if sent else 'widened'}, from {shown[0]} to {shown[1]}"
            itself = f"{shown[1]} itself, which {'is no longer accepted' if sent else 'it may be now'}"
            yield Claim("", f"{name} is {moved if shown[0] != shown[1] else itself}")
    for word in [word for word in offered.said if word in old.words]:
        told = [*needed.rules(word), *([1] if word == "multipleOf" and needed.kind == "integer" else [])]
        if not all(any(_holds(word, one, other) for one in told) for other in offered.rules(word)):
            before, after = (" and ".join(map(str, each.rules(word))) or "none" for each in (old, new))
            yield Claim("", f"{word} is {after}, and was {before}")


def _holds(word: str, told: Any, asked: Any) -> bool:
    """Whether the values for which a keyword says the one fit the other."""
    if word == "multipleOf" and asked:
        return math.isclose(told / asked, round(told / asked))
    return _text(told) == _text(asked) or (told, asked) in WIDER


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # It is written for JavaScript.
        return True


def _all(schemas: Sequence[Any]) -> Any:
    """A schema of what holds in all of these."""
    saying = [schema for schema in schemas if schema is not True]
    if any(schema is False for schema in saying):
        return False
    return {"allOf": saying} if len(saying) > 1 else saying[0] if saying else True


def _kinds(parts: Sequence[Document]) -> list[str]:
    """The types of which values may be; without any, those that keywords are about."""
    said = [[part["type"]] if isinstance(part["type"], str) else part["type"] for part in parts if "type" in part]
    words = {word for part in parts for word in part}
    if not said:
        listed = words & {"enum", "const"}
        return KINDS if listed else ["object"] if words & OBJECT else ["array"] if words & ARRAY else KINDS
    wide = [[*kinds, *(["integer"] if "number" in kinds else [])] for kinds in said]
    found = [kind for kind in dict.fromkeys(wide[0]) if all(kind in kinds for kinds in wide)]
    if "number" in found:
        whole = any(step and float(step).is_integer() for part in parts for step in [part.get("multipleOf")])
        found.remove("number" if whole else "integer")
    return found


def _told(discriminator: Document, reference: str) -> list[Document]:
    """The values by which a discriminator tells an alternative from others: those of its mapping, or its name."""
    member = discriminator.get("propertyName")
    if not reference or member is None:
        return [ANY]
    name = reference.rpartition("/")[2]
    values = [value for value, target in discriminator.get("mapping", {}).items() if target in (reference, name)]
    return [{member: value} for value in values or [name]]


def _text(value: Any) -> str:
    """The same for values that are equal in JSON: 1 is 1.0, and not true."""
    if not isinstance(value, float | list | dict):
        return json.dumps(value)
    number = lambda text: int(number) if (number := float(text)).is_integer() else number
    return json.dumps(json.loads(json.dumps(value), parse_float=number), sort_keys=True)


def _spelled(value: Any) -> tuple[tuple[str, ...], list[str]]:
    """What a value says, and the names that it refers to; with these, where a discriminator may tell by them."""
    words = REFERENCE.split(json.dumps(value, sort_keys=True))
    return tuple(words if any('"propertyName"' in word for word in words[::2]) else words[::2]), words[1::2]


def _component(document: Document, sort: str) -> Document:
    return (document.get("components") or ANY).get(sort) or ANY


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
        told = resolve(document, _component(document, "securitySchemes").get(name))
        key = str(told.get("name"))
        key = key.lower() if told.get("in") == "header" else key
        scheme: Any = (told.get("type"), str(told.get("scheme")).lower(), told.get("in"), key) if told else name
        found[scheme] = name
        found.update({(scheme, scope): f"{name} {scope}" for scope in scopes})
    return found


def _ranges(media: str) -> tuple[str, ...]:
    """A media type, and the ranges that it is in, the nearest one first."""
    return media, media.partition(";")[0], f"{media.partition('/')[0]}/*", "*/*"


def _schema(parameter: Document) -> Any:
    """The schema of a parameter, which may be written as text or in a media type."""
    content: Document = next(iter(parameter.get("content", ANY).values()), ANY)
    return parameter.get("schema", content.get("schema", ANY))


def _kind(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
    return "integer" if isinstance(value, float) and value.is_integer() else names.get(type(value), "object")


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
    gc.disable()  # Nothing of large contracts is left over before the end.
    try:
        found = list(consumed(Path(old), Path(new)) if Path(old).is_dir() else breaking(read(old), read(new)))
    except SyntaxError as error:
        sys.exit(f"{error.filename}:{error.lineno}: {error.msg}")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
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
