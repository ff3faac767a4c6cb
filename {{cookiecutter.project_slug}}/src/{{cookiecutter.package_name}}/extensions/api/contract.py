"""The contract: what the types of a view say is what its requests are held to, and what is documented.

    @bp.post("/notes")
    @operation(201, headers={"Location": "Where the note is."}, etag=True)
    def create_note(json: NoteIn) -> tuple[Note, int, dict[str, str]]:

The view stays Flask's. ``json`` and ``query`` are decoded into their types, arguments of the path
into theirs; what is returned is encoded by its type. The name of the view is the operation's id, its
docstring the description, which ``document.py`` writes down. https://jcristharif.com/msgspec/
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from inspect import signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec
from flask import Flask, Response, abort, current_app, request
from msgspec import UNSET, Struct
from werkzeug.exceptions import UnprocessableEntity

PREFIX = "/api/v1"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
encode = msgspec.json.Encoder().encode


class Input(Struct, forbid_unknown_fields=True, kw_only=True):
    """The base of what clients send: fields that nobody declared are refused."""


class ContractError(Exception):
    """The views of the service do not make one contract."""


class Invalid(UnprocessableEntity):
    """A request that is understood and breaks a rule; ``errors`` says which, and where."""

    def __init__(self, detail: str, **where: str) -> None:
        super().__init__(detail)
        self.members = {"errors": [{"detail": detail, **where}]}


def operation(
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Iterable[int] = (),
    etag: bool = False,
    operation_id: str | None = None,
) -> Callable[[Callable[..., object]], "Operation"]:
    """Make a view an operation of the contract.

    :param status: what it answers when all is well.
    :param headers: headers that it sets, with their descriptions.
    :param errors: further statuses that it may ``abort`` with.
    :param etag: whether what it answers has a version. Then a GET is answered 304 to whoever has the
        current one, and PUT, PATCH and DELETE ask for ``If-Match``: the view calls ``match``.
    :param operation_id: what clients call it, if not the name of the view.
    """
    return lambda view: Operation(view, operation_id or view.__name__, status, headers or {}, errors, etag)


class Operation:
    """A view with its contract around it."""

    def __init__(
        self,
        view: Callable[..., object],
        operation_id: str,
        status: int,
        headers: Mapping[str, str],
        errors: Iterable[int],
        etag: bool,
    ) -> None:
        functools.update_wrapper(self, view)
        self.id = operation_id
        self.view = view
        self.status = status
        self.headers = dict(headers)
        self.errors = frozenset(errors)
        self.etag = etag
        self.arguments = get_type_hints(view, include_extras=True)
        if untyped := {*signature(view).parameters, "return"} - self.arguments.keys():
            raise ContractError(f"{view.__qualname__} needs types for {', '.join(sorted(untyped))}.")
        returned = self.arguments.pop("return")
        answer = get_args(returned)[0] if get_origin(returned) is tuple else returned
        self.answer = None if answer is type(None) else answer
        self.query = self.arguments.pop("query", None)
        fields = msgspec.structs.fields(self.query) if self.query else ()
        self.fields = {field.encode_name: field.type for field in fields}
        self.required = [field.encode_name for field in fields if field.required]
        self.body = self.arguments.pop("json", None)
        self.decode = msgspec.json.Decoder(self.body).decode if self.body else None

    def __call__(self, **arguments: Any) -> Response:
        for name, value in arguments.items():
            arguments[name] = _path_argument(value, self.arguments[name])
        if self.query or request.query_string:
            values = self._query()
            if self.query:
                arguments["query"] = msgspec.convert(values, self.query)
        if self.etag and request.method not in ("GET", "HEAD", "POST") and "If-Match" not in request.headers:
            abort(428, "Send If-Match with the ETag of what you have read.")
        if self.decode:
            arguments["json"] = self._body()
        return self._respond(self.view(**arguments))

    def _query(self) -> dict[str, Any]:
        """Each parameter by its type: none twice that is not a list, none that is unknown."""
        values: dict[str, Any] = {}
        try:
            unquote_to_bytes(request.query_string).decode()
        except UnicodeDecodeError:
            abort(400, "The query is not UTF-8.")
        for name, given in request.args.lists():
            if name not in self.fields:
                raise Invalid("There is no such parameter.", parameter=name)
            kind = self.fields[name]
            several = _is_list(kind)
            if len(given) > 1 and not several:
                raise Invalid("Send this parameter once.", parameter=name)
            try:
                values[name] = _text(given, kind) if several else _text(given[0], kind)
            except msgspec.ValidationError as error:
                raise Invalid(str(error), parameter=name) from None
        for name in self.required:
            if name not in values:
                raise Invalid("This parameter is required.", parameter=name)
        return values

    def _body(self) -> object:
        allowed = (JSON, MERGE_PATCH) if request.method == "PATCH" else (JSON,)
        if (
            request.mimetype not in allowed
            or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8"
            or request.headers.get("Content-Encoding", "identity").lower() != "identity"
        ):
            abort(415, f"Send {' or '.join(allowed)}, in UTF-8 and not compressed.")
        data = request.get_data()
        try:
            return self.decode(data)  # type: ignore[misc]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        try:
            # The first thing that is wrong has ended the decoding: what follows may be no JSON at all.
            read = _integers(msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            abort(400, "This is not JSON in UTF-8, or it nests too deep or has a number out of range.")
        try:
            return msgspec.convert(read, self.body, str_keys=True)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at ")
            raise Invalid(message, pointer=_pointer(path)) from None

    def _respond(self, result: object) -> Response:
        """Encode what a view has returned: a value, with a status and headers if it likes."""
        if isinstance(result, Response):
            return result
        value, *rest = result if isinstance(result, tuple) else (result,)
        status = rest[0] if rest else self.status
        headers = rest[1] if rest[1:] else None
        body = b"" if value is None else encode(value)
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        if app.testing or app.debug:
            # Structs are not validated when they are made: here mistakes show before production.
            msgspec.json.decode(body or b"null", type=self.answer)
            if status != self.status:
                raise ContractError(f"{self.id} answers {status}, and its contract says {self.status}.")
        response = app.response_class(body, status, headers, content_type=JSON)
        if self.etag and body:
            response.headers["ETag"] = current = f'"{_digest(body)}"'
            if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(current.strip('"')):
                return app.response_class(status=304, headers={"ETag": current})
        return response


def match(current: object) -> None:
    """Go on only if the client has seen ``current``, the representation that a GET answers now.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
    """
    if not request.if_match.contains(_digest(encode(current))):
        abort(412, "It has changed since you read it: read it again.")


def changes(patch: Struct) -> dict[str, Any]:
    """The fields that a PATCH has sent; the others are ``UNSET``."""
    return {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _is_list(kind: Any) -> bool:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return list in (plain, get_origin(plain))


def _path_argument(value: object, kind: Any) -> object:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        abort(404)


def _text(value: str | list[str], kind: Any) -> object:
    """A text of the query as its type, by JSON's own words: ``true`` and not ``1``, and no ``nan``."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        texts = value if isinstance(value, list) else [value]
        if not all(re.fullmatch(r"-?[0-9][0-9.eE+-]*|true|false", text) for text in texts):
            raise
        read = [_scalar(text) for text in texts]
        return msgspec.convert(read if isinstance(value, list) else read[0], kind)


def _integers(value: Any) -> Any:
    """To JSON Schema, 1.0 is an integer."""
    if isinstance(value, dict):
        return {name: _integers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_integers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _scalar(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _pointer(path: str) -> str:
    """``$.lines[0].price`` as a JSON pointer: https://www.rfc-editor.org/rfc/rfc6901"""
    return "#" + re.sub(r"\.|\[", "/", path.strip("`").removeprefix("$").replace("]", ""))
