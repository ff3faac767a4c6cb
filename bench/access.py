"""What it costs to know who asks, and from where, in process: tokens, OpenID Connect and CORS, configured and not, beside Flask-CORS."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from measure import (
    BUILD,
    CONTENDERS,
    Goal,
    Ratio,
    Table,
    environment,
    interleave,
    make,
    postgresql,
    save,
    services_environment,
)
from running import clean_environment

ROUNDS, REQUESTS = 15, 300
SQLITE, POSTGRESQL, NAMED, CORS, FLASK = "SQLite", "PostgreSQL", "with CORS_ORIGINS", "Flask-CORS", "Flask alone"
#: What is asked of which process, and the words for it; ``page`` sends the origin of a page that may.
CASES = {
    (SQLITE, "GET open"): "an operation that anybody may call",
    (SQLITE, "GET reader"): "the same with a reader that looks nothing up",
    (SQLITE, "GET token"): "the same with a token, GET, SQLite",
    (SQLITE, "POST token"): "the same with a token, POST, SQLite",
    (POSTGRESQL, "GET token"): "the same with a token, GET, PostgreSQL",
    (POSTGRESQL, "POST token"): "the same with a token, POST, PostgreSQL",
    (SQLITE, "GET oidc"): "the same with an access token of a provider, ES256",
    (SQLITE, "GET open page"): "asked by a page, CORS_ORIGINS unset",
    (NAMED, "GET open"): "asked by nobody's page, CORS_ORIGINS set",
    (NAMED, "GET open page"): "asked by a page, CORS_ORIGINS set",
    (NAMED, "OPTIONS open page"): "a preflight",
    (FLASK, "GET open"): "Flask alone",
    (CORS, "GET open"): "Flask-CORS, asked by nobody's page",
    (CORS, "GET open page"): "Flask-CORS, asked by a page",
    (CORS, "OPTIONS open page"): "Flask-CORS, a preflight",
}


def start(program: Path, argument: str, **variables: str) -> "subprocess.Popen[str]":
    command = [program / "python", CONTENDERS / "inside_access.py", argument]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=clean_environment(**variables), stdin=pipe, stdout=pipe, text=True, cwd=BUILD)


def cost(process: "subprocess.Popen[str]", case: str, count: int = REQUESTS) -> float:
    """Seconds of CPU of one request; of 0 requests, the bytecodes of one."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{case} {count}\n")
    process.stdin.flush()
    told = process.stdout.readline()
    assert told, f"{process.args} has ended"
    return float(told) / (count or 1)


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    source = make("access", api="yes", sql="postgresql", tokens="yes", cors="yes", oidc="yes") / "src"
    settings = {"APP_ENV": "testing", "PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as folder, postgresql() as url:
        files = {name: f"sqlite:///{os.path.join(folder, name.split()[0])}" for name in (SQLITE, NAMED)}  # noqa: PTH118
        service = partial(start, services_environment(), "service", **settings)
        others = environment("access", ["Flask-CORS"])
        processes = {
            SQLITE: service(DATABASE_URL=files[SQLITE]),
            POSTGRESQL: service(DATABASE_URL=url),
            NAMED: service(DATABASE_URL=files[NAMED], CORS_ORIGINS="https://www.example.com"),
            CORS: start(others, "cors"),
            FLASK: start(others, "flask"),
        }
        try:
            contenders: dict[tuple[str, str], Callable[[], float]] = {
                (name, case): partial(cost, processes[name], case) for name, case in CASES
            }
            for ask in contenders.values():
                ask()  # What is imported and compiled at the first time.
            found = interleave(contenders, ROUNDS)
            counted = {(name, case): int(cost(processes[name], case, 0)) for name, case in CASES}
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
    rows = []
    for key, words in CASES.items():
        base = (FLASK if key[0] in (CORS, FLASK) else SQLITE, "GET open")
        more = (median(found[key]) - median(found[base])) * 1e6
        codes = counted[key] - counted[base]
        rows.append([words, f"{median(found[key]) * 1e6:,.0f}", f"{more:+,.0f}", f"{counted[key]:,}", f"{codes:+,}"])
    note = (
        "Microseconds of CPU and bytecodes of a request in process; what an operation that anybody may call, or Flask "
        "alone, takes less. A database on the same machine; waits for it are no CPU of the service."
    )
    columns = ["", "µs", "more", "bytecodes", "more"]
    ratios = {
        what: Ratio.of(found[ours], found[theirs])
        for what, ours, theirs in [
            ("a preflight beside Flask-CORS", (NAMED, "OPTIONS open page"), (CORS, "OPTIONS open page")),
            ("a page, with CORS_ORIGINS beside without", (NAMED, "GET open page"), (SQLITE, "GET open page")),
        ]
    }
    goals = [Goal(what, ratio, bound) for (what, ratio), bound in zip(ratios.items(), (1, 1.1), strict=True)]
    save("access", [Table("Who asks, and from where", note, columns, rows)], goals)


if __name__ == "__main__":
    main()
