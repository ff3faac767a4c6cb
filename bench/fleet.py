"""A fleet of services: made, wired and answering; made again without a change; updated with the checks of each.

No part of `make bench`, because it takes minutes: PYTHONPATH=tests:bench .venv/bin/python bench/fleet.py. What is
measured is told on the clock, and as seconds of CPU, of which two cores that do nothing else give two in each second.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from time import perf_counter, sleep
from urllib.error import URLError
from urllib.request import urlopen

from measure import BUILD, Cost, cost
from running import free_port
from updates import ENVIRONMENT, commit, copy_template

FOLDER = BUILD / "fleet"
GIT = {name: value for name, value in ENVIRONMENT.items() if name.startswith("GIT_")}
#: Seconds: ten services answer, nothing has changed, 50 are updated. Of other numbers, as much for each.
GOALS = {"made": 60, "again": 5, "updated": 15 * 60}


def write_file(count: int, port: int) -> list[str]:
    """Three layers; each service calls two of the layer below it."""
    layers = [count - 2 * (count // 3), count // 3, count // 3]
    names = [[f"{'abc'[layer]}{number}" for number in range(size)] for layer, size in enumerate(layers)]
    text = f'first_port = {port}\n[answers]\nauthor_name = "Shop team"\nlicense = "MIT"\napi = true\nexample = true\n'
    for layer, found in enumerate(names):
        for number, name in enumerate(found):
            below = names[layer - 1] if layer else []
            peers = {below[(number + step) % len(below)] for step in range(2)} if below else set()
            text += f"[services.{name}]\ncalls = {sorted(peers)}\n"
    (FOLDER / "fleet.toml").write_text(text)
    return [name for found in names for name in found]


def fleet(command: str, file: str = "fleet.toml") -> Cost:
    return cost([sys.executable, FOLDER / "template/fleet.py", command, file], FOLDER, **GIT)


def answering(names: list[str], port: int) -> Cost:
    """Start all, until each has answered through the one address."""
    command = [sys.executable, str(FOLDER / "template/fleet.py"), "run"]
    started = perf_counter()
    with (FOLDER / "run.log").open("w") as log:
        process = subprocess.Popen(command, cwd=FOLDER, env=ENVIRONMENT, stdout=log, stderr=log)
    waiting = list(names)
    while waiting:
        assert process.poll() is None, (FOLDER / "run.log").read_text()
        try:
            with urlopen(f"http://127.0.0.1:{port}/{waiting[-1]}/livez", timeout=5):
                waiting.pop()
        except (URLError, OSError):
            sleep(0.1)
    seconds = perf_counter() - started
    process.send_signal(signal.SIGINT)
    _, _, usage = os.wait4(process.pid, 0)
    return Cost(seconds, usage.ru_utime + usage.ru_stime)


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=10)
    parser.add_argument("--updates", type=int, default=6, help="how many of them are updated")
    arguments = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    copy_template(FOLDER / "template")
    port = free_port(arguments.services + 1)
    # What is installed is in uv's cache then.
    warm = write_file(3, port)
    fleet("sync")
    for name in warm:
        shutil.rmtree(FOLDER / name)
    names = write_file(arguments.services, port)
    made = fleet("sync")
    started = answering(names, port)
    again = fleet("sync")
    readme = FOLDER / "template/{{cookiecutter.project_slug}}/README.md"
    readme.write_text(f"New words.\n{readme.read_text()}")
    commit(FOLDER / "template")
    assert {*write_file(arguments.updates, port)} <= {*names}, "--updates is at most --services"
    updated = fleet("update")
    whole = Cost(made.clock + started.clock, made.cpu + started.cpu)
    count = arguments.services
    for what, told, goal in (
        (f"{count} services made and wired", made, None),
        (f"{count} services started, each has answered", started, None),
        (f"{count} services made, wired, answering", whole, GOALS["made"] * count / 10),
        ("again without a change", again, GOALS["again"]),
        (f"{arguments.updates} services updated and checked", updated, GOALS["updated"] * arguments.updates / 50),
    ):
        bound = f", at most {goal:g} s on two cores" if goal else ""
        print(f"{what}: {told.clock:.1f} s on the clock, {told.cpu:.1f} s of CPU, half of it {told.cpu / 2:.1f}{bound}")


if __name__ == "__main__":
    main()
