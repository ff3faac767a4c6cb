"""What pages, forms and a sign-in cost, in process: accounts of services beside Django's and Flask-Security-Too.

Each has argon2 by its own default, SQLite, and a session in its own way.
"""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from measure import BUILD, CONTENDERS, Goal, Ratio, Table, environment, interleave, make, save, services_environment
from running import clean_environment

ROUNDS = 9
#: Requests of a round; a sign-in hashes a password.
CASES = {"page": 400, "page, signed in": 400, "form": 200, "form with a mistake": 200, "sign-in": 10}
SERVICE, DJANGO, SECURITY = "service", "Django", "Flask-Security-Too"
PACKAGES = {
    DJANGO: ["django", "argon2-cffi"],
    SECURITY: ["Flask-Security[common]", "Flask-SQLAlchemy-Lite", "Flask-WTF", "argon2-cffi"],
}


def start(program: Path, argument: str, **variables: str) -> "subprocess.Popen[str]":
    command = [program / "python", CONTENDERS / "inside_pages.py", argument]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=clean_environment(**variables), stdin=pipe, stdout=pipe, text=True, cwd=BUILD)


def cost(process: "subprocess.Popen[str]", case: str) -> float:
    """Seconds of CPU of one request."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{case} {CASES[case]}\n")
    process.stdin.flush()
    told = process.stdout.readline()
    assert told, f"{process.args} has ended"
    return float(told) / CASES[case]


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    answers = {"pages": "yes", "email": "yes", "accounts": "yes", "sql": "sqlite"}
    source = make("accounts", **answers) / "src"
    processes = {
        SERVICE: start(services_environment(), "service", PYTHONPATH=str(source)),
        DJANGO: start(environment("django", PACKAGES[DJANGO]), "django"),
        SECURITY: start(environment("security", PACKAGES[SECURITY]), "security"),
    }
    try:
        contenders: dict[tuple[str, str], Callable[[], float]] = {
            (name, case): partial(cost, process, case) for name, process in processes.items() for case in CASES
        }
        for ask in contenders.values():
            ask()  # What is imported and compiled at the first time.
        found = interleave(contenders, ROUNDS)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    ratios = {
        (case, other): Ratio.of(found[SERVICE, case], found[other, case])
        for case in CASES
        for other in (DJANGO, SECURITY)
    }
    rows = [
        [
            case,
            *(f"{median(found[name, case]) * 1e6:,.0f}" for name in processes),
            *(str(ratios[case, other]) for other in (DJANGO, SECURITY)),
        ]
        for case in CASES
    ]
    note = "Microseconds of CPU in process, and the service's beside those of the others. A sign-in is mostly argon2."
    columns = ["", *processes, f"beside {DJANGO}", f"beside {SECURITY}"]
    goals = [
        Goal(f"{case} beside {other}", ratios[case, other], 1)
        for case in ("page, signed in", "sign-in")
        for other in (DJANGO, SECURITY)
    ]
    save("pages", [Table("Pages and accounts", note, columns, rows)], goals)


if __name__ == "__main__":
    main()
