"""What a cache and a limit cost a request, in process: neither, one that is not asked, in the process, and in Redis.

With an argument, this is the program that measures, in the environment of services.
"""

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

ROUNDS = 30
#: Requests a turn.
COUNT = 100


def inside(turns: int) -> None:
    """Print the microseconds of each turn, and the bytecodes of a request, by contender."""
    import flask_service
    from opcodes import CLIENT, count
    from werkzeug.test import EnvironBuilder

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    cache: Any = import_module("flask_service.extensions.cache")
    limits: Any = import_module("flask_service.extensions.rate_limit")
    memory: Any = import_module("flask_service.extensions.rate_limit.memory")

    def make(redis: bool = True, **config: str) -> Any:
        app = flask_service.create_app({"APP_ENV": "testing", "REDIS_URL": os.environ["REDIS_URL"], **config})
        if not redis:
            app.extensions["cache"].store = import_module("flask_service.extensions.cache.memory").Memory(2**25)
            app.extensions["rate_limit"].store = memory.Memory()

        def view() -> dict[str, str]:
            return {"hello": "world"}

        value = cache.cached(3600, "value")(lambda: {"hello": "world"})
        app.add_url_rule("/bare", "bare", view)
        app.add_url_rule("/view", "view", cache.cached_view(3600)(view))
        app.add_url_rule("/value", "value", lambda: value())
        app.add_url_rule("/limited", "limited", limits.rate_limit("100000000/day")(view))
        return app

    many = {"RATE_LIMIT": "100000000/day"}
    contenders = {
        "neither": (make(), "/bare"),
        "@cached_view, a hit in the process": (make(redis=False), "/view"),
        "@cached_view, a hit in Redis": (make(), "/view"),
        "@cached, a hit in the process": (make(redis=False), "/value"),
        "@cached, a hit in Redis": (make(), "/value"),
        "RATE_LIMIT, in the process": (make(redis=False, **many), "/bare"),
        "RATE_LIMIT, in Redis": (make(**many), "/bare"),
        "@rate_limit, in the process": (make(redis=False), "/limited"),
        "@rate_limit, in Redis": (make(), "/limited"),
    }

    def asking(app: Any, path: str) -> Callable[[], None]:
        def ask() -> None:
            response = app(EnvironBuilder(path, environ_base=CLIENT).get_environ(), lambda *_: print)
            b"".join(response)

        return ask

    counted = {name: count(app, path) for name, (app, path) in contenders.items()}
    asks = {name: asking(*contender) for name, contender in contenders.items()}
    measured: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(turns + 2):  # The first two warm up.
        for name, ask in sorted(asks.items(), reverse=number % 2 > 0):
            started = perf_counter()
            for _ in range(COUNT):
                ask()
            measured[name].append((perf_counter() - started) / COUNT * 1e6)
    print(json.dumps([{name: found[2:] for name, found in measured.items()}, counted]))


def main() -> None:
    import subprocess
    from pathlib import Path

    from measure import Goal, Ratio, Table, make, rounds, save, services_environment
    from running import clean_environment
    from servers import private

    service = make("limits", cache="yes", rate_limit="yes", redis="yes")
    path = os.pathsep.join([str(service / "src"), str(Path(__file__).parents[1] / "tests")])
    with private("redis") as server:
        subprocess.run(["redis-cli", "-p", str(server.port), "config", "set", "appendonly", "no"], check=True)
        env = clean_environment(PYTHONPATH=path, REDIS_URL=server.url)
        command = [services_environment() / "python", __file__, "--inside", str(rounds(ROUNDS))]
        told = subprocess.run(command, cwd=service, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    measured, counted = json.loads(told)
    base = measured["neither"]
    rows = [
        [name, f"{median(turns):.0f}", str(Ratio.of(turns, base)), f"{counted[name] - counted['neither']:+,}"]
        for name, turns in measured.items()
    ]
    note = "A request in process, with what the test client takes. A view that is neither costs what it did without the options."
    goals = [
        Goal("a request under a limit in Redis, beside one without", Ratio.of(measured["RATE_LIMIT, in Redis"], base), 3,
             why="it asks Redis once, and one round trip takes longer than everything else in the request."),
        Goal("a hit in the process, beside a view that computes nothing",
             Ratio.of(measured["@cached_view, a hit in the process"], base), 2),
    ]  # fmt: skip
    save("limits", [Table("Cache and limits", note, ["", "µs", "time, ratio", "bytecodes"], rows)], goals)


if __name__ == "__main__":
    inside(int(sys.argv[2])) if "--inside" in sys.argv else main()
