"""Granian, the server behind ``serve``: Rust handles the connections, threads run the application.

https://github.com/emmett-framework/granian
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import repeat
from multiprocessing import parent_process
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from flask import Flask

from ..core import server

if TYPE_CHECKING:
    from ..core.settings import Env

#: What Granian itself writes for each request, whatever the process environment says.
REQUEST_KEYS = {
    *("CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "HTTP_HOST", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR"),
    *("REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE"),
}


def config(env: "Env") -> dict[str, Any]:
    stripped = env.flag("PROXY_STRIPS_UNDERSCORES", False)
    # Granian hands X_Forwarded_For to the application as X-Forwarded-For, and nothing behind it can
    # tell the two apart: a client could choose the address that it seems to come from.
    if env.integer("TRUSTED_PROXIES", 0) and not stripped:
        env.refuse(
            "PROXY_STRIPS_UNDERSCORES",
            "Must be true for TRUSTED_PROXIES: the proxies have to drop header names with underscores, as nginx does.",
        )
    return {"PROXY_STRIPS_UNDERSCORES": stripped}


def init_app(app: Flask) -> None:
    app.extensions["server"] = run
    inner = app.wsgi_app
    # Granian copies the process environment, secrets included, into the environment of each request.
    leaked = os.environ.keys() - REQUEST_KEYS

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # It is a new dictionary for each request. This loop runs without the interpreter.
        deque(map(environ.pop, leaked, repeat(None)), maxlen=0)
        return inner(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]


def run(config: Mapping[str, Any]) -> None:
    """Serve until SIGTERM or SIGINT; requests that are being answered then are answered."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    # Threads wait for databases more than they compute; Granian warns about more of them than cores.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    granian = Granian(
        "create_app",
        interface=Interfaces.WSGI,
        address=config["HOST"],
        port=config["PORT"],
        workers=config["WEB_WORKERS"],
        blocking_threads=config["WEB_THREADS"],
        backlog=config["WEB_BACKLOG"],
        # Connections, not requests: idle ones count as well.
        backpressure=server.CONNECTIONS,
        # With "auto", connections that never send a byte are kept for ever.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=config["IDLE_TIMEOUT"] * 1000, max_buffer_size=65536),
        websockets=False,
        # Otherwise the death of one worker ends the service.
        respawn_failed_workers=True,
        workers_kill_timeout=config["STOP_TIMEOUT"],
        # Its lines go the way of all others.
        log_dictconfig={"loggers": {"_granian": {}}, "handlers": {}},
    )
    # Granian would share a port that another of its kind listens on, or is about to.
    family = socket.AF_INET6 if ":" in config["HOST"] else socket.AF_INET
    claim = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            claim.bind(f"\0{config['HOST']}:{config['PORT']}")
        socket.create_server((config["HOST"], config["PORT"]), family=family).close()
    except OSError as error:
        raise click.ClickException(f"{config['HOST']}:{config['PORT']}: {error.strerror}") from None
    granian.serve(target_loader=load, wrap_loader=False)


def load() -> Flask:
    """Make the application of a worker, and see that the worker ends when it should."""
    app = server.load()
    threading.Thread(target=_end_with_parent, args=(app.config["STOP_TIMEOUT"],)).start()
    return app


def _end_with_parent(timeout: int) -> None:
    """End the worker with the main process, even a killed one, but not before its last request is logged.

    :param timeout: seconds that running requests have to end.
    """
    main, parent = threading.main_thread(), parent_process()
    while main.is_alive() and parent and parent.pid == os.getppid():
        main.join(1)
    deadline = monotonic() + timeout
    if main.is_alive():
        os.kill(os.getpid(), signal.SIGTERM)
        main.join(timeout)
    # The main thread ends when the last byte is sent; the thread that sent it still has to close its request.
    while _requests() and monotonic() < deadline:
        sleep(0.01)
    if main.is_alive():
        os._exit(1)


def _requests() -> set[int]:
    """The threads that run Python and that Python has not started: those in which Granian answers requests."""
    started = {thread.ident for thread in threading.enumerate() if not isinstance(thread, threading._DummyThread)}
    return sys._current_frames().keys() - started
