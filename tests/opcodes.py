"""Counts the bytecodes of a request: ``python opcodes.py PACKAGE`` prints those of Flask alone, and of a service.

A program of its own, because tracers of coverage and of debuggers are in the way.
"""

import gc
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import repeat
from types import FrameType
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

#: As servers tell of a client.
CLIENT = {"REMOTE_ADDR": "192.0.2.1"}


def count(app: Flask, path: str = "/cost") -> int:
    """Answer a request, and count what the interpreter executes for it: by default, of a view that does nothing."""
    app.add_url_rule("/cost", view_func=lambda: {"hello": "world"})
    counted = 0

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return trace

    def answer(environ: dict[str, Any]) -> None:
        response: Any = app(environ, lambda *_: print)
        b"".join(response)
        if hasattr(response, "close"):
            response.close()

    # What is done once, such as compiling the routes, does not count, nor does what a server does.
    *once, environ = (EnvironBuilder(path, environ_base=CLIENT).get_environ() for _ in range(3))
    for each in once:
        answer(each)
    gc.disable()  # What it calls, and when, is no matter of the request.
    sys._getframe().f_trace_opcodes = True  # Python 3.12 wants to know before.
    sys.settrace(trace)
    try:
        answer(environ)
    finally:
        sys.settrace(None)
        gc.enable()
    return counted


if __name__ == "__main__":
    # Time stands still, because metrics look longer for the bucket of a request that took longer.
    time.perf_counter = repeat(0.0).__next__
    print(count(Flask("bare")), count(import_module(sys.argv[1]).create_app({"APP_ENV": "testing"})))
