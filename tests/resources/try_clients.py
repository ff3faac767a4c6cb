"""Every operation of every client of a service, called with examples that are made from its contract.

The tests of the template copy this file into the service: it looks at what ``make client`` writes, which no owner edits.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from fixtures.http_client import _is_json, _spoken

(FOLDER,) = Path(__file__).parents[1].glob("src/*/clients")
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/openapi.json"))


@pytest.mark.parametrize("name", NAMES)
def test_every_operation(fake: Callable[[str], Any], name: str) -> None:
    """It is asked as its contract says, and its answers are read."""
    Trial(fake(name)).run()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_away(fake: Callable[[str], Any], name: str) -> None:
    peer = fake(name)
    peer.away()
    with pytest.raises(peer.UnreachableError):
        Trial(peer).run()


class RecordedError(Exception):
    """A call was recorded, and not made."""


class Mark(str):
    """Stands for an argument, and is sent nowhere."""


class Seen:
    """What a method of a client would call."""

    method = route = ""
    sent: dict[str, Mapping[str, Any]]

    def call(self, method: str, route: str, arguments: Mapping[str, Any] | None = None, **rest: Any) -> Any:
        self.method, self.route = method, route
        self.sent = {"path": arguments or {}, "query": rest.get("query") or {}, "header": rest.get("headers") or {}}
        raise RecordedError


class Trial:
    def __init__(self, fake: Any) -> None:
        self.fake, self.operations = fake, fake.operations

    def run(self) -> None:
        """Call every method of the client, with examples of what it takes: with all of it, and with what it needs."""
        with self.fake.app.app_context():
            self.fake.module.ready()
            client = getattr(self.fake.module, self.fake.name)()
            for name, method in inspect.getmembers(type(client), inspect.isfunction):
                for everything in (True, False) if name != "__init__" else ():
                    found = getattr(client, name)(**self.arguments(method, everything))
                    if get_origin(get_type_hints(method)["return"]) is not None and hasattr(found, "__next__"):
                        list(islice(found, 3))

    def arguments(self, method: Any, everything: bool) -> dict[str, Any]:
        """Examples of what a method takes, from the contract."""
        hints, seen = get_type_hints(method), Seen()
        parameters = {name: one for name, one in inspect.signature(method).parameters.items() if name != "self"}
        marks: dict[str, Any] = {name: msgspec.UNSET if name == "body" else Mark(name) for name in parameters}
        with suppress(RecordedError):
            list(method(getattr(self.fake.module, method.__qualname__.partition(".")[0])(seen), **marks) or ())
        operation = next(
            one
            for one in self.operations
            if (one.verb.upper(), one.route) == (seen.method, re.sub(r"\{[^{}]*\}", "{}", seen.route))
        )
        self.fake.operations = [operation]  # An example may fit the path of another one as well.
        places = {str(mark): (place, name) for place, found in seen.sent.items() for name, mark in found.items()}
        arguments = {}
        for name, one in parameters.items():
            if not everything and one.default is not inspect.Parameter.empty:
                continue
            if name == "body":
                arguments[name] = self.example_body(operation, hints[name])
                continue
            place, wire = places[name]
            wire = operation.names[list(seen.sent["path"]).index(wire)] if place == "path" else wire
            pointer, parameter = operation.parameters[place, wire]
            value = self.fake.contract.example(pointer) if "schema" in parameter else "x"
            arguments[name] = msgspec.convert(value, hints[name], strict=False)
        return arguments

    def example_body(self, operation: Any, kind: Any) -> Any:
        content = {media: pointer for media, pointer in operation.content("requestBody").items() if pointer}
        wanted, several = _spoken(content) if content else "", (kind, *get_args(kind))
        struct = next((one for one in several if inspect.isclass(one) and issubclass(one, msgspec.Struct)), None)
        if not content or (struct is None and not _is_json(wanted)):
            return "x" if str in several else b"x"
        value = self.fake.contract.example(content[wanted])
        file = {"name": "a.txt", "content": "AA=="}
        if struct and not _is_json(wanted) and isinstance(value, dict):
            fields = {field.encode_name: str(field.type) for field in msgspec.structs.fields(struct)}
            files = {key: [file] if "list" in fields[key] else file for key in value if "File" in fields[key]}
            value = {**value, **files}
        return msgspec.convert(value, kind)
