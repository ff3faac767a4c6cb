"""A service that this one calls: requests, attempts within a deadline, and answers."""

import random
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic, sleep
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import structlog
from flask import has_request_context, request
from msgspec import UNSET, Struct

from ...core.logs import request_id
from .breaker import Breaker
from .errors import MalformedError, PeerError, ProblemError, UnreachableError
from .transport import Send

JSON = "application/json"
#: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2. A request with an Idempotency-Key may be repeated, too.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
#: Statuses that are temporary; and of these, those that are no fault of the caller.
PASSING = frozenset({429, 502, 503, 504})
TROUBLE = PASSING - {429}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
ATTEMPTS = 3
#: The milliseconds in which the caller expects the answer. There is no standard. This is the header that proxies know:
#: Envoy, and the meshes that are built on it, set it and take it away from strangers. ``Prefer: wait`` of RFC 7240 has
#: whole seconds; ``grpc-timeout`` is for gRPC.
DEADLINE = "X-Envoy-Expected-Rq-Timeout-Ms"
#: Where the time until which the answer to a request is expected is kept, in the request's environment.
EXPECTED = "service.deadline"

Value = TypeVar("Value")
#: Called when a call begins, with the service, the method, the route and the headers, which it may extend. It returns
#: a function that is called when the call has ended, with the status (0 if there is none) and the error.
Observer = Callable[[str, str, str, dict[str, str]], Callable[[int, PeerError | None], None]]

decoder = lru_cache(msgspec.json.Decoder)


class Tagged(Struct, Generic[Value]):
    """An answer, and its version: send ``etag`` as If-Match, or as If-None-Match."""

    value: Value
    etag: str


class File(Struct):
    """A file of a form."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


class Body(NamedTuple):
    media_type: str
    content: bytes


@dataclass
class Answer:
    """An answer."""

    peer: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def etag(self) -> str:
        return self.headers.get("ETag", "")

    def json(self, kind: Any) -> Any:
        """The content as a type.

        :raises MalformedError: if it is not JSON, or does not fit.
        """
        if self.media_type and not self.media_type.endswith("json"):
            raise MalformedError(self.peer, f"answered {self.media_type[:50]}, and not JSON")
        try:
            return decoder(kind).decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedError(self.peer, f"the answer does not fit the contract: {error}") from error

    def text(self) -> str:
        return self.content.decode(errors="replace")


class Peer:
    """Another service.

    :param seconds: what a call may take, all its attempts included.
    :param secret: a header, and its value, for operations that ask who calls.
    """

    def __init__(
        self, name: str, url: str, seconds: float, send: Send, observers: Sequence[Observer], secret: tuple[str, str]
    ) -> None:
        self.name, self.seconds, self.observers, self.secret = name, seconds, observers, secret
        self.prefix = urlsplit(url).path.rstrip("/")
        self.breaker = Breaker()
        #: Tests put something else here.
        self.send = send

    def call(
        self,
        method: str,
        route: str,
        arguments: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, object] | None = None,
        body: Body | None = None,
        accept: str = JSON,
        expect: Container[int] = (200,),
        secured: bool = False,
    ) -> Answer:
        """Call an operation. Values that are ``UNSET`` are left out.

        :param route: its path, with ``{name}`` for each argument.
        :param expect: the statuses of success.
        :raises ProblemError: for an answer that is an error.
        :raises UnreachableError: if there is no answer in time.
        :raises MalformedError: for any other answer.
        :raises ValueError: for an argument that would change the path.
        """
        target = self.prefix + route.format_map({name: segment(value) for name, value in (arguments or {}).items()})
        if query and (given := {name: text(value) for name, value in query.items() if value is not UNSET}):
            target += f"?{urlencode(given, doseq=True)}"
        sent = {"Accept": accept}
        if identifier := request_id():
            sent["X-Request-ID"] = identifier
        if secured and self.secret[1]:
            sent[self.secret[0]] = self.secret[1]
        if body:
            sent["Content-Type"] = body.media_type
        if headers:
            sent |= {name: str(text(value)) for name, value in headers.items() if value is not UNSET}
        deadline = monotonic() + self.seconds
        if has_request_context():
            deadline = min(deadline, request.environ.get(EXPECTED, deadline))
        ends = [begin(self.name, method, route, sent) for begin in self.observers]
        status, failure = 0, None
        try:
            answer = self._attempts(method, target, sent, body.content if body else None, deadline)
            status = answer.status
            if status not in expect:
                raise self._error(answer)
            return answer
        except PeerError as error:
            failure = error
            raise
        finally:
            for end in ends:
                end(status, failure)

    def ready(self) -> None:
        """Raise unless the service answers at all."""
        self.send("GET", self.prefix or "/", {}, None, self.seconds)

    def _attempts(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, deadline: float
    ) -> Answer:
        repeatable = method in IDEMPOTENT or "Idempotency-Key" in headers
        answer, error = None, UnreachableError(self.name, "no time is left for a call", late=True, delivered=False)
        for attempt in range(1, ATTEMPTS + 1):
            left = deadline - monotonic()
            if left <= 0:
                break
            if not self.breaker.admit(left):
                if attempt == 1:
                    error = UnreachableError(self.name, "has failed, and is left alone for a while")
                break
            headers[DEADLINE] = str(max(int(left * 1000), 1))
            answer = None
            try:
                answer = Answer(self.name, *self.send(method, target, headers, body, left))
            except UnreachableError as caught:
                error = caught
            failed = answer.status in TROUBLE if answer else True
            # Otherwise, callers with deadlines of a millisecond could open the breaker for everybody.
            impatient = answer is None and error.late and left < self.seconds / 2
            if not impatient and self.breaker.note(failed):
                structlog.get_logger().warning("peer_left_alone", peer=self.name)
            if answer and answer.status not in PASSING:
                return answer
            wait = random.uniform(0, 0.1 * 2**attempt)  # noqa: S311 (it only spreads calls)
            if answer:
                wait = max(wait, retry_after(answer.headers.get("Retry-After", "")))
            again = repeatable or (answer is None and not error.delivered)
            if not again or attempt == ATTEMPTS or monotonic() + wait >= deadline:
                break
            structlog.get_logger().info("call_repeated", peer=self.name, method=method, attempt=attempt)
            sleep(wait)
        if answer:
            return answer
        raise error

    def _error(self, answer: Answer) -> PeerError:
        if answer.status >= 400 or answer.status == 304:
            members: Any = {}
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                members = msgspec.json.decode(answer.content)
            return ProblemError(self.name, answer.status, members if isinstance(members, dict) else {}, answer.headers)
        if answer.status in REDIRECTS:
            where = answer.headers.get("Location", "")[:200]
            return MalformedError(
                self.name, f"answered {answer.status}, a redirect to {where!r}, which is not followed"
            )
        return MalformedError(self.name, f"answered {answer.status}, which its contract does not say")


def text(value: object) -> object:
    """A value as it is written in a query or a header."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return [text(part) for part in value]
    return str(value) if isinstance(value, str | int | float) else msgspec.to_builtins(value)


