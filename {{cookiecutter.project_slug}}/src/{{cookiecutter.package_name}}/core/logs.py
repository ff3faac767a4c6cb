"""Logs: one JSON object a line on stderr, or readable lines in development.

``structlog.get_logger().info("order_paid", order=7)`` and ``logging`` come out the same. What ``bind_contextvars`` was
given stands on each line of a request, and so does the id of the request.
https://www.structlog.org/en/stable/standard-library.html
"""

import json
import logging
import os
import sys
from contextlib import suppress
from functools import partial
from typing import Any, cast
from weakref import WeakSet

import orjson
import structlog
from flask import Flask, current_app
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.processors import StackInfoRenderer, TimeStamper, add_log_level, format_exc_info
from structlog.stdlib import ExtraAdder, LoggerFactory, ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor, WrappedLogger

from .redaction import Redaction
from .settings import Env

#: What each line is made of.
FIELDS: list[Processor] = [merge_contextvars, TimeStamper(fmt="iso", utc=True)]
#: What a line has besides, unless it is one of the access log.
DETAILS: list[Processor] = [add_log_level, add_logger_name, ExtraAdder(), StackInfoRenderer(), format_exc_info]


def config(env: Env) -> dict[str, Any]:
    console = "console" if env.name == "development" else "json"
    return {
        "LOG_LEVEL": env.text("LOG_LEVEL", "info", choices=["debug", "info", "warning", "error"]),
        "LOG_FORMAT": env.text("LOG_FORMAT", console, choices=["json", "console"]),
    }


def init_app(app: Flask) -> None:
    """Configure the logs of this process. Each of its applications has its own level; the last one sets the format."""
    level, root = logging.getLevelNamesMapping()[app.config["LOG_LEVEL"].upper()], cast(Any, logging.getLogger())
    earlier = [other for other in root.handlers if hasattr(other, "living")]
    lowest = min(level, root.level) if earlier else level
    living = earlier[0].living if earlier else WeakSet()
    redaction = Redaction(app.config, living)
    render = _as_json if app.config["LOG_FORMAT"] == "json" else structlog.dev.ConsoleRenderer(sys.stderr.isatty())
    last: list[Processor] = [redaction.process, render]
    handler: Any = logging.StreamHandler(Stderr())
    handler.living = living
    handler.addFilter(lambda record: record.levelno >= (current_app or app).extensions["log_level"])
    processors = [ProcessorFormatter.remove_processors_meta, *last]
    handler.setFormatter(ProcessorFormatter(processors=processors, foreign_pre_chain=FIELDS + DETAILS))
    structlog.configure(
        processors=[*FIELDS, *DETAILS, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=LoggerFactory(),
    )
    root.handlers = [handler, *(other for other in root.handlers if other not in earlier)]
    root.setLevel(lowest)
    # Flask's development server has an access log, too; the one of the middleware says more.
    handler.addFilter(lambda record: '"%s" %s %s' not in str(record.msg))
    write = partial(_write, handler.stream, FIELDS + last) if level <= logging.INFO else lambda event: None
    app.extensions |= {"access_log": write, "log_level": level, "redaction": redaction}


def request_id() -> str:
    """The id of the request that is being answered; empty outside of requests."""
    return str(get_contextvars().get("request_id", ""))


class Stderr:
    """A stream that writes each line by one system call: lines of several processes do not mix, up to 4 KiB each."""

    def write(self, line: str) -> None:
        # The stream may be closed, or nobody reads it any more, which must not end the service.
        with suppress(OSError):
            os.write(2, line.encode(errors="backslashreplace")) if sys.__stderr__ else None


def _as_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # A lone surrogate or a large number, which must not lose the line.
        return json.dumps(event, default=str)


def _write(stream: Stderr, processors: list[Processor], line: Any) -> None:
    """Write the line of a request without ``logging``, which takes longer than the rest of the middleware."""
    for processor in processors:
        line = processor(None, "info", line)
    stream.write(f"{line}\n")
