"""Write docs/performance.md, with its chart, from the results of the measurements."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from measure import RESULTS, TEMPLATE, Ratio, markdown, others_environment, services_environment

PAGE = TEMPLATE / "docs/performance.md"
CHART = TEMPLATE / "docs/images/performance.svg"
#: The scripts, in the order of the page.
SCRIPTS = [
    "serving",
    "bytecodes",
    "items",
    "sql",
    "stores",
    "jobs",
    "pages",
    "limits",
    "access",
    "peers",
    "starting",
    "generating",
]
SHOWN = {"celery", "django", "fastapi", "flask", "granian", "gunicorn", "msgspec", "sqlalchemy", "psycopg", "uvicorn"}
SHOWN |= {"copier", "cookiecutter", "structlog", "orjson"}

INTRODUCTION = (
    "Written by `make bench`, which measures all of this in one run. What counts are ratios: of contenders that were "
    "measured in turns, each round in another order, on the same machine. A ratio is the median over the rounds, with "
    "the lowest and the highest; no test asserts a time, because a time says more of the machine than of the code."
)


def main() -> None:
    results = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in SCRIPTS if _exists(name)}
    goals = [goal for result in results.values() for goal in result["goals"]]
    tables = [table for result in results.values() for table in result["tables"]]
    draw(tables)
    rows = [[goal["what"], *_outcome(goal)] for goal in goals]
    columns = ["Goal", "median (lowest to highest)", "should be", ""]
    parts = [
        "# Performance",
        INTRODUCTION,
        "![Requests a second, starting and generating, as ratios](images/performance.svg)",
        f"## Goals\n\n{markdown(columns, rows)}".rstrip(),
        *reasons(goals),
        *(
            f"## {table['title']}\n\n{table['note']}\n\n{markdown(table['columns'], table['rows'])}".rstrip()
            for table in tables
        ),
        notes(),
    ]
    if missing := [name for name in SCRIPTS if name not in results]:
        parts.insert(2, f"Not measured: {', '.join(missing)}.")
    PAGE.write_text("\n\n".join(parts) + "\n")
    print(
        f"\n{markdown(columns, rows)}\nWrote {PAGE.relative_to(TEMPLATE)}: {sum(goal['met'] for goal in goals)} of {len(goals)} goals are met."
    )


def _exists(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def _outcome(goal: dict[str, Any]) -> list[str]:
    words = "at least" if goal["at_least"] else "at most"
    unit = "" if goal["unit"] == "times" else f" {goal['unit']}"
    return [f"{Ratio(**goal['ratio'])}", f"{words} {goal['bound']:g}{unit}", "met" if goal["met"] else "**missed**"]


def reasons(goals: list[dict[str, Any]]) -> list[str]:
    """Why goals are missed, and what was tried."""
    missed: dict[str, list[str]] = {}
    for goal in goals:
        if not goal["met"]:
            missed.setdefault(goal["why"] or "nobody has looked yet.", []).append(goal["what"])
    lines = [f"- {'; '.join(whats)}: {why}" for why, whats in missed.items()]
    return ["What is missed, and why:\n\n" + "\n".join(lines)] if lines else []


def notes() -> str:
    """On what it was measured."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    gigabytes = round(int(memory[1]) / 1024**2) if memory else 0
    lines = [
        f"- {os.cpu_count()} cores, {gigabytes} GB, {platform.system()}, Python {platform.python_version()}",
        "- The load generator, the servers and PostgreSQL share these cores; nothing is pinned.",
        "- " + ", ".join(versions()),
    ]
    return "## On what\n\n" + "\n".join(lines)


def versions() -> list[str]:
    found = {}
    for programs in (services_environment(), others_environment()):
        code = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
        told = subprocess.run([programs / "python", "-c", code], check=True, capture_output=True, text=True).stdout
        found.update({line.partition("==")[0]: line.replace("==", " ") for line in told.split()})
    return [found[name] for name in sorted(found, key=str.lower) if name.lower() in SHOWN]


def draw(tables: list[dict[str, Any]]) -> None:
    """Draw the bars of the tables, in a program of the environment that has matplotlib."""
    bars = {table["title"]: table["bars"] for table in tables if table["bars"]}
    program = TEMPLATE / "bench/contenders/chart.py"
    subprocess.run([others_environment() / "python", program, CHART], input=json.dumps(bars), text=True, check=True)


if __name__ == "__main__":
    main()
