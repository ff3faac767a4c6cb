"""What the measurements share: services and environments, interleaved rounds, ratios with their spread, results.

Each script measures all of its contenders once a round, in an order that rotates, so that what else
the machine does falls upon all alike. A ratio is taken within a round; what is told of it is the
median of the rounds and, as its spread, the lowest and the highest.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter
from typing import TypeVar

from databases import private
from manifest import OPTIONS, QUESTIONS, allowed, answers_of, chosen, requirements
from running import clean_environment, required_settings

TEMPLATE = Path(__file__).parents[1]
BUILD = TEMPLATE / "build/bench"
RESULTS = BUILD / "results"
CONTENDERS = TEMPLATE / "bench/contenders"
#: The programs of the environment that runs this.
PROGRAMS = Path(sys.executable).parent

#: What else is measured, in its newest version.
OTHERS = ["copier", "cookiecutter", "django", "fastapi", "gunicorn", "matplotlib", "uvicorn[standard]"]
#: Options that do nothing until they are configured, and the settings that do it, with the port of a receiver.
CONFIGURED = {
    name: configuring
    for name, option in OPTIONS.items()
    if (
        configuring := {
            setting["name"]: setting["trial"]
            for setting in option.get("settings", [])
            if "trial" in setting and "required" not in setting
        }
    )
}
#: A factor for the number of rounds, for a quick look: ROUNDS=0.2 make bench.
EFFORT = float(os.environ.get("ROUNDS", "1"))

Key = TypeVar("Key")
Value = TypeVar("Value")


def rounds(count: int) -> int:
    return max(round(count * EFFORT), 2)


def interleave(contenders: Mapping[Key, Callable[[], Value]], count: int) -> dict[Key, list[Value]]:
    """Measure every contender once a round, beginning with another one each time."""
    measured: dict[Key, list[Value]] = {key: [] for key in contenders}
    keys = list(contenders)
    for number in range(rounds(count)):
        turn = number % len(keys)
        for key in keys[turn:] + keys[:turn]:
            measured[key].append(contenders[key]())
    return measured


@dataclass(frozen=True)
class Ratio:
    """A median over the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], bases: Sequence[float]) -> "Ratio":
        ratios = [value / base for value, base in zip(values, bases, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Goal:
    """What a ratio should be, at least or at most."""

    what: str
    ratio: Ratio
    bound: float
    at_least: bool = False
    unit: str = "times"
    #: Why it is missed, if it is, and what was tried.
    why: str = ""

    @property
    def met(self) -> bool:
        return self.ratio.median >= self.bound if self.at_least else self.ratio.median <= self.bound


@dataclass(frozen=True)
class Table:
    """A part of the report."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]
    #: Bars for the chart: names and ratios.
    bars: dict[str, float] | None = None


def save(name: str, tables: list[Table], goals: list[Goal], **others: list[str]) -> None:
    """Keep the results of a script for the report, and print them; and what another script reads."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    kept = {
        "tables": [asdict(table) for table in tables],
        "goals": [asdict(goal) | {"met": goal.met} for goal in goals],
    } | others
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n")
    for table in tables:
        print(f"\n{table.title}\n")
        print(markdown(table.columns, table.rows))
    for goal in goals:
        words = "at least" if goal.at_least else "at most"
        print(f"{'met   ' if goal.met else 'MISSED'} {goal.what}: {goal.ratio}, {words} {goal.bound}")


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def environment(name: str, packages: list[str]) -> Path:
    """Make an environment with the newest versions of some packages, and return its folder of programs."""
    folder = BUILD / name
    uv = shutil.which("uv", path=f"{PROGRAMS}:{os.environ['PATH']}")
    assert uv, "uv is missing: make bench installs it"
    if not (folder / "bin/python").exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    command = [uv, "pip", "install", "--quiet", "--upgrade", "--compile-bytecode", "--python", folder / "bin/python"]
    subprocess.run([*command, *packages], check=True)
    return folder / "bin"


@cache
def services_environment() -> Path:
    """What any service installs, and bare Flask with it: the versions are the same for all."""
    return environment("services", requirements())


@cache
def others_environment() -> Path:
    return environment("others", OTHERS)


def make(name: str, views: str | None = None, **answers: str) -> Path:
    """Generate a service below ``build/bench``, and return its folder.

    :param views: a file of contenders/ that becomes a blueprint of the service.
    """
    folder = BUILD / "generated" / name
    shutil.rmtree(folder, ignore_errors=True)
    given = [f"{question}={answer}" for question, answer in answers.items()]
    command = [PROGRAMS / "cookiecutter", TEMPLATE, "--no-input", "--default-config", "--output-dir", folder, *given]
    subprocess.run(command, check=True, capture_output=True)
    service = folder / "flask-service"
    if views:
        package = service / "src/flask_service"
        shutil.copy(CONTENDERS / views, package / "blueprints/bench.py")
        modules = package / "modules.py"
        modules.write_text(
            modules.read_text().replace('    "blueprints.main",\n', '    "blueprints.main",\n    "blueprints.bench",\n')
        )
    # As an image has it: what is compiled at the first start is no part of any start.
    subprocess.run([sys.executable, "-m", "compileall", "-q", service / "src"], check=True)
    return service


def settings(service: Path, **others: str) -> dict[str, str]:
    """The settings of a service in production."""
    return {"PYTHONPATH": str(service / "src"), **required_settings(service), **others}


def additions(preset: str) -> dict[str, dict[str, str]]:
    """The answers that add an option with code to a preset, and nothing else but what it needs, by option."""
    given = answers_of(preset)
    found = {}
    for name, option in OPTIONS.items():
        question = option.get("question", name)
        if question not in QUESTIONS or not option.get("modules") or name in chosen(given):
            continue
        needs = dict(need.split("=") for need in option.get("needs", {}).values() if "=" in need)
        answers = given | needs | {question: name if "question" in option else "yes"}
        if allowed(answers):
            found[name] = answers
    return found


def variants(options: Mapping[str, dict[str, str]], port: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each option as it is chosen and, where that does nothing yet, as it is configured: a label, its name, settings.

    :param port: of a receiver.
    """
    for name in options:
        if name in CONFIGURED:
            yield f"{name}, not configured", name, {}
            yield f"{name}, configured", name, {key: value.format(port=port) for key, value in CONFIGURED[name].items()}
        else:
            yield name, name, {}


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[int]:
    """Something that takes whatever is sent to it, on a port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of its own, with its default settings."""
    with private("postgresql") as server:
        yield server.url


def tree(session: int) -> list[int]:
    """The processes of a session: a server and its workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # It has just ended.
            continue
        if int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


def cpu_seconds(session: int) -> float:
    """The CPU that the processes of a session have taken, in user and in system mode."""
    ticks = 0
    for pid in tree(session):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(session: int) -> float:
    """The memory of the processes of a session in MB; what they share counts once."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in tree(session)]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) for text in rollups) / 1024  # type: ignore[index]


@dataclass(frozen=True)
class Cost:
    """What a process and its children have taken, in seconds."""

    clock: float
    cpu: float


def cost(command: Sequence[str | Path], folder: Path | None = None, **variables: str) -> Cost:
    """Run a command to its end."""
    started = perf_counter()
    with (BUILD / "errors.log").open("w+") as errors:
        env = clean_environment(**variables)
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        assert process.returncode == 0, f"{command}\n{errors.read()}"
    return Cost(seconds, usage.ru_utime + usage.ru_stime)
