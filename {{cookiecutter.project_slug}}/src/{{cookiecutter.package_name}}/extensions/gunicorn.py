"""Gunicorn, the server behind ``serve``: processes with threads.

https://docs.gunicorn.org/en/stable/settings.html
"""

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from select import select
from time import monotonic
from typing import Any

from flask import Flask

MEMORY = Path("/dev/shm")  # noqa: S108


def init_app(app: Flask) -> None:
    app.extensions["server"] = run


def run(config: Mapping[str, Any], load: Callable[[], Flask], ready: Callable[[], object]) -> None:
    """Serve until SIGTERM: what has been received by then is answered. SIGINT answers only what is running."""
    # Imported here, because nothing but this command needs it.
    from gunicorn.app.base import BaseApplication
    from gunicorn.errors import HaltServer
    from gunicorn.glogging import Logger
    from gunicorn.workers import gthread

    # Seconds for which a new connection that sends nothing occupies a thread. With 5 seconds, which is what Gunicorn
    # has, a dozen silent clients stop the service.
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.01

    class Logs(Logger):  # type: ignore[misc]
        def setup(self, cfg: Any) -> None:
            """Let the server's lines go the way of all others."""
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    class Worker(gthread.ThreadWorker):  # type: ignore[misc]
        def set_accept_enabled(self, enabled: bool) -> None:
            """At the end answer who has connected, and let nobody else: Gunicorn leaves the port open until it exits."""
            super().set_accept_enabled(enabled)
            if not self.alive:
                for listener in self.sockets:
                    while select([listener], [], [], 0)[0]:
                        self.accept(listener)
                    listener.close()
                # Connections that have sent nothing yet get a second for it, rather than IDLE_TIMEOUT.
                for connection in self.pending_conns:
                    connection.timeout = monotonic() + 1

    class Application(BaseApplication):  # type: ignore[misc]
        """See https://docs.gunicorn.org/en/stable/custom.html."""

        def load_config(self) -> None:
            settings = {
                "bind": f"[{config['HOST']}]:{config['PORT']}",
                "workers": config["WEB_CONCURRENCY"],
                "worker_class": Worker,
                "threads": config["WEB_THREADS"],
                # Open connections of a worker, idle ones included; further ones wait.
                "worker_connections": 1024,
                "backlog": 2048,
                "keepalive": config["IDLE_TIMEOUT"],
                "limit_request_line": 8190,
                "graceful_timeout": config["STOP_TIMEOUT"],
                "logger_class": Logs,
                "when_ready": lambda arbiter: ready(),
                # A worker inherits handlers that only take note of a signal: until it serves, it could not be stopped.
                "post_fork": lambda arbiter, worker: signal.signal(signal.SIGTERM, signal.SIG_DFL),
                # Which headers a proxy may set is for TRUSTED_PROXIES alone to say.
                "forwarded_allow_ips": "",
                # Both would need a disk: a heartbeat on a slow one blocks the worker, a read-only one stops the start.
                "worker_tmp_dir": str(MEMORY) if MEMORY.is_dir() else None,
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            return load()

    try:
        Application().run()
    except HaltServer as failure:  # Another worker failed to start while Gunicorn was ending for the first.
        sys.exit(failure.exit_status)
