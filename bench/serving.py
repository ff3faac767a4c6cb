"""Requests a second, latency, CPU and memory of servers under full load, by wrk.

Every server runs two worker processes; all of them are up the whole time, and idle when it is not their turn. Options
are measured if they add something to a request, as bench/bytecodes.py has found.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from manifest import OPTIONS, answers_of, chosen
from measure import (
    BUILD,
    CONTENDERS,
    RESULTS,
    Goal,
    Ratio,
    Table,
    additions,
    cpu_seconds,
    interleave,
    make,
    memory,
    others_environment,
    postgresql,
    receiver,
    save,
    services_environment,
    settings,
    variants,
)
from running import Server, serving

ROUNDS, SECONDS, CONNECTIONS = 7, 2, 32
SLOW_ROUNDS, SLOW_CONNECTIONS = 5, 64
#: How many threads of a worker answer requests, unless a contender says otherwise: what the service has by itself.
THREADS = next(setting["example"] for setting in OPTIONS["core"]["settings"] if setting["name"] == "WEB_THREADS")
GTHREAD = "bare Flask, gunicorn gthread 2x4"
SAME = "bare Flask, granian"
FASTAPI = "bare FastAPI, uvicorn"
DJANGO = "bare Django, gunicorn gthread 2x4"
SIXTEEN = "minimal, WEB_THREADS=16"


@dataclass(frozen=True)
class Load:
    """What wrk and the kernel tell of one turn."""

    rate: float
    p50: float
    p99: float
    cpu: float
    megabytes: float


def load(server: Server, path: str, connections: int, *options: str) -> Load:
    """Send as much as the server takes, over connections that are kept; with further options of wrk."""
    before = cpu_seconds(server.process.pid)
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{SECONDS}s", *options, server.url + path]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(server.process.pid) - before
    assert not re.search("Non-2xx|Socket errors", told), told
    found = dict(re.findall(r"^ +(50|99)% +(\S+)", told, re.MULTILINE))
    count = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec: +(\S+)", told)[1])  # type: ignore[index]
    return Load(rate, _milliseconds(found["50"]), _milliseconds(found["99"]), used / count, memory(server.process.pid))


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def granian(application: str) -> list[str]:
    """How the server of services is started with another application: as extensions/granian.py does."""
    options = ["--interface", "wsgi", "--factory", "--http", "1", "--no-ws", "--no-access-log", "--port", "$PORT"]
    options += ["--workers", "2", "--blocking-threads", THREADS, "--backlog", "2048", "--backpressure", "1024"]
    return [f"{services_environment()}/granian", *options, application]


def bare_commands() -> dict[str, list[str]]:
    """How the others are started."""
    services, others = services_environment(), others_environment()
    gthread = ["--worker-class", "gthread", "--workers", "2", "--threads", "4", "--bind", "127.0.0.1:$PORT"]
    uvicorn = ["--workers", "2", "--no-access-log", "--log-level", "warning", "--port", "$PORT"]
    return {
        GTHREAD: [f"{services}/gunicorn", *gthread, "'bare_flask:create_app()'"],
        SAME: granian("bare_flask:create_app"),
        FASTAPI: [f"{others}/uvicorn", *uvicorn, "bare_fastapi:app"],
        DJANGO: [f"{others}/gunicorn", *gthread, "bare_django:app"],
    }


def start_bare(stack: ExitStack) -> dict[str, Server]:
    logs = BUILD / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return {
        name: stack.enter_context(
            serving(CONTENDERS, logs / f"bare{number}.log", ["sh", "-c", f"exec {' '.join(command)}"])
        )
        for number, (name, command) in enumerate(bare_commands().items())
    }


def start_service(stack: ExitStack, name: str, database: str, answers: dict[str, str], **others: str) -> Server:
    """Generate a service with the measured views and start it as in production; its log goes to a file."""
    options = chosen(answers)
    service = make(re.sub(r"\W+", "-", name), "operations.py" if "api" in options else "views.py", **answers)
    if "postgresql" in options:
        others["DATABASE_URL"] = database
    command = [f"{services_environment()}/python", "-m", "flask_service", "serve"]
    return stack.enter_context(serving(service, BUILD / "logs" / f"{name}.log", command, **settings(service, **others)))


def table(title: str, note: str, loads: dict[str, list[Load]], base: str) -> Table:
    rows, bars = [], {}
    for name, turns in loads.items():
        ratio = Ratio.of([turn.rate for turn in turns], [turn.rate for turn in loads[base]])
        bars[name] = ratio.median
        numbers = [f"{median(values):,.{digits}f}" for values, digits in _numbers(turns)]
        rows.append([name, str(ratio), *numbers])
    columns = ["", "requests, ratio", "a second", "p50, ms", "p99, ms", "CPU, µs a request", "memory, MB"]
    return Table(title, note, columns, rows, bars)


def _numbers(turns: list[Load]) -> list[tuple[list[float], int]]:
    return [
        ([turn.rate for turn in turns], 0),
        ([turn.p50 for turn in turns], 1),
        ([turn.p99 for turn in turns], 1),
        ([turn.cpu * 1e6 for turn in turns], 0),
        ([turn.megabytes for turn in turns], 0),
    ]


def rate(loads: dict[str, list[Load]], name: str, base: str) -> Ratio:
    return Ratio.of([turn.rate for turn in loads[name]], [turn.rate for turn in loads[base]])


def turns(servers: dict[str, Server], path: str, connections: int) -> dict[str, Callable[[], Load]]:
    """A turn of each; the first, which fills caches, does not count."""
    for server in servers.values():
        load(server, path, connections)
    return {name: lambda server=server: load(server, path, connections) for name, server in servers.items()}  # type: ignore[misc]


def need_wrk() -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; on Debian: apt-get install wrk")


def main() -> None:
    need_wrk()
    found = RESULTS / "bytecodes.json"
    free = json.loads(found.read_text()).get("free") if found.exists() else None
    if free is None:
        sys.exit(
            "What an option adds to a request is not known: make bench SCRIPTS='bench/bytecodes.py bench/serving.py'"
        )
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        servers = start_bare(stack)
        servers["minimal"] = start_service(stack, "minimal", database, answers_of("minimal"))
        servers["api"] = start_service(stack, "api", database, answers_of("api"))
        options = additions("api")
        with_options = {
            f"api with {label}": start_service(stack, f"api with {label}", database, options[name], **configured)
            for label, name, configured in variants(options, stack.enter_context(receiver()))
            if label not in free
        }
        small = interleave(turns(servers | with_options, "/bench/small", CONNECTIONS), ROUNDS)
    with ExitStack() as stack:
        bare = start_bare(stack)
        waiting = {GTHREAD: bare[GTHREAD], SAME: bare[SAME]}
        waiting["minimal"] = start_service(stack, "minimal", "", answers_of("minimal"))
        waiting[SIXTEEN] = start_service(stack, "threads", "", answers_of("minimal"), WEB_THREADS="16")
        slow = interleave(turns(waiting, "/bench/slow", SLOW_CONNECTIONS), SLOW_ROUNDS)
    tables = [
        table(
            "A small JSON answer",
            f'`{{"hello": "world"}}`, {CONNECTIONS} connections of wrk at full load, on the same two cores as the '
            f"server; latency is what that leaves. Two worker processes each, with {THREADS} threads where it is not "
            "said otherwise. For `api` the view is an operation of its contract. A service does all that it does in "
            "production: request id, security headers, metrics, and an access log, to a file; the others write no "
            "access log. The view of FastAPI is `async def`, which is its faster one; Django has no middleware. "
            "Memory is of all processes, with what they share counted once. An option is here if it adds to a request.",
            small,
            GTHREAD,
        ),
        table(
            "A view that waits for 10 ms",
            f"{SLOW_CONNECTIONS} connections: how many requests wait at once is a matter of threads, and of how many "
            f"of them a server keeps busy. A service has {THREADS} unless it is told otherwise.",
            slow,
            GTHREAD,
        ),
    ]
    goals = [
        Goal(
            "`api`, requests a second beside bare Flask on gunicorn gthread 2x4",
            rate(small, "api", GTHREAD),
            1.5,
            True,
            why="the rate of gunicorn's threads differs by a factor of two or more between rounds, as the spread shows. By CPU a "
            "request, `api` takes two thirds of it.",
        ),
        Goal(
            "`api`, requests a second beside bare Flask on the same server",
            rate(small, "api", SAME),
            0.8,
            True,
            why="half of what a request costs beyond bare Flask is its line in the log, and of that most is the system call: "
            "while a thread writes, another takes the interpreter, and both wait. Without the access log the ratio is 0.87. "
            "Writing past the lock of the stream's buffer gained 0.05. One thread that writes what all have to say gained "
            "another 0.04 and was left: a worker that is killed would lose those lines, and one whose reader is slow would "
            "keep them in memory. The rest are the checks of the operation, metrics that worker processes share, and the "
            "headers.",
        ),
        Goal(
            "`api`, requests a second beside bare FastAPI on uvicorn",
            rate(small, "api", FASTAPI),
            1.0,
            True,
            why="the view of FastAPI is answered on the event loop, without a thread, a line in the log, metrics or checks, and "
            "takes about half of the CPU a request.",
        ),
        Goal(
            "a view that waits for 10 ms, with WEB_THREADS=16, beside gthread 2x4",
            rate(slow, SIXTEEN, GTHREAD),
            3.3,
            True,
        ),
    ]
    save("serving", tables, goals)


if __name__ == "__main__":
    main()
