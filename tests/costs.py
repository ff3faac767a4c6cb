"""A plugin of pytest: what each file of tests costs. As a program, it prints what runs have written down."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COSTS = Path(__file__).parents[1] / "build/test_costs.json"

spent: dict[str, list[float]] = {}


def processor() -> float:
    """Seconds of the processor, for this process and all that have ended below it."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    item.stash[STARTED] = time.monotonic(), processor()
    return (yield)


STARTED = pytest.StashKey[tuple[float, float]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    if call.when == "teardown":
        started, used = item.stash[STARTED]
        item.user_properties.append(("cost", (time.monotonic() - started, processor() - used)))
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the process that all reports reach."""
    for name, cost in report.user_properties:
        if name == "cost":
            total = spent.setdefault(report.nodeid.partition("::")[0], [0, 0, 0])
            total[:] = [total[0] + 1, *(before + more for before, more in zip(total[1:], cost, strict=True))]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if spent and not hasattr(session.config, "workerinput"):
        COSTS.parent.mkdir(exist_ok=True)
        known = json.loads(COSTS.read_text()) if COSTS.exists() else {}
        run = session.config.option.markexpr
        # A run of a few files leaves what is known of the others.
        COSTS.write_text(json.dumps(known | {run: known.get(run, {}) | spent}))


def main() -> None:
    if not COSTS.exists():
        raise SystemExit("Nothing was measured yet: make quick, or make test")
    costs: dict[str, list[float]] = {}
    for run in json.loads(COSTS.read_text()).values():
        # make quick runs a part of what make test runs.
        costs |= {path: cost for path, cost in run.items() if cost >= costs.get(path, [])}
    rows = sorted(costs.items(), key=lambda row: -row[1][2])
    total = [sum(row[1][column] for row in rows) for column in range(3)]
    print("tests  seconds  of the processor")
    for path, (count, wall, cpu) in [*rows, ("together", total)]:
        print(f"{count:5.0f} {wall:8.1f} {cpu:8.1f}  {path}")


if __name__ == "__main__":
    main()
