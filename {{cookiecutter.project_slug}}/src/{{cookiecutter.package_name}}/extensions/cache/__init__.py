"""Values of functions and answers of views that are kept for a while, and computed once when many ask.

    @cached(300)
    def rates(day: str) -> dict[str, float]: ...

    @bp.get("/prices")
    @cached_view(60)
    def prices() -> ResponseReturnValue: ...

``rates.forget("2026-01-01")`` forgets one value, ``rates.forget_all()`` all of them.
https://www.rfc-editor.org/rfc/rfc9111
"""

from collections.abc import Callable, Collection, Sequence
from functools import update_wrapper
from hashlib import blake2b
from inspect import signature
from secrets import token_bytes
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, cast

import orjson
import structlog
from flask import Flask, Response, after_this_request, current_app, g, request, session
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from .. import ephemeral
from ..ephemeral import AwayError
from .memory import Memory

if TYPE_CHECKING:
    from ...core.settings import Env

#: Seconds for which others wait while one computes. Then the next one computes.
HOLD = 10
#: Seconds in which nobody waits for an answer after one that could not be kept.
PASS = 5
#: Conditions of a request. A view that is to be kept answers as if there were none.
CONDITIONS = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE"}
#: The headers that identify a client: what varies by them is kept only with ``by``, or for clients without them.
PERSONAL = {"authorization", "cookie"}

P = ParamSpec("P")
R = TypeVar("R")


