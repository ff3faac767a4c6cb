"""Fetch, start and stop servers by hand: ``PYTHONPATH=tests .venv/bin/python -m servers start cassandra``.

``fetch`` downloads what the tests would download. ``start`` prints the URL of a server, which runs until ``stop``, and
has its data again when it is started again.
"""

import argparse

import pytest

from .archives import ARCHIVES, RefusedError, fetch
from .processes import listening
from .shared import FOLDERS, start, stop
from .stores import SERVERS

FOLDER = FOLDERS / "development"
#: Where each listens, if the port is free: what a service takes for granted.
PORTS = {"redis": 6379, "mongodb": 27017, "dynamodb": 8000, "cassandra": 9042, "rabbitmq": 5672}


def main() -> None:
    parser = argparse.ArgumentParser(prog="servers", description="Fetch, start and stop servers.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="download what is not there yet")
    for command in ("start", "stop"):
        commands.add_parser(command).add_argument("name", choices=SERVERS)
    given = parser.parse_args()
    try:
        if given.command == "fetch":
            for archive in ARCHIVES.values():
                print(fetch(archive))
        elif given.command == "start":
            port = PORTS[given.name]
            print(start(given.name, FOLDER, None if listening(port) else port).url)
        else:
            print("stopped" if stop(given.name, FOLDER) else "it did not run")
    except RefusedError as error:
        raise SystemExit(str(error)) from None
    except pytest.skip.Exception:  # What is missing has been said.
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
