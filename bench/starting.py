"""Starting: making an application in a new process, and a server until its first answer."""

import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from manifest import answers_of
from measure import (
    CONTENDERS,
    Cost,
    Goal,
    Ratio,
    Table,
    cost,
    cpu_seconds,
    interleave,
    make,
    memory,
    postgresql,
    save,
    services_environment,
    settings,
)
from running import clean_environment, free_port
from serving import DJANGO, FASTAPI, GTHREAD, SAME, bare_commands

ROUNDS, SERVER_ROUNDS = 15, 7
BARE = "bare Flask"


def first_answer(command: list[str], folder: Path, **variables: str) -> tuple[Cost, float]:
    """Start a server, wait for its first 200, and return what that took and its memory then, in MB."""
    port = free_port()
    env = clean_environment(HOST="127.0.0.1", PORT=str(port), **variables)
    quiet = subprocess.DEVNULL
    started = perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        while not _answers(port):
            assert process.poll() is None, f"{command} has ended"
            sleep(0.002)
        seconds = perf_counter() - started
        return Cost(seconds, cpu_seconds(process.pid)), memory(process.pid)
    finally:
        process.terminate()
        # Some do not end when they are told so early.
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    with suppress(OSError):
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    return False


def processes(services: dict[str, tuple[Path, dict[str, str]]]) -> tuple[Table, list[Goal]]:
    """A new process that makes an application."""
    python = services_environment() / "python"
    contenders = {BARE: lambda: cost([python, "-c", "import bare_flask; bare_flask.create_app()"], CONTENDERS)}
    for name, (folder, variables) in services.items():
        code = "import flask_service; flask_service.create_app()"
        contenders[name] = lambda folder=folder, variables=variables, code=code: cost(  # type: ignore[misc]
            [python, "-c", code], folder, **variables
        )
    for start in contenders.values():
        start()
    costs = interleave(contenders, ROUNDS)
    cpu = {name: [each.cpu for each in each_round] for name, each_round in costs.items()}
    ratios = {name: Ratio.of(cpu[name], cpu[BARE]) for name in cpu}
    table = Table(
        "Making an application",
        "A new process of Python that imports the application and calls `create_app()`: its CPU, from the start of "
        "the interpreter to its end. Almost all of it is importing.",
        ["", "CPU, ratio", "ms"],
        [[name, str(ratios[name]), f"{median(cpu[name]) * 1000:.0f}"] for name in cpu],
        {name: ratio.median for name, ratio in ratios.items()},
    )
    return table, [
        Goal(
            "`create_app()` of `minimal`",
            ratios["minimal"],
            1.15,
            why="importing structlog takes as long as this goal allows, half of it asyncio, which structlog's "
            "`stdlib` module imports and no request uses; all that is the service's own comes to 0.06. Reading settings "
            "without environs and marshmallow took it down from 1.48.",
        ),
        Goal(
            "`create_app()` of `api`",
            ratios["api"],
            3,
            why="Flask with SQLAlchemy's ORM alone takes 2.6 to 2.9 times as long to import as Flask, and psycopg adds 0.5. "
            "Alembic is imported for migrations only, which took it down from 4.7. Importing psycopg with the first "
            "connection was left: every worker would then do it during a request, rather than the server once before "
            "it forks them, and the goal would still be missed.",
        ),
    ]


def servers(services: dict[str, tuple[Path, dict[str, str]]]) -> tuple[Table, list[Goal]]:
    """A server with two workers, until it answers."""
    python = services_environment() / "python"
    contenders = {
        name: lambda command=command: first_answer(["sh", "-c", f"exec {' '.join(command)}"], CONTENDERS)  # type: ignore[misc]
        for name, command in bare_commands().items()
    }
    for name, (folder, variables) in services.items():
        command = [str(python), "-m", "flask_service", "serve"]
        contenders[name] = lambda command=command, folder=folder, variables=variables: first_answer(  # type: ignore[misc]
            command, folder, **variables
        )
    for start in contenders.values():
        start()
    starts = interleave(contenders, SERVER_ROUNDS)
    clock = {name: [each.clock for each, _ in turns] for name, turns in starts.items()}
    ratios = {name: Ratio.of(clock[name], clock[SAME]) for name in (SAME, GTHREAD, FASTAPI, DJANGO, *services)}
    rows = [
        [
            name,
            str(ratio),
            f"{median(clock[name]) * 1000:.0f}",
            f"{median(each.cpu for each, _ in starts[name]) * 1000:.0f}",
            f"{median(megabytes for _, megabytes in starts[name]):.0f}",
        ]
        for name, ratio in ratios.items()
    ]
    table = Table(
        "From nothing to the first answer",
        "A server with two workers, from its start to the first 200. Bytecode is compiled, as it is in an image. Memory "
        "is of all processes, with what they share counted once.",
        ["", "clock, ratio", "ms", "CPU, ms", "memory, MB"],
        rows,
        {name: ratio.median for name, ratio in ratios.items()},
    )
    return table, [Goal("cold start of `api`, beside bare Flask on the same server", ratios["api"], 3)]


def main() -> None:
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        minimal, api = (make(f"starting-{preset}", **answers_of(preset)) for preset in ("minimal", "api"))
        services = {
            "minimal": (minimal, settings(minimal)),
            "api": (api, settings(api, DATABASE_URL=database)),
        }
        made, made_goals = processes(services)
        started, started_goals = servers(services)
    save("starting", [made, started], made_goals + started_goals)


if __name__ == "__main__":
    main()
