"""The contract: the types of a view are the checks of its requests, and its documentation.

    @bp.post("/notes")
    @operation(etag=True)
    def create_note(json: NoteIn) -> Created[NoteOut]:

It remains a view of Flask. Arguments called ``json``, ``query``, ``headers``, ``cookies`` and ``form``, and those of
the path, are decoded into their types; the return value is encoded by its type. The name of the view is the
operation's id, and its docstring the description: ``openapi.py`` writes both. https://jcristharif.com/msgspec/
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from hashlib import blake2b
from typing import Annotated, Any, Generic, Self, TypeVar, get_args, get_origin, get_type_hints

import click
import msgspec
import werkzeug
from flask import Flask, Response, abort, current_app, request
from msgspec import UNSET, Meta, Struct

from .security import authenticate
from .validation import PLACES, Invalid, Mistake, Texts, check, from_text

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
#: Methods that change only the version that the client has read.
CONDITIONAL = ("PUT", "PATCH", "DELETE")
#: What decoding raises; RecursionError is for a body that nests very deep.
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
encode = msgspec.json.Encoder().encode

Value = TypeVar("Value")

#: The number of a row; databases have no larger ones.
Id = Annotated[int, Meta(ge=1, le=2**31 - 1, examples=[1])]
#: A pattern for texts without U+0000, which not every database can store.
PRINTABLE = "^[^\\u0000]*$"


class Input(Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of what clients send: fields that nobody declared are refused."""


class Output(Struct, kw_only=True):
    """The base of what is answered. Fields have no defaults: an attribute that a model lacks would go unnoticed."""

    @classmethod
    def of(cls, model: object) -> Self:
        """Make an answer from an object with attributes of these names, such as a row of a database."""
        return msgspec.convert(model, cls, from_attributes=True)


class Created(Struct, Generic[Value]):
    """An answer with status 201 and the header Location: ``return Created(note, url_for(...))``."""

    value: Value
    location: str


class ContractError(click.ClickException):
    """The views of the service do not make one contract. Flask's command line prints the message and no traceback."""


def last_line(error: Exception) -> str:
    """What msgspec says of a type: the lines before explain types in general."""
    return str(error).rpartition("\n")[2].rstrip(".")


@dataclass(frozen=True)
class operation:  # noqa: N801 (it is a decorator)
    """Make a view an operation of the contract."""

    #: The status of success.
    status: int = 200
    _: KW_ONLY
    #: Headers that it sets, with their descriptions.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Further statuses that it may ``abort`` with.
    errors: Iterable[int] = ()
    #: Whether the answer has an ETag. Then GET answers 304 to clients that have the current version, and PUT, PATCH and
    #: DELETE require ``If-Match``: the view calls ``check_if_match``.
    etag: bool = False
    #: Further media types of the body than JSON, each with what decodes it to what JSON would be.
    further: Mapping[str, Callable[[bytes], object]] = field(default_factory=dict)
    #: The security scheme, or several, one of which is enough.
    security: str | tuple[str, ...] = ()
    #: What a caller has to be allowed, such as ``["notes:read"]``; ``[]`` is for every caller who is known. The security
    #: scheme is ``bearer`` unless ``security`` names another.
    scopes: Iterable[str] | None = None
    #: The media type of the answer: if that is not JSON, the view returns a text, bytes or a ``Response``.
    media_type: str = JSON
    #: The operation's id, if it is not the name of the view.
    operation_id: str = ""

    def __call__(self, view: Callable[..., object]) -> "Operation":
        return Operation(view, self)


