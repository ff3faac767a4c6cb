"""A Prometheus of a test's own: Debian's program, with a configuration and a folder that go at the end."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from databases import missing
from running import free_port, until


def program(name: str) -> str:
    """The path of a program of the package ``prometheus``, or the end of the test."""
    if not (path := shutil.which(name)):
        missing(name, "apt-get install prometheus")
    return str(path)


@dataclass
class Prometheus:
    url: str

    def api(self, path: str, **query: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """The values of an expression, by the values of their labels in the order of the names."""
        found = self.api("query", query=expression)["result"]
        return {tuple(one["metric"][name] for name in sorted(one["metric"])): float(one["value"][1]) for one in found}

    def firing(self) -> set[str]:
        alerts = self.api("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@contextmanager
def prometheus(config: Path) -> Iterator[Prometheus]:
    """Run it until the end, with what it stores beside its configuration."""
    port = free_port()
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'data'}"]
    with (config.parent / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    server = Prometheus(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert process.poll() is None, (config.parent / "log").read_text()
        try:
            server.query("up")
        except (URLError, OSError):
            return False
        return True

    try:
        until(answers, 30)
        yield server
    finally:
        process.terminate()
        process.wait(30)
