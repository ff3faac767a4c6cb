"""A container engine: podman, which Compose talks to as to Docker, with networks and processes of its own.

Its ports are open in there, and end with it, as does all that it has started. Nothing of it is seen on the machine.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from containers import ROOT, STORE, buildah_command, execute, first_process, kill, make_base
from running import BIN, START_SECONDS, until

#: What the engine consists of, and the Debian packages that have it.
PARTS = {
    "podman": "podman",
    "runc": "runc",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "/usr/libexec/podman/catatonit": "catatonit",
}
#: Not crun, which refuses cgroups of both versions; and not more files than whoever runs the tests may open.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
#: What another engine would share with it is its own. The checks of health are timers of systemd elsewhere.
START = """
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
"$@" system service --time=0 "$0" &
while sleep 1; do
    grep --quiet conmon /proc/[0-9]*/comm 2>/dev/null || continue
    for container in $(podman --url "$0" ps --quiet); do podman --url "$0" healthcheck run "$container" || true; done
done
"""
#: As Docker's command: it keeps layers, and here it asks no registry.
DOCKER = """#!/bin/sh
case $1 in
build) shift; exec {buildah} build --layers --isolation chroot --pull-never --format docker "$@" ;;
compose) shift; exec {compose} "$@" ;;
*) exec {podman} "$@" ;;
esac
"""
ASK = """
import sys
from urllib.request import Request, urlopen
url, *body = sys.argv[1:]
request = Request(url, *map(str.encode, body), headers={"Content-Type": "application/json"})
print(urlopen(request, timeout=10).read().decode())
"""


def missing_parts() -> list[str]:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    return [package for program, package in PARTS.items() if not shutil.which(program, path=path)]


@dataclass(frozen=True)
class Engine:
    process: subprocess.Popen[bytes]
    #: With it, a command of the machine works in this engine.
    environment: dict[str, str]

    def ask(self, url: str, *body: str) -> str:
        """Send a request where the ports of its containers are open: a GET, or a POST of JSON."""
        inside = ["nsenter", f"--target={first_process(self.process)}", "--net"]
        return execute(*ROOT, *inside, sys.executable, "-c", ASK, url, *body)


@contextmanager
def engine(python: str) -> Iterator[Engine]:
    """Start an engine that has the image of this Python, and remove it with all that it made.

    A test is skipped on a machine that runs no containers.
    """
    image, folder = make_base(python), Path(tempfile.mkdtemp(prefix="engine-"))
    driver = buildah_command()[-1]
    store = f"--root={folder}/storage --storage-driver={driver} --storage-opt=additionalimagestore={STORE}/storage"
    address = f"unix://{folder}/socket"
    root = " ".join(ROOT)
    (folder / "containers.conf").write_text(CONFIGURATION.format(folder=folder))
    docker = folder / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(
        DOCKER.format(
            buildah=f"{root} buildah {store} --runroot={folder}/run",
            compose=f"{root} {BIN}/docker-compose",
            podman=f"{root} podman --url={address}",
        )
    )
    docker.chmod(0o755)
    environment = {
        "PATH": f"{docker.parent}:{BIN}:{os.environ['PATH']}:/usr/sbin",
        "DOCKER_HOST": address,
        "CONTAINERS_CONF": f"{folder}/containers.conf",
    }
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*ROOT, *namespaces, "sh", "-euc", START, address, "podman", *store.split(), "--runroot=/run/engine"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        until(lambda: process.poll() is not None or (folder / "socket").exists(), START_SECONDS)
        trial = ["timeout", "180", str(docker), "run", "--rm", "--init", "--publish=127.0.0.1:8000:8000", image, "true"]
        done = subprocess.run(trial, env=os.environ | environment, capture_output=True, text=True, check=False)
        if done.returncode:
            told = f"this machine runs no containers: {' '.join(trial)}\n{done.stderr}{log.read_text()}"
            print(told)
            pytest.skip(told)
        yield Engine(process, environment)
    finally:
        with suppress(AssertionError, OSError):  # It has ended.
            kill(first_process(process), "KILL")
        process.wait(30)
        execute(*ROOT, "rm", "--recursive", "--force", str(folder))
        # Of each container, there is a group; a group that others use stays.
        groups = ["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/libpod_parent*"]
        subprocess.run([*ROOT, *groups, "-exec", "rmdir", "{}", ";"], capture_output=True, check=False)
