"""Gunicorn, the server behind ``serve``: processes with threads.

https://docs.gunicorn.org/en/stable/settings.html
"""

import logging
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from select import select
from selectors import EVENT_READ
from time import monotonic
from typing import Any

from flask import Flask

from ..core import server

MEMORY = Path("/dev/shm")  # noqa: S108

#: What a client may have put into a request that cannot be read, and query strings: both can hold secrets.
CONFIDENTIAL = re.compile(r"(?s)(?<=^Invalid request from ip=)(\S+: [\w ]*).*|\?\S*")


def init_app(app: Flask) -> None:
    app.extensions["server"] = run


def run(config: Mapping[str, Any]) -> None:
    """Serve until SIGTERM: what has been received by then is answered. SIGINT answers only what is running."""
    # Imported here, because nothing but this command needs it.
    from gunicorn.app.base import BaseApplication
    from gunicorn.errors import HaltServer
    from gunicorn.glogging import Logger
    from gunicorn.workers.gthread import TConn, ThreadWorker

    class Logs(Logger):  # type: ignore[misc]
        def setup(self, cfg: Any) -> None:
            """Let the server's lines go the way of all others."""
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True
            self.error_log.addFilter(_remove_confidential)

    class Connection(TConn):  # type: ignore[misc]
        def close(self, graceful: bool = False) -> None:
            """Wait in a thread for the client to close: Gunicorn would let all other connections wait, for 2 seconds."""
            if graceful:
                self.pool.submit(partial(TConn.close, self, True))
            else:
                super().close()

    class Worker(ThreadWorker):  # type: ignore[misc]
        def accept(self, listener: Any) -> None:
            """Take a connection; until it has sent something it costs no thread, which Gunicorn would wait in."""
            try:
                client, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            self.nr_conns += 1
            connection = Connection(self.cfg, client, address, listener.getsockname())
            connection.pool = self.tpool
            connection.set_timeout()
            self.pending_conns.append(connection)
            self.poller.register(client, EVENT_READ, partial(self.on_pending_socket_readable, connection))

        def _cap_keepalive(self, deadline: float) -> None:
            """At the end answer who has connected, and let nobody else: Gunicorn leaves the port open until it exits."""
            for listener in self.sockets:
                while select([listener], [], [], 0)[0]:
                    self.accept(listener)
                listener.close()
            # Idle connections, and silent ones, may be sending something just now.
            for connection in (*self.keepalived_conns, *self.pending_conns):
                connection.timeout = min(connection.timeout, monotonic() + 1)

    class Application(BaseApplication):  # type: ignore[misc]
        """See https://docs.gunicorn.org/en/stable/custom.html."""

        def load_config(self) -> None:
            settings = {
                "bind": f"[{config['HOST']}]:{config['PORT']}",
                "workers": config["WEB_WORKERS"],
                "worker_class": Worker,
                "threads": config["WEB_THREADS"],
                "worker_connections": server.CONNECTIONS,
                "backlog": config["WEB_BACKLOG"],
                "keepalive": config["IDLE_TIMEOUT"],
                "limit_request_line": 8190,
                "graceful_timeout": config["STOP_TIMEOUT"],
                "logger_class": Logs,
                # Which headers a proxy may set is for TRUSTED_PROXIES alone to say.
                "forwarded_allow_ips": "",
                # Both would need a disk: a heartbeat on a slow one blocks the worker, and a
                # read-only one stops the start.
                "worker_tmp_dir": str(MEMORY) if MEMORY.is_dir() else None,
                "control_socket_disable": True,
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Flask:
            return server.load()

    try:
        Application().run()
    except HaltServer as failure:  # Another worker failed to start while Gunicorn was ending for the first.
        sys.exit(failure.exit_status)


def _remove_confidential(record: logging.LogRecord) -> bool:
    record.msg, record.args = CONFIDENTIAL.sub(r"\1", record.getMessage()), None
    return True