class Store(Protocol):
    """Where entries are kept. Each method raises AwayError while that does not answer."""

    def read(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def write(self, key: str, value: bytes, seconds: float, touch: Sequence[str] = ()) -> None:
        """Keep a value, and let the existing keys of ``touch`` expire at the same time."""

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value unless the key has one, and return whether it was kept."""

    def remove(self, key: str) -> None: ...


def config(env: "Env") -> dict[str, Any]:
    # Bytes of each process, where no server keeps the entries. Your config.py may replace this.
    return {"CACHE_SIZE": 32 * 2**20}


def init_app(app: Flask) -> None:
    app.extensions["cache"] = Cache(Memory(app.config["CACHE_SIZE"]))


class Cache:
    """The entries of an application.

    An entry begins with the marks of its groups, which are random. To forget a group is to remove its mark: entries of
    before, also those that are being computed, begin with another one.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        #: Called with a name and what came of it: ``hit``, ``miss``, ``pass`` if it is not kept, ``away``.
        self.observers: list[Callable[[str, str], None]] = []

    def look(self, name: str, groups: Sequence[str], key: str, seconds: float) -> "bytes | Turn":
        """Return what is kept, or the turn to compute it: one at a time, while others wait."""
        turn = Turn(self.store, groups, key, seconds)
        try:
            found = turn.wait()
            result = "hit" if found else "miss" if turn.stamp else "pass"
        except AwayError:
            found, result, turn.stamp = None, "away", b""
        for observe in self.observers:
            observe(name, result)
        return found or turn

    def forget(self, group: str) -> None:
        try:
            self.store.remove(group)
        except AwayError:  # The caller has already written its data: after an error, it would repeat that.
            structlog.get_logger().warning("cache_not_forgotten", group=group)


class Turn:
    """The turn to compute an entry. It ends with ``keep`` or ``end``, or after ten seconds."""

    def __init__(self, store: Store, groups: Sequence[str], key: str, seconds: float) -> None:
        self.store, self.groups, self.key, self.seconds = store, groups, key, seconds
        self.started, self.mine, self.stamp = ephemeral.now(), False, b""

    def wait(self) -> bytes | None:
        """Return the entry, or None when it is to be computed, with a ``stamp`` if it is to be kept."""
        deadline, pause = monotonic() + HOLD, 0.002
        while True:
            *marks, entry = self.store.read([*self.groups, self.key])
            stamp = b"".join(mark for mark in marks if mark) if all(marks) else b""
            if stamp and entry and entry.startswith(stamp):
                self.end()
                return entry.removeprefix(stamp)
            if self.mine or monotonic() > deadline:
                self.stamp = stamp
                return None
            if self.store.add(f"{self.key}:lock", b"1", HOLD):
                self.mine = True  # Another thread may have kept it a moment ago: look once more.
                for group in self.groups:
                    self.store.add(group, token_bytes(8), self.seconds + HOLD)
            else:
                sleep(pause)
                pause = min(2 * pause, 0.05)

    def keep(self, entry: bytes) -> None:
        """Keep what was computed. After ``b""``, others compute it themselves for a while, without waiting."""
        left = (self.seconds if entry else min(self.seconds, PASS)) - (ephemeral.now() - self.started)
        try:
            if self.stamp and left > 0:
                self.store.write(self.key, self.stamp + entry, left, self.groups if entry else ())
        except AwayError:
            return
        self.end()

    def end(self) -> None:
        """Let the next one compute it."""
        try:
            if self.mine:
                self.store.remove(f"{self.key}:lock")
        except AwayError:  # Then the lock expires.
            pass


class Named:
    """A function whose results are kept under its name."""

    def __init__(self, function: Callable[..., object], seconds: float, name: str) -> None:
        update_wrapper(cast(Any, self), function)
        self.cached_as, self.seconds = name or f"{function.__module__}.{function.__qualname__}", seconds

    def forget_all(self) -> None:
        """Forget what is kept for all arguments."""
        self.cache.forget(self.whole)

    @property
    def cache(self) -> Cache:
        return cast(Cache, current_app.extensions["cache"])

    @property
    def whole(self) -> str:
        """The group of all entries. Services may share a server, so it has the name of the service."""
        return f"{current_app.name}:cache:{self.cached_as}"


class Cached(Named, Generic[P, R]):
    def __init__(self, function: Callable[P, R], seconds: float, name: str) -> None:
        if not name and "<" in function.__qualname__:  # Each call of the outer function makes another one.
            raise TypeError(f"{function.__qualname__} is not the only one of its name: @cached({seconds}, name=...)")
        super().__init__(function, seconds, name)
        self.function, self.signature = function, signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        group = self._group(*args, **kwargs)
        found = self.cache.look(self.cached_as, [self.whole, group], f"{group}:value", self.seconds)
        if isinstance(found, bytes):
            return cast(R, orjson.loads(found))
        try:
            value = self.function(*args, **kwargs)
            entry = orjson.dumps(value)
            if orjson.loads(entry) != value:
                raise TypeError(f"{self.cached_as} is cached as JSON, which would change {type(value).__name__}.")
        except BaseException:
            found.end()
            raise
        found.keep(entry)
        return value

    def forget(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Forget what is kept for these arguments."""
        self.cache.forget(self._group(*args, **kwargs))

    def _group(self, *args: P.args, **kwargs: P.kwargs) -> str:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return f"{self.whole}:{_digest(bound.arguments)}"


class CachedView(Named):
    def __init__(
        self,
        view: Callable[..., ResponseReturnValue],
        seconds: float,
        by: Callable[[], object] | None,
        vary: Collection[str],
    ) -> None:
        super().__init__(view, seconds, "")
        self.cached_view, self.by, self.vary = view, by, sorted(name.lower() for name in vary)

    def __call__(self, **arguments: Any) -> ResponseReturnValue:
        environ = request.environ
        known = {"HTTP_COOKIE", "HTTP_AUTHORIZATION"} & environ.keys() or g.get("user") is not None
        if request.method not in ("GET", "HEAD") or (known and not self.by):
            return self.cached_view(**arguments)
        who = str(self.by()) if self.by else ""
        headers = [request.headers.get(name, "") for name in self.vary]
        group = self._group(arguments)
        variant = _digest([request.endpoint, request.url_root, request.query_string.decode("latin-1"), who, headers])
        found = self.cache.look(self.cached_as, [self.whole, group], f"{group}:{variant}", self.seconds)
        if isinstance(found, bytes):
            return _answer(found)
        if not found.stamp or request.method == "HEAD":
            found.end()
            return self.cached_view(**arguments)
        of_request = cast(Any, session)._get_current_object()
        of_request.accessed = False  # From here on, it says whether the view looks at the session.
        conditions = {name: environ.pop(name) for name in CONDITIONS & environ.keys()}
        try:
            answer = current_app.make_response(self.cached_view(**arguments))
        except HTTPException:
            found.keep(b"")
            raise
        except BaseException:
            found.end()
            raise
        finally:
            environ |= conditions

        @after_this_request  # After those that the view has added.
        def keep(response: Response) -> Response:
            personal = not who and (of_request.accessed or g.get("user") is not None)
            if personal or of_request.modified or not self._may_be_kept(response):
                found.keep(b"")
                return response
            if who:
                response.headers.setdefault("Cache-Control", "private")
            headers = [[name, text] for name, text in response.headers if name != "Content-Length"]
            found.keep(orjson.dumps([found.started, headers]) + b"\n" + response.get_data())
            return _conditional(response)

        return answer

    def forget(self, **arguments: object) -> None:
        """Forget the answers for these arguments of the path, whatever else they depend on."""
        self.cache.forget(self._group(arguments))

    def _group(self, arguments: dict[str, Any]) -> str:
        return f"{self.whole}:{_digest({name: str(value) for name, value in arguments.items()})}"

    def _may_be_kept(self, response: Response) -> bool:
        refused = {"no-store"} if self.by else {"no-store", "private"}
        return (
            response.status_code == 200
            and not (response.is_streamed or response.direct_passthrough)
            and "Set-Cookie" not in response.headers
            and not refused & response.cache_control.keys()
            and PERSONAL.union(self.vary) >= {name.lower() for name in response.vary}
        )


def cached(seconds: float, name: str = "") -> Callable[[Callable[P, R]], Cached[P, R]]:
    """Keep what a function returns. Its arguments and what it returns are JSON: texts, numbers, lists, dictionaries.

    :param name: under which it is kept, if not that of the function. Change it together with what is returned.
    """
    return lambda function: Cached(function, seconds, name)


def cached_view(
    seconds: float,
    by: Callable[[], object] | None = None,
    vary: Collection[str] = ("Accept", "Accept-Language"),
) -> Callable[[Callable[..., ResponseReturnValue]], CachedView]:
    """Keep what a view answers to GET, by path, query, host and the headers in ``vary``. It stands below the route.

    A request with a cookie or credentials is answered by the view, and so is one whose answer tells who asks: not 200,
    Set-Cookie, ``private``, another ``Vary``, a look at the session, or a ``g.user``.

    :param by: who shares an answer, such as ``lambda: current_user.id``, or ``everybody``. It is asked at each request.
    """
    return lambda view: CachedView(view, seconds, by, vary)


def everybody() -> str:
    """Share an answer with people who have cookies or credentials as well: it does not depend on who they are."""
    return ""


def _answer(entry: bytes) -> Response:
    head, _, body = entry.partition(b"\n")
    started, headers = orjson.loads(head)
    response = current_app.response_class(body, headers=headers)
    response.headers["Age"] = str(max(int(ephemeral.now() - started), 0))
    return _conditional(response)


def _conditional(response: Response) -> Response:
    """Answer 304 if the client has the current version."""
    asked = CONDITIONS - {"HTTP_RANGE"} | {"REQUEST_METHOD"}
    response.make_conditional({name: request.environ[name] for name in asked & request.environ.keys()})
    return response


def _digest(value: object) -> str:
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
