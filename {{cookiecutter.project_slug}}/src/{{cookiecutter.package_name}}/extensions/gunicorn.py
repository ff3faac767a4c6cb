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
    """Serve until SIGTERM, then answer the requests that were received. SIGINT answers only those that have begun."""
    # Imported here, because nothing but this command needs it.
    from gunicorn.app.base import BaseApplication
    from gunicorn.errors import HaltServer
    from gunicorn.glogging import Logger
    from gunicorn.workers import gthread

    # Seconds for which a thread waits for the rest of a body that the view has not read.
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.25

    class Connection(gthread.TConn):  # type: ignore[misc]
        def wait_for_data(self, timeout: float) -> bool:
            """Wait briefly for a new connection to send: a dozen silent clients would otherwise occupy all threads."""
            return super().wait_for_data(0.01)  # type: ignore[no-any-return]

    gthread.TConn = Connection

    class Logs(Logger):  # type: ignore[misc]
        def setup(self, cfg: Any) -> None:
            """Send the server's log lines the same way as all others."""
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    class Worker(gthread.ThreadWorker):  # type: ignore[misc]
        def set_accept_enabled(self, enabled: bool) -> None:
            """At the end, accept waiting connections and close the port: Gunicorn leaves it open until it exits."""
            super().set_accept_enabled(enabled)
            if not enabled and not self.alive:
                while self.sockets:  # Each once: Gunicorn may call this again.
                    listener = self.sockets.pop()
                    while select([listener], [], [], 0)[0]:
                        self.accept(listener)
                    listener.close()
                # A connection that has sent nothing yet gets one second to do so, rather than IDLE_TIMEOUT.
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
                # A worker inherits handlers that only record a signal: nothing could stop the worker before it serves.
                "post_fork": lambda arbiter, worker: signal.signal(signal.SIGTERM, signal.SIG_DFL),
                # TRUSTED_PROXIES alone says which headers a proxy may set.
                "forwarded_allow_ips": "",
                # Both would need a disk: a slow disk blocks the worker's heartbeat, a read-only disk stops the start.
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
