"""The processes of the server: who is alive, what they use together, and the files in which each keeps its figures.

https://prometheus.github.io/client_python/multiprocess/
"""

import fcntl
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from time import time
from typing import TYPE_CHECKING

from flask import Flask

from ..version import installed_version

if TYPE_CHECKING:
    from prometheus_client import Metric

#: Begins the name of a file that tells, by that name, which process is the main one.
MAIN = "main"
#: Ends, in place of a process, the names of files with what ended processes have counted.
ENDED = "ended"
#: Seconds in which a folder is not taken for abandoned.
GRACE = 60

#: Pairs of the time when a value was set, and the value.
Values = list[tuple[float, float]]
#: What becomes of the values that ended processes have left, by the kind of their file. What is not named
#: here, such as every live gauge, was true of the process and goes with it.
LASTING: dict[str, Callable[[Values], tuple[float, float]]] = {
    **dict.fromkeys(["counter", "histogram", "summary"], lambda values: (0, sum(value for _, value in values))),
    "gauge_mostrecent": max,
}


class Scrape:
    """Collects the figures of an application from all of its processes."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def collect(self) -> Iterator["Metric"]:
        if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            metrics, workers, main = _shared(Path(folder))
        else:
            metrics, workers, main = self.app.extensions["metrics"].collect(), {os.getpid()}, set()
        yield from metrics
        yield from self._service(len([pid for pid in workers if alive(pid)]))
        yield from _usage(workers, main)

    def _service(self, workers: int) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily

        labels = {"version": installed_version() or "unknown", "python": platform.python_version()}
        yield InfoMetricFamily("service", "What is running.", labels)
        yield GaugeMetricFamily("service_workers", "Worker processes that are alive.", workers)
        threads = workers * self.app.config["WEB_THREADS"]
        yield GaugeMetricFamily("service_threads", "Requests that they can answer at the same time.", threads)


def mark_main_process(folder: Path) -> None:
    """Note that this is the main process, in a file that is locked until it has ended, and all that it forked."""
    # It is never closed.
    descriptor = os.open(folder / f"{MAIN}_{os.getpid()}", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove the folders of this user's servers that were killed.

    The lock tells, and no process id: containers that share memory see each other's folders, and have
    process ids of their own. A server that has only just made its file has a minute to lock it.
    """
    for mark in (path for folder in folders for path in folder.glob(f"{MAIN}_*")):
        with suppress(OSError):  # It is locked; or another server, which starts as well, was faster.
            stat = mark.stat()
            if stat.st_uid != os.getuid() or time() - stat.st_mtime < GRACE:
                continue
            descriptor = os.open(mark, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(mark.parent, ignore_errors=True)
            finally:
                os.close(descriptor)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, and was not waited for yet, does not."""
    if fields := _stat(pid):
        return fields[0] not in ("X", "Z")
    with suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def _shared(folder: Path) -> tuple[Iterable["Metric"], set[int], set[int]]:
    """Read what all processes have counted, and who they are: those that ended since the last time included.

    That a process was killed is found out here, because no server tells of it in time, and some not at
    all: its gauges go, and what it has counted is added to one file, so that the folder does not grow.

    :returns: the metrics, the workers, the main process.
    """
    from prometheus_client.multiprocess import MultiProcessCollector

    with _locked(folder):
        files: dict[str, list[Path]] = defaultdict(list)
        for path in folder.glob("*_*"):
            files[path.stem.rpartition("_")[2]].append(path)
        ended = files.pop(ENDED, [])
        main = {int(pid) for pid, paths in files.items() if paths[0].name.startswith(MAIN)}
        workers = {int(pid) for pid in files} - main
        gone = [path for pid in workers if not alive(pid) for path in files[str(pid)]]
        if gone:
            _merge_ended(folder, [*gone, *ended])
        left = map(str, filter(_filled, folder.glob("*.db")))
        return MultiProcessCollector.merge(left), workers, main  # type: ignore[no-untyped-call]


def _merge_ended(folder: Path, files: list[Path]) -> None:
    """Put the files of processes that ended into one of each kind."""
    from prometheus_client.mmap_dict import MmapedDict

    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        kinds[path.stem.rpartition("_")[0]].append(path)
    for kind, paths in kinds.items():
        target = folder / f"{kind}_{ENDED}.db"
        if kind in LASTING:
            found: dict[str, Values] = defaultdict(list)
            for path in filter(_filled, paths):
                for key, value, time, _ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
                    found[key].append((time, value))
            new = folder / "new"
            new.unlink(missing_ok=True)
            merged = MmapedDict(new)  # type: ignore[no-untyped-call]
            for key, values in found.items():
                time, value = LASTING[kind](values)
                merged.write_value(key, value, time)  # type: ignore[no-untyped-call]
            merged.close()  # type: ignore[no-untyped-call]
            new.replace(target)
        for path in paths:
            if path != target:
                path.unlink()


def _filled(path: Path) -> bool:
    """Whether there is anything in a file: one that a process has only just made is empty."""
    return path.stat().st_size > 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other workers and threads from reading, and tidying, at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _usage(workers: set[int], main: set[int]) -> Iterator["Metric"]:
    """What processes use, all together: a process is no label, because there is no end of new ones.

    As ``/proc`` tells; where there is none, nothing. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    stats = {pid: fields for pid in (*workers, *main) if (fields := _stat(pid))}
    if not stats:
        return
    ticks = sum(int(field) for fields in stats.values() for field in fields[11:13])
    # The main process keeps the time of the workers that it has waited for, so that the sum never falls.
    ticks += sum(int(field) for pid in main & stats.keys() for field in stats[pid][13:15])
    started = min(int(fields[19]) for fields in stats.values()) / os.sysconf("SC_CLK_TCK")
    pages = sum(int(fields[21]) for fields in stats.values())
    files = 0
    for pid in stats:
        with suppress(OSError):
            files += len(os.listdir(f"/proc/{pid}/fd"))
    yield CounterMetricFamily(
        "process_cpu_seconds", "CPU time of the main process and all workers.", ticks / os.sysconf("SC_CLK_TCK")
    )
    yield GaugeMetricFamily(
        "process_resident_memory_bytes", "Memory of all processes.", pages * os.sysconf("SC_PAGE_SIZE")
    )
    yield GaugeMetricFamily("process_open_fds", "Open files and connections of all processes.", files)
    yield GaugeMetricFamily(
        "process_threads", "Threads of all processes.", sum(int(fields[17]) for fields in stats.values())
    )
    yield GaugeMetricFamily(
        "process_start_time_seconds", "When the first process started, in Unix time.", _boot_time() + started
    )


def _stat(pid: int) -> list[str]:
    """The fields of a process from its state on, or none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _boot_time() -> int:
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime"))