def commas(values: object) -> object:
    """Several values as one text, for parameters that must not be repeated."""
    return ",".join(str(text(value)) for value in values) if isinstance(values, list) else values


def segment(argument: object) -> str:
    """An argument as one segment of a path."""
    quoted = quote(str(text(argument)), safe="")
    if quoted in ("", ".", ".."):
        raise ValueError(f"{argument!r} cannot stand in a path.")
    return quoted


def json_body(value: object, media_type: str = JSON) -> Body | None:
    return None if value is UNSET else Body(media_type, msgspec.json.encode(value))


def raw_body(value: object, media_type: str) -> Body | None:
    if isinstance(value, str):
        return Body(media_type, value.encode())
    return Body(media_type, value) if isinstance(value, bytes) else None


def form_body(value: Any, multipart: bool) -> Body | None:
    """A struct as a form. Its fields are sent as text, as JSON, or as files."""
    if value is UNSET:
        return None
    fields = [(field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value)]
    pairs = [
        (name, part)
        for name, given in fields
        if given is not UNSET and given is not None
        for part in (given if isinstance(given, list) else [given])
    ]

    def plain(part: object) -> str:
        return str(text(part)) if isinstance(part, str | int | float) else msgspec.json.encode(part).decode().strip('"')

    if not multipart:
        encoded = urlencode([(name, plain(part)) for name, part in pairs])
        return Body("application/x-www-form-urlencoded", encoded.encode())
    from urllib3 import encode_multipart_formdata  # Here for the same reason as in transport.py.

    parts = [
        (name, (part.name, part.content, part.media_type) if isinstance(part, File) else plain(part))
        for name, part in pairs
    ]
    content, media_type = encode_multipart_formdata(parts)
    return Body(media_type, content)


def retry_after(given: str) -> float:
    """The seconds that an answer asks for; 0 if it does not. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    with suppress(ValueError):
        return max(float(given), 0)
    with suppress(OverflowError, ValueError):
        when = parsedate_to_datetime(given)
        return max((when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0)
    return 0
