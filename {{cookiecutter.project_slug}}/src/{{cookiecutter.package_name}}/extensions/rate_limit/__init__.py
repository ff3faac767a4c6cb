"""Rate limits: how many requests a client may send in a second, a minute, an hour or a day.

    @bp.post("/orders")
    @rate_limit("10/minute")
    def create_order() -> ResponseReturnValue: ...

``RATE_LIMIT`` limits all requests of an address together. A client is told what is left in ``RateLimit``.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from flask import Flask, Response, after_this_request, current_app, g, request
from werkzeug.exceptions import TooManyRequests

from ...core.server import serving
from ...core.settings import ConfigError
from ..ephemeral import AwayError
from .memory import Memory

if TYPE_CHECKING:
    from ...core.settings import Env

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
RATE = r"([1-9]\d{0,8})/(" + "|".join(SECONDS) + ")"
HINT = "Must be such as 100/minute: a number per second, minute, hour or day."
PROBLEM = "https://iana.org/assignments/http-problem-types#quota-exceeded"

P = ParamSpec("P")
R = TypeVar("R")


class Rate(NamedTuple):
    """``quota`` requests in ``window`` seconds, which begin with the first request."""

    quota: int
    window: int

    @classmethod
    def of(cls, text: str) -> "Rate":
        """:raises ValueError: for what is no rate."""
        if not (found := re.fullmatch(RATE, text)):
            raise ValueError(f"{text!r} is no rate. {HINT}")
        return cls(int(found[1]), SECONDS[found[2]])


@dataclass
class Taken:
    """A request that was counted: the policy and its rate, how many requests are left, and for how many seconds."""

    name: str
    rate: Rate
    left: int
    seconds: int


class Store(Protocol):
    """Where requests are counted."""

    #: Whether all processes count together.
    shared: bool

    def count(self, key: str, window: int) -> tuple[int, float]:
        """Count a request, and return how many there were, and the seconds until the count begins anew.

        :raises AwayError: while the store does not answer.
        """


class Limits:
    """The limits of an application."""

    def __init__(self) -> None:
        self.store: Store = Memory()
        #: Each returns who asks, or "". The first name is used. Options that know users append to it.
        self.callers: list[Callable[[], str]] = []
        #: Called with the name of a policy and what came of it: ``allowed``, ``refused``, or ``open`` without a store.
        self.observers: list[Callable[[str, str], None]] = []

    def take(self, name: str, rate: Rate, who: str) -> None:
        """Count a request of a client. While the store does not answer, nobody is refused.

        :raises TooManyRequests: if there were too many.
        """
        try:
            count, seconds = self.store.count(f"{current_app.name}:rate_limit:{name}:{rate.window}:{who}", rate.window)
        except AwayError:
            result = "open"
        else:
            taken = Taken(name, rate, max(rate.quota - count, 0), ceil(seconds))
            g.setdefault("rate_limits", []).append(taken)
            result = "allowed" if count <= rate.quota else "refused"
        for observe in self.observers:
            observe(name, result)
        if result == "refused":
            error: Any = TooManyRequests(retry_after=taken.seconds)
            error.members = {"type": PROBLEM, "violated-policies": [name]}
            raise error


def config(env: "Env") -> dict[str, Any]:
    return {
        "RATE_LIMIT": env.text("RATE_LIMIT", "", pattern=f"({RATE})?", hint=HINT),
        "RATE_LIMIT_PER_PROCESS": env.flag("RATE_LIMIT_PER_PROCESS", False),
    }


def init_app(app: Flask) -> None:
    app.extensions["rate_limit"] = Limits()
    serving.connect(check, app)
    if app.config["RATE_LIMIT"]:
        rate = Rate.of(app.config["RATE_LIMIT"])

        def limit() -> None:
            static = (request.endpoint or "").rpartition(".")[2] == "static"
            if not static and request.path not in app.extensions["probes"] and (who := address()):
                app.extensions["rate_limit"].take("default", rate, who)

        # First, before anything asks a database for the user.
        app.before_request_funcs.setdefault(None, []).insert(0, limit)
        app.after_request(tell)


def check(app: Flask) -> None:
    """Refuse to start in production if each process counts for itself, unless a setting accepts that.

    :raises ConfigError: because a client could send as many requests to each worker.
    """
    limited = app.config["RATE_LIMIT"] or any(hasattr(view, "rate_limit") for view in app.view_functions.values())
    counts_apart = not app.extensions["rate_limit"].store.shared and not app.config["RATE_LIMIT_PER_PROCESS"]
    if limited and counts_apart and app.config["APP_ENV"] == "production":
        accept = "Set it to true to accept that each process counts for itself: here, no server counts for all."
        raise ConfigError(f"These settings are missing or wrong:\n  RATE_LIMIT_PER_PROCESS: {accept}")


def rate_limit(
    rate: str, by: Callable[[], str | None] | None = None, name: str = ""
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Limit a view, and answer 429 beyond. Write it below the route, what asks to sign in, and ``@operation``.

    :param rate: such as ``10/minute``.
    :param by: returns whose requests count together; by default ``caller``. If it returns nothing, there is no limit.
    :param name: of the policy, in headers; views with the same one count together. By default, the endpoint.
    :raises ValueError: for what is no rate.
    """
    parsed = Rate.of(rate)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def limited(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                if who := (by or caller)():
                    _limits().take(name or str(request.endpoint), parsed, who)
                return view(*args, **kwargs)
            finally:
                after_this_request(tell)  # Now, so that it is none of what a view has answered.

        cast(Any, limited).rate_limit = parsed
        return limited

    return decorate


def tell(response: Response) -> Response:
    """Tell the client the policies, and how many requests are left."""
    taken: list[Taken] = g.get("rate_limits", [])
    if taken:
        policies = [f'"{each.name}";q={each.rate.quota};w={each.rate.window}' for each in taken]
        response.headers["RateLimit-Policy"] = ", ".join(policies)
        response.headers["RateLimit"] = ", ".join(f'"{each.name}";r={each.left};t={each.seconds}' for each in taken)
    return response


def caller() -> str:
    """Who asks: the user, if that is known, or else the address."""
    return next((who for ask in _limits().callers if (who := ask())), "") or address()


def address() -> str:
    """The address of the client; for IPv6 its network, in which a client may use any address. Empty if there is none.

    Behind a proxy, set ``TRUSTED_PROXIES``: otherwise, all clients have the address of the proxy.
    """
    return _network(request.remote_addr or "")


@lru_cache(10_000)
def _network(client: str) -> str:
    try:
        found = ip_address(client)
    except ValueError:  # A socket that is a file.
        return ""
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or IPv6Network((int(found), 64), strict=False).network_address
    return f"address {found}"


def _limits() -> Limits:
    return cast(Limits, current_app.extensions["rate_limit"])
