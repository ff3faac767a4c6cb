"""Another service in this process: its package is installed beside this one, and a call needs no socket.

https://peps.python.org/pep-3333/
"""

import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from importlib import import_module
from io import BytesIO
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from click import ClickException
from flask import Flask
from werkzeug.wrappers import Response

from ...core.settings import ConfigError
from .errors import MalformedError, UnreachableError
from .transport import LARGEST, Send

#: The packages whose applications are being made for this one.
making: ContextVar[tuple[str, ...]] = ContextVar("making", default=())


class Answered(Response):
    """What was answered, without the media type that werkzeug gives to an answer that has none."""

    default_mimetype = None


def application(setting: str, url: str, config: Mapping[str, Any]) -> Flask:
    """Make the application that a setting names: ``BILLING_URL``, ``wsgi://billing``.

    :param config: its settings; what is not among them, it reads from the environment.
    :raises ConfigError: if there is no such service, or if it lacks a setting, which then has its name in this service.
    """
    package = urlsplit(url).netloc
    if package in making.get():
        raise ConfigError(f"The setting {setting} leads in a circle: {package} calls this service in the same process.")
    try:
        create_app = import_module(package).create_app
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{setting}: Must name a service that is installed beside this one: {error}") from error
    token = making.set((*making.get(), package))
    try:
        made: Flask = create_app(config)
    except ClickException as error:
        prefixed = re.sub(r"(?m)^( *)(?=[A-Z][A-Z0-9_]*: )", rf"\1{setting.removesuffix('URL')}", error.message)
        raise ConfigError(prefixed) from error
    finally:
        making.reset(token)
    return made


def in_process(name: str, url: str, app: Flask) -> Send:
    """Make a function that calls an application. The path of the URL is where it is mounted, for its ``url_for``."""
    prefix = urlsplit(url).path.rstrip("/")
    host = (app.config.get("TRUSTED_HOSTS") or ["localhost"])[0].lstrip(".")
    base: dict[str, Any] = {"SCRIPT_NAME": prefix, "HTTP_HOST": host, "SERVER_NAME": host, "SERVER_PORT": "80"}
    base |= {"SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0)}
    base |= {"wsgi.url_scheme": "http", "wsgi.input_terminated": True, "wsgi.run_once": False}
    base |= {"wsgi.multithread": True, "wsgi.multiprocess": True}

    def send(
        method: str, target: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        deadline, content = monotonic() + seconds, bytearray()
        path, _, query = target.removeprefix(prefix).partition("?")
        # Not by werkzeug's EnvironBuilder: a call would take half as long again.
        environ = base | {f"HTTP_{key.upper().replace('-', '_')}": value for key, value in headers.items()}
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": unquote(path, "latin-1") or "/", "QUERY_STRING": query}
        environ |= {"CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", ""), "CONTENT_LENGTH": str(len(body or b""))}
        environ |= {"wsgi.input": BytesIO(body or b""), "wsgi.errors": sys.stderr}
        try:
            with Answered.from_app(app, environ) as answer:
                for piece in answer.iter_encoded():
                    content += piece
                    if monotonic() > deadline or len(content) > LARGEST:
                        break
        except Exception:  # noqa: BLE001 (a server would log it, and answer 500)
            structlog.get_logger().exception("in_process_failed", peer=name)
            return 500, {}, b""
        if monotonic() > deadline:
            raise UnreachableError(name, "no whole answer in time", late=True)
        if len(content) > LARGEST:
            raise MalformedError(name, f"the answer has more than {LARGEST} bytes")
        received: Any = answer.headers  # It has all methods of a Mapping, and is none.
        return answer.status_code, received, bytes(content)

    return send