class Operation:
    """A view with its contract around it."""

    def __init__(self, view: Callable[..., object], options: operation) -> None:
        functools.update_wrapper(self, view)
        self.view = view
        self.id = options.operation_id or view.__name__
        self.status = options.status
        self.headers = dict(options.headers)
        self.etag = options.etag
        self.further = options.further
        security = options.security or (() if options.scopes is None else "bearer")
        self.security = (security,) if isinstance(security, str) else security
        if isinstance(options.scopes, str):
            raise ContractError(f"{view.__qualname__} needs a list of scopes: [{options.scopes!r}].")
        self.scopes = frozenset(options.scopes or ())
        self.media_type = options.media_type
        self.arguments = get_type_hints(view, include_extras=True)
        if untyped := {*inspect.signature(view).parameters, "return"} - self.arguments.keys():
            raise ContractError(f"{view.__qualname__} needs types for {', '.join(sorted(untyped))}.")
        answer = self.arguments.pop("return")
        self.answer = get_args(answer)[0] if get_origin(answer) is tuple else answer
        if get_origin(self.answer) is Created:
            self.status, (self.answer,) = 201, get_args(self.answer)
            self.headers["Location"] = "Where it is."
        if inspect.isclass(self.answer) and issubclass(self.answer, werkzeug.Response | None):
            self.answer = None
        try:
            self.texts = {name: Texts(name, self.arguments.pop(name)) for name in PLACES if name in self.arguments}
            self.body = self.arguments.pop("json", None)
            self.decode = msgspec.json.Decoder(self.body).decode if self.body else None
        except (KeyError, TypeError) as error:
            raise ContractError(
                f"{view.__qualname__} has a type that requests cannot have: {last_line(error)}."
            ) from error
        #: The media type of the body.
        self.takes = self.texts["form"].form_type if "form" in self.texts else JSON if self.body else ""
        # The remaining arguments are those of the path.
        implied = [(400, 422, 500), *(getattr(texts.kind, "errors", ()) for texts in self.texts.values())]
        implied += [(404,)] if self.arguments else []
        implied += [(401, 403)] if self.security else []
        implied += [(413, 415)] if self.takes else []
        self.errors = set(options.errors).union(*implied)
        #: Further parameters of the document, which an option reads.
        self.parameters: list[dict[str, Any]] = []

    def __call__(self, **arguments: Any) -> Response:
        if self.security:
            authenticate(self.security, self.scopes)
        mistakes: list[Mistake] = []
        for name, value in arguments.items():
            arguments[name] = check(from_text(value, self.arguments[name]), self.arguments[name], mistakes)
        if mistakes:
            abort(404)
        if self.etag and request.method in CONDITIONAL and "If-Match" not in request.headers:
            abort(428, "Send If-Match with the ETag of what you have read.")
        if request.query_string and "query" not in self.texts:
            mistakes += [{"detail": "There is no such parameter.", "parameter": name} for name in request.args]
        if (
            self.takes not in ("", request.mimetype)
            and request.mimetype not in self.further
            and (request.method, request.mimetype) != ("PATCH", MERGE_PATCH)
        ):
            abort(415, f"Send {' or '.join([self.takes, *self.further])}.")
        for name, texts in self.texts.items():
            arguments[name] = texts.read(mistakes)
        if self.decode:
            arguments["json"] = self._body(mistakes)
        if mistakes:
            raise Invalid(f"There are {len(mistakes)} mistakes." if mistakes[1:] else mistakes[0]["detail"], mistakes)
        return self.run(arguments)

    def statuses(self, method: str, app: Flask) -> set[int]:
        """The errors that it may answer."""
        conditions = {412, 428} if self.etag and method in CONDITIONAL else ()
        return self.errors.union(conditions, app.extensions["api_errors"])

    def _body(self, mistakes: list[Mistake]) -> object:
        data, untyped = request.get_data(), self.further.get(request.mimetype)
        with suppress(*MALFORMED):
            if not untyped:
                return self.decode(data)  # type: ignore[misc]
        try:
            # Decoding stopped at the first mistake: the rest of the body may be malformed.
            return check((untyped or UNTYPED.decode)(data), self.body, mistakes)
        except MALFORMED:
            abort(400, "This is not JSON in UTF-8, or it nests too deep or has a number out of range.")

    def run(self, arguments: dict[str, Any]) -> Response:
        """Call the view, and encode what it returns: a value, or a value with a status and headers.

        In tests, ``fixtures/api/`` checks the answer against the contract.
        """
        result = self.view(**arguments)
        if isinstance(result, Response):
            return result
        if isinstance(result, Created):
            result = (result.value, self.status, {"Location": result.location})
        value, status, headers = (*result, self.status, None)[:3] if isinstance(result, tuple) else (result, None, None)
        body: Any = value if self.media_type != JSON else b"" if value is None else encode(value)
        response = current_app.response_class(body, status or self.status, headers, content_type=self.media_type)
        if self.etag and body:
            response.headers["ETag"] = current = f'"{_digest(response.data)}"'
            if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(current.strip('"')):
                return current_app.response_class(status=304, headers={"ETag": current})
        return response


def check_if_match(current: object) -> None:
    """Go on only if the client has seen ``current``, the representation that a GET answers now.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
    """
    if not request.if_match.contains(_digest(encode(current))):
        abort(412, "It has changed since you read it: read it again.")


def changed_fields(patch: Struct) -> dict[str, Any]:
    """The fields that a PATCH has sent; the others are ``UNSET``."""
    return {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _number(text: str) -> float:
    """To JSON Schema, 1.0 is an integer."""
    number: float = msgspec.json.decode(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


UNTYPED = msgspec.json.Decoder(float_hook=_number)
