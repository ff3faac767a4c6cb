"""Calls to other services: clients that are made from contracts, and what all calls have in common.

``make client`` writes a package below ``clients`` from the contract of another service, an ordinary module of this
service. All its calls go through ``peer.py``: each has a deadline, is repeated where that is safe, and fails at once
while the other service is away. This service stays ready then, unless the setting ``..._REQUIRED`` is true. The URL of
the other service says whether it runs apart, ``http://orders:8000``, or in this process, ``wsgi://orders``.
"""

import re
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadGateway, GatewayTimeout

from .errors import MalformedError, PeerError, ProblemError, UnreachableError
from .in_process import application, in_process
from .peer import DEADLINE, EXPECTED, Answer, File, Observer, Peer, Tagged, commas, form_body, json_body, raw_body
from .transport import transport

if TYPE_CHECKING:
    from ...core.settings import Env

__all__ = [
    "Answer",
    "File",
    "MalformedError",
    "Peer",
    "PeerError",
    "ProblemError",
    "Tagged",
    "UnreachableError",
    "call_peer",
    "check",
    "commas",
    "form_body",
    "json_body",
    "peer",
    "raw_body",
    "settings",
]

URL = r"(https?://(\[[\da-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?|wsgi://[A-Za-z_]\w*)(/[^\s?#]*)?"


@dataclass
class Clients:
    """The services that one application calls, and who observes that."""

    peers: dict[str, Peer] = field(default_factory=dict)
    #: The applications of those that run in this process: a program may mount them as well.
    apps: dict[str, Flask] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)


def init_app(app: Flask) -> None:
    app.extensions["http_client"] = Clients()
    app.register_error_handler(PeerError, _answer)


def settings(env: "Env", name: str, local: str, token: bool = False) -> dict[str, Any]:
    """The settings of a client, for its ``config``.

    :param local: where the service is in development.
    :param token: whether there are operations that ask who calls.
    """
    prefix = name.upper()
    example = f"Must be a URL without a password, such as {local}, or wsgi://{name} for a package in this process."
    url = env.text(f"{prefix}_URL", "" if env.production else local, pattern=URL, hint=example)
    try:
        valid = bool(url) and urlsplit(url).port != 0
    except ValueError:  # The port is out of range, or the address is none.
        valid = False
    if not valid:
        env.refuse(f"{prefix}_URL", example)
    secret = {f"{prefix}_TOKEN": env.text(f"{prefix}_TOKEN", "", pattern=r"[!-~]*", hint="Must be one word.")}
    read = {
        f"{prefix}_URL": url if valid else local,
        # Seconds of a call, all its attempts included.
        f"{prefix}_TIMEOUT": env.number(f"{prefix}_TIMEOUT", 2.0, minimum=0.01, maximum=600),
        f"{prefix}_REQUIRED": env.flag(f"{prefix}_REQUIRED", False),
    } | (secret if token else {})
    if url.startswith("wsgi:"):  # Other settings with this prefix belong to the other service, in this process.
        rest = [key for key in env.values if key.startswith(f"{prefix}_") and key not in env.read]
        own = {key.removeprefix(f"{prefix}_"): env.values[key] for key in rest}
        read[f"{prefix}_SETTINGS"] = {"APP_ENV": env.name} | own
    return read


def call_peer(app: Flask, name: str, secret: tuple[str, str] = ("", "")) -> None:
    """Let an application call a service, for the ``init_app`` of its client.

    :param secret: the header for the token, and what precedes the token in it, such as ``Bearer``.
    """
    clients: Clients = app.extensions["http_client"]
    if not clients.peers:
        app.before_request(_expect)
        # Views do not catch what they cannot cure: any of them may answer so.
        app.extensions.get("api_errors", set()).update({502, 504})
    prefix, (header, scheme) = name.upper(), secret
    url, token = app.config[f"{prefix}_URL"], app.config.get(f"{prefix}_TOKEN", "")
    if url.startswith("wsgi:"):
        clients.apps[name] = application(f"{prefix}_URL", url, app.config[f"{prefix}_SETTINGS"])
        send = in_process(name, url, clients.apps[name])
    else:
        send = transport(name, url, app.config["WEB_THREADS"])
    said = (header, f"{scheme}{token}" if token else "")
    clients.peers[name] = Peer(name, url, app.config[f"{prefix}_TIMEOUT"], send, clients.observers, said)


def peer(name: str) -> Peer:
    """A service that this application calls."""
    found: Peer = current_app.extensions["http_client"].peers[name]
    return found


def check(name: str) -> None:
    """Raise while a required service does not answer, for the ``ready`` of its client."""
    if current_app.config[f"{name.upper()}_REQUIRED"]:
        peer(name).ready()


def _expect() -> None:
    """Note until when the caller of this service waits for its answer, because no call needs to take longer."""
    if re.fullmatch(r"\d{1,7}", given := request.headers.get(DEADLINE, "")):
        request.environ[EXPECTED] = monotonic() + int(given) / 1000


def _answer(error: PeerError) -> ResponseReturnValue:
    """Answer for a view that did not: what another service did is not a bug of this one."""
    structlog.get_logger().warning("peer_failed", peer=error.peer, reason=str(error))
    kind, what = (GatewayTimeout, "was too slow") if error.code == 504 else (BadGateway, "failed")
    answer: Any = kind(f"The service {error.peer}, which this one needs, {what}.")
    answer.members = {"peer": error.peer}
    return current_app.handle_http_exception(answer)
