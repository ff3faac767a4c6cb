"""What strictness costs: 1 and 100 items through a generated API, beside bare Flask, which validates nothing.

Both in one process, by WSGI, in turns. The API bears the whole stack of the service: request id, access
log, security headers. With an argument, this is the program that measures, in the environment of services.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

ROUNDS = 40
#: Method, path, how many items are sent, how many requests are a turn, and the goal: times what bare Flask takes.
CASES = {
    "create 1": ("POST", "/bench/one", 1, 100, None),
    "create 100": ("POST", "/bench/many", 100, 10, 1.0),
    "read 1": ("GET", "/bench/one", 0, 100, None),
    "list 100": ("GET", "/bench/list", 0, 20, 0.5),
}
ITEM = {
    "title": "A note about something",
    "kind": "task",
    "tags": ["one", "two"],
    "author": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "due": "2026-11-21T08:00:00Z",
}


def call(app: Any, method: str, path: str, items: int) -> Callable[[], tuple[str, bytes]]:
    from werkzeug.test import EnvironBuilder

    body = json.dumps([ITEM] * items if items > 1 else ITEM).encode() if items else b""
    environ = EnvironBuilder(path=path, method=method, data=body, content_type="application/json").get_environ()
    status = ""

    def start_response(line: str, headers: Any, exc_info: Any = None) -> Any:
        nonlocal status
        status = line

    def run() -> tuple[str, bytes]:
        answer = app({**environ, "wsgi.input": io.BytesIO(body)}, start_response)
        try:
            return status[:3], b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()

    return run


def inside() -> None:
    """Print the microseconds of each turn."""
    import bare_items
    import flask_service

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    apps = {"bare": bare_items.create_app(), "api": flask_service.create_app()}
    measured: dict[str, dict[str, list[float]]] = {}
    for name, (method, path, items, count, _) in CASES.items():
        calls = {kind: call(app, method, path, items) for kind, app in apps.items()}
        (bare_status, bare_body), (status, answer) = (run() for run in calls.values())
        assert status == bare_status == ("201" if method == "POST" else "200"), (status, answer[:200])
        assert len(json.loads(bare_body)) == len(json.loads(answer))
        measured[name] = {kind: [] for kind in calls}
        for number in range(int(sys.argv[2])):
            for kind, run in sorted(calls.items(), reverse=number % 2 > 0):
                started = process_time()
                for _ in range(count):
                    run()
                measured[name][kind].append((process_time() - started) / count * 1e6)
    print(json.dumps(measured))


def main() -> None:
    import subprocess

    from manifest import answers_of
    from measure import CONTENDERS, Goal, Ratio, Table, make, rounds, save, services_environment, settings
    from running import clean_environment

    service = make("items", "resource.py", **answers_of("minimal") | {"api": "yes"})
    env = clean_environment(**settings(service))
    env["PYTHONPATH"] += f":{CONTENDERS}"
    command = [services_environment() / "python", __file__, "--inside", str(rounds(ROUNDS))]
    told = subprocess.run(command, cwd=service, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows, goals, bars = [], [], {}
    for name, turns in json.loads(told).items():
        ratio = Ratio.of(turns["api"], turns["bare"])
        bars[name] = ratio.median
        rows.append([name, str(ratio), f"{median(turns['api']):.0f}", f"{median(turns['bare']):.0f}"])
        if (goal := CASES[name][4]) is not None:
            goals.append(Goal(f"{name} items through the API, beside bare Flask", ratio, goal))
    note = (
        "Items with texts, a list, an object and a time in them. The generated API checks what comes in against their types "
        "and encodes what goes out by them; bare Flask reads and writes dictionaries, and checks nothing."
    )
    save(
        "items", [Table("Items through the API", note, ["", "time, ratio", "µs", "µs, bare Flask"], rows, bars)], goals
    )


if __name__ == "__main__":
    inside() if "--inside" in sys.argv else main()
