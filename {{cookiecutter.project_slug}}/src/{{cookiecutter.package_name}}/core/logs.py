"""Logs: one JSON object a line on stderr, or readable lines in development.

Write ``structlog.get_logger().info("order_paid", order=7)``: the name of an event, then what belongs
to it. Lines of the standard library's ``logging`` come out the same, and each line has the id of
its request. https://www.structlog.org/
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from io import UnsupportedOperation
from select import PIPE_BUF, poll
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from flask import Flask
from structlog.typing import EventDict, Processor, WrappedLogger

from .redaction import Redaction
from .server import serving

if TYPE_CHECKING:
    from .settings import Env

#: What JSON leaves as it is, and some readers take for the end of a line or for a command to a terminal.
CONTROLS = re.compile("[\x80-\x9f\u2028\u2029]")

#: Long lines of this process are written one after the other.
LONG_LINES = Lock()

#: The id of the request that is being answered; empty outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="")


def config(env: "Env") -> dict[str, Any]:
    return {
        "LOG_LEVEL": env.text("LOG_LEVEL", "info", choices=["debug", "info", "warning", "error"]),
        "LOG_FORMAT": env.text(
            "LOG_FORMAT",
            "console" if env.name == "development" else "json",
            choices=["json", "console"],
        ),
    }


def init_app(app: Flask) -> None:
    """Configure the logs of this process; of several applications in it the last one decides."""
    level = logging.getLevelNamesMapping()[app.config["LOG_LEVEL"].upper()]
    app.extensions["redaction"] = redact = Redaction(app.config)
    if app.config["LOG_FORMAT"] == "json":
        renderers: list[Processor] = [_as_json, _redact_line(redact)]
    else:
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # With rich, if that happens to be installed, it would show the values of variables.
            exception_formatter=structlog.dev.plain_traceback,
        )
        renderers = [_redact_fields(redact), console, _redact_text(redact)]
    app.extensions["logs"] = [_add_request_id]
    structlog.configure(
        processors=[
            *app.extensions["logs"],
            _stamp,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Stderr,
    )
    root = logging.getLogger()
    root.handlers = [*(handler for handler in root.handlers if not isinstance(handler, Bridge)), Bridge()]
    root.setLevel(level)
    logging.getLogger("werkzeug").addFilter(_is_no_access)
    serving.connect(_log_serving)


class Bridge(logging.Handler):
    """Sends what libraries log through ``logging`` the way of all other lines."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10, 1), 5) * 10
        try:
            structlog.get_logger().log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 (a line that cannot be written must not fail a request)
            self.handleError(record)


class Stderr:
    """Writes lines to the stream, looked up for each because tests and servers replace it."""

    def __init__(self, *_: object) -> None:
        """Take what structlog gives to any logger."""

    def msg(self, line: bytes) -> None:
        try:
            if len(line) < PIPE_BUF:
                _write_at_once(line)
            else:
                with _whole_line(len(line)):
                    _write(line)
        except OSError:  # Whoever read the lines is gone, which must not end the service.
            pass

    debug = info = warning = error = critical = msg


def _write_at_once(line: bytes) -> None:
    """Write past the stream's buffer: its lock would have the threads wait for each other."""
    try:
        os.write(sys.stderr.fileno(), line + b"\n")
    except UnsupportedOperation:  # It is in memory, as in tests.
        _write(line)


def _write(line: bytes) -> None:
    sys.stderr.buffer.write(line + b"\n")
    sys.stderr.buffer.flush()


@contextmanager
def _whole_line(size: int) -> Iterator[None]:
    """Wait until a long line goes into a pipe at once: between its parts would be lines of other processes.

    https://man7.org/linux/man-pages/man7/pipe.7.html#DESCRIPTION
    """
    try:
        from fcntl import F_GETPIPE_SZ, LOCK_EX, LOCK_UN, fcntl, ioctl, lockf
        from termios import FIONREAD

        pipe = sys.stderr.fileno()
        most = max(fcntl(pipe, F_GETPIPE_SZ) // 2 - size, 0)
    except (ImportError, OSError):  # This is not Linux, or no pipe.
        yield
        return
    broken = poll()
    broken.register(pipe, 0)  # It tells, unasked, when nobody reads any more: then the pipe would stay full for ever.
    with LONG_LINES:
        lockf(pipe, LOCK_EX)
        try:
            while not broken.poll(0) and int.from_bytes(ioctl(pipe, FIONREAD, bytes(4)), sys.byteorder) > most:
                sleep(0.001)
            yield
        finally:
            lockf(pipe, LOCK_UN)


def _is_no_access(record: logging.LogRecord) -> bool:
    """Drop the access log of Flask's development server; the middleware writes a better one."""
    return '"%s" %s %s' not in str(record.msg)


def _add_request_id(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if current := request_id.get():
        event["request_id"] = current
    return event


def _stamp(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add the level and the time, which takes a third of what structlog's own processors take."""
    event["level"] = method
    event["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event


def _as_json(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    # What cannot be written, such as a lone surrogate or a cycle, must neither lose the line nor fail the request.
    try:
        line = orjson.dumps(event, default=str)
    except TypeError:
        with suppress(Exception):
            return json.dumps(event, default=str).encode()
        return json.dumps({str(name): ascii(value) for name, value in event.items()}).encode()
    return line if line.isascii() else CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", line.decode()).encode()


def _redact_line(redact: Redaction) -> Any:
    def redact_line(logger: WrappedLogger, method: str, line: bytes) -> bytes:
        if not redact.suspicious.search(line.lower()):  # Hardly any is.
            return line
        try:
            return _as_json(logger, method, redact(json.loads(line)))
        except RecursionError:
            return _as_json(logger, method, {"event": redact.text(line.decode())})

    return redact_line


def _redact_fields(redact: Redaction) -> Any:
    def redact_fields(logger: WrappedLogger, method: str, event: EventDict) -> Any:
        with suppress(RecursionError):
            return redact(event)
        return event

    return redact_fields


def _redact_text(redact: Redaction) -> Any:
    return lambda logger, method, line: redact.text(line).encode(errors="replace")


def _log_serving(app: Flask, address: str, workers: int) -> None:
    structlog.get_logger().info("serving", address=address, workers=workers)
