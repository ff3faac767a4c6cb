import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient

#: A process that counts, says so, and waits to be killed.
COUNT = """
import sys, time
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()
Counter("orders", "Orders.", ["kind"], registry=registry).labels("tea").inc(2)
Histogram("seconds", "Seconds.", registry=registry, buckets=[1, 2]).observe(1.5)
Gauge("queued", "Waiting.", registry=registry, multiprocess_mode="livesum").set(5)
Gauge("largest", "Largest.", registry=registry, multiprocess_mode="max").set(7)
Gauge("imported", "Last import.", registry=registry, multiprocess_mode="mostrecent").set(float(sys.argv[1]))
print("counted", flush=True)
time.sleep(60)
"""
TEA, UP_TO_TWO = '{kind="tea"}', '{le="2.0"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "metrics"
    folder.mkdir()
    return folder


@contextmanager
def counting(folder: Path, number: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has counted; it is killed at the end."""
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with subprocess.Popen(
        [sys.executable, "-c", COUNT, str(number)], env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "counted\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def scrape(client: FlaskClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Ask an application that shares figures through the folder, and has made none itself."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    return lambda: client.get("/metrics").text


def test_what_ended_processes_have_counted_is_kept(folder: Path, scrape: Callable[[], str]) -> None:
    """In one file of each kind, however many there were; their gauges go."""
    for number in range(5):
        with counting(folder, number):
            text = scrape()
            assert "queued 5.0" in text
            assert "largest 7.0" in text
            assert "service_workers 1.0" in text
        text = scrape()
        assert "queued" not in text
        assert "largest" not in text
        assert "service_workers 0.0" in text
        assert f"orders_total{TEA} {2 * (number + 1)}.0" in text
        assert f"seconds_bucket{UP_TO_TWO} {number + 1}.0" in text
        assert f"seconds_sum {1.5 * (number + 1)}" in text
        assert f"imported {number}.0" in text
    assert {path.name for path in folder.iterdir()} == {
        "counter_ended.db",
        "gauge_mostrecent_ended.db",
        "histogram_ended.db",
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells of processes nobody waited for")
def test_a_killed_process_is_gone_before_its_parent_knows(folder: Path, scrape: Callable[[], str]) -> None:
    with counting(folder, 1) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        text = scrape()
        assert process.returncode is None
    assert "service_workers 0.0" in text
    assert "queued" not in text
    assert f"orders_total{TEA} 2.0" in text


def test_a_file_that_was_only_just_made(folder: Path, scrape: Callable[[], str]) -> None:
    with counting(folder, 1) as process:
        (folder / f"summary_{process.pid}.db").touch()
        assert f"orders_total{TEA} 2.0" in scrape()
    assert f"orders_total{TEA} 2.0" in scrape()


def test_where_there_is_no_proc(
    package: ModuleType, folder: Path, scrape: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are still told from those that ended."""
    monkeypatch.setattr(package.extensions.metrics.processes, "_stat", lambda pid: [])
    with counting(folder, 1):
        text = scrape()
        assert "service_workers 1.0" in text
        assert "process_" not in text
    assert "service_workers 0.0" in scrape()


@pytest.fixture
def shared(package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers of a test make their folders."""
    monkeypatch.setattr(package.extensions.metrics, "MEMORY", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    return tmp_path


def serving(package: ModuleType, shared: Path) -> subprocess.Popen[str]:
    """A server that has made its folder, and waits; the folder is more than a minute old."""
    code = f"import time, {package.__name__}.extensions.metrics as m; m.MEMORY = '{shared}'; m.share(None)"
    code += "; print('shared', flush=True); time.sleep(60)"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    assert server.stdout.readline() == "shared\n"
    (mark,) = shared.glob(f"metrics-*/main_{server.pid}")
    os.utime(mark, (0, 0))
    return server


def test_what_killed_servers_have_left_is_removed(app: Flask, package: ModuleType, shared: Path) -> None:
    """And nothing of those that run, are only just starting, or are of another program."""
    with serving(package, shared) as running, serving(package, shared) as killed:
        killed.kill()
        killed.wait()
        (shared / "metrics-new").mkdir()
        (shared / "metrics-new" / "main_1").touch()
        (shared / "metrics-other").mkdir()
        (own,) = {path.parent for path in shared.glob(f"metrics-*/main_{running.pid}")}
        (left,) = {path.parent for path in shared.glob(f"metrics-*/main_{killed.pid}")}
        package.extensions.metrics.share(app)
        made = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        assert set(shared.iterdir()) == {made, own, shared / "metrics-new", shared / "metrics-other"}
        assert left not in shared.iterdir()
        running.kill()


def test_the_version_of_what_is_not_installed(
    client: FlaskClient, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package.extensions.metrics.processes, "installed_version", lambda: None)
    assert 'version="unknown"' in client.get("/metrics").text
