"""Granian, the server behind ``serve``: Rust handles the connections, threads run the application.

https://github.com/emmett-framework/granian
"""

import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import repeat
from multiprocessing import Value, parent_process
from threading import Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from flask import Flask

from ..core.settings import Env

#: Granian writes names that begin like this for each request, whatever the process environment says.
REQUEST_KEYS = ("CONTENT_", "GATEWAY_", "HTTP_HOST", "PATH_INFO", "QUERY_", "REMOTE_", "REQUEST_", "SCRIPT_", "SERVER_")


def config(env: Env) -> dict[str, Any]:
    stripped = env.flag("PROXY_STRIPS_UNDERSCORES", False)
    # Granian hands X_Forwarded_For to the application as X-Forwarded-For, and nothing behind Granian can tell the two
    # apart: a client could choose the address that it seems to come from.
    if env.integer("TRUSTED_PROXIES", 0) and not stripped:
        needed = "Must be true for TRUSTED_PROXIES: proxies have to drop header names with underscores, as nginx does."
        env.refuse("PROXY_STRIPS_UNDERSCORES", needed)
    return {"PROXY_STRIPS_UNDERSCORES": stripped}


def init_app(app: Flask) -> None:
    app.extensions["server"] = run
    inner = app.wsgi_app
    # Granian copies the process environment, secrets included, into the environment of each request.
    leaked = [name for name in os.environ if not name.startswith(REQUEST_KEYS)]

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # This loop runs without the interpreter.
        deque(map(environ.pop, leaked, repeat(None)), maxlen=0)
        return inner(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]


def run(config: Mapping[str, Any], load: Callable[[], Flask], ready: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT, then answer the requests that have begun."""
    from granian import Granian, constants, http

    try:
        # Granian itself would share a port with another server of its kind.
        family = socket.AF_INET6 if ":" in config["HOST"] else socket.AF_INET
        socket.create_server((config["HOST"], config["PORT"]), family=family).close()
    except OSError as error:
        raise click.ClickException(f"{config['HOST']}:{config['PORT']}: {error.strerror}") from None
    # Threads wait for databases more than they compute; Granian warns about more of them than cores.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    granian = Granian(
        "create_app",
        interface=constants.Interfaces.WSGI,
        address=config["HOST"],
        port=config["PORT"],
        workers=config["WEB_CONCURRENCY"],
        blocking_threads=config["WEB_THREADS"],
        # Open connections of a worker, idle ones included; further ones wait.
        backpressure=1024,
        # With "auto", connections that never send a byte are kept for ever.
        http=constants.HTTPModes.http1,
        http1_settings=http.HTTP1Settings(header_read_timeout=config["IDLE_TIMEOUT"] * 1000, max_buffer_size=65536),
        # Otherwise the death of one worker ends the service.
        respawn_failed_workers=True,
        workers_kill_timeout=config["STOP_TIMEOUT"],
        # Granian's log lines are written like all others.
        log_dictconfig={"loggers": {"_granian": {}}, "handlers": {}},
    )
    granian.on_startup(ready)
    made = Value("i", 0)

    class Respawned(dict[int, float]):
        """When each worker was last started again. Granian ends if a worker dies within 5.5 seconds of its restart.

        Here, Granian ends only if no worker has made its application since: two requests that crash a worker do not end
        the service.
        """

        def __setitem__(self, index: int, moment: float) -> None:
            made.value = 0
            super().__setitem__(index, moment)

        def get(self, index: int, default: Any = None) -> Any:
            return default if made.value else super().get(index, default)

    granian.respawned_wrks = Respawned()
    # SIGTERM ends a worker that does not serve yet: the handler that it inherits from this process would lose the signal.
    os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
    granian.serve(target_loader=partial(worker, load, made), wrap_loader=False)


def worker(load: Callable[[], Flask], made: Any) -> Flask:
    """Make the application of a worker, which ends with the main process: an orphan would keep the port."""
    Thread(target=_end_with, args=[parent_process()], daemon=True).start()
    app = load()
    made.value += 1
    return app


def _end_with(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
