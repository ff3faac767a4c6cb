"""A server of MongoDB's protocol in a thread of this process, with its data in a folder: for development.

Processes that use one folder share one server. The first serves, on a socket in the folder; when it ends, another one
takes over. So a reloader, workers and commands do not get in each other's way.
https://pypi.org/project/nx-27017/
"""

import os
import socket
from importlib.util import find_spec
from logging import getLogger
from pathlib import Path
from threading import Event, Thread
from typing import IO
from urllib.parse import quote

SCHEME = "file:"


def problem(url: str) -> str:
    """What is wrong with such a URL."""
    if not find_spec("nx_27017"):
        return f"{SCHEME} needs nx-27017, which is installed for development alone."
    # Linux takes 107 bytes for the path of a socket, macOS 103. https://man7.org/linux/man-pages/man7/unix.7.html
    long = len(os.fsencode(_socket(url))) > 100
    return f"Write {SCHEME} and the path of a folder, of at most 88 bytes." if long or url == SCHEME else ""


def address(url: str) -> str:
    return f"mongodb://{quote(str(_socket(url)), safe='')}/service"


def start(url: str) -> None:
    """Serve the folder: now, or when the process that serves it has ended."""
    import fcntl

    path, listening = _socket(url), Event()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = (path.parent / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # Another process does.
        listening.set()
    Thread(target=_serve, args=[path, lock, listening], name="mongodb", daemon=True).start()
    listening.wait(10)


def _socket(url: str) -> Path:
    return Path(url.removeprefix(SCHEME)) / "server.sock"


def _serve(path: Path, lock: IO[str], listening: Event) -> None:
    import fcntl

    with lock, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
        # Imported here, because it takes its time, and production does not have it.
        from nx_27017 import NeoSQLiteHandler
        from nx_27017.server import handle_client_threaded

        for name in ("neosqlite", "nx_27017"):  # They log commands.
            getLogger(name).setLevel("ERROR")
        handler = NeoSQLiteHandler(data_dir=str(path.parent))
        listening.set()
        while True:
            client, _ = listener.accept()
            Thread(target=handle_client_threaded, args=[client, handler], daemon=True).start()
