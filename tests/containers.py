"""Images, built from a service's Dockerfile and run without an engine: buildah, and namespaces of the kernel.

No registry is asked: what the Dockerfile begins with is made here, from this machine's distribution and Python.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from typing import Any

from manifest import TEMPLATE
from running import Server, serving
from test_pythons import interpreter

STORE = TEMPLATE / "build" / "containers"
#: What images are built and run with: programs, and the Debian packages that have them.
PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux"}
ROOT = [] if os.getuid() == 0 else ["sudo", "--non-interactive", "--preserve-env"]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def missing_programs() -> list[str]:
    return [package for program, package in PROGRAMS.items() if not shutil.which(program)]


def execute(*command: str, **options: object) -> str:
    """Run a command, and return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@cache
def buildah_command() -> list[str]:
    """buildah, with a store of its own: of layers, where the kernel and this file system can lay them over each other."""
    store = ["buildah", "--root", f"{STORE}/storage", "--runroot", f"{STORE}/run", "--storage-driver"]
    can = subprocess.run([*ROOT, *store, "overlay", "info"], capture_output=True, check=False).returncode == 0
    return [*ROOT, *store, "overlay" if can else "vfs"]


def buildah(*arguments: str) -> str:
    return execute(*buildah_command(), *arguments)


def make_base(version: str) -> str:
    """Make, once, the image that a Dockerfile begins with: a small system, with a Python in it.

    :return: its name, of which no registry is asked.
    """
    name = f"docker.io/library/python:{version}-slim"
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        _make_base(name, version)
    return name


def _make_base(name: str, version: str) -> None:
    if name in buildah("images", "--format", "{{.Name}}:{{.Tag}}").splitlines():
        return
    python = interpreter(version)
    assert python, f"there is no Python {version} on this machine"
    (system,) = re.findall(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    container = buildah("from", "scratch").strip()
    tree = Path(buildah("mount", container).strip())
    execute(*ROOT, "mmdebstrap", "--quiet", "--variant=essential", "--include=libstdc++6", system, str(tree))
    _install_python(Path(python), tree)
    buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", "--cmd", "python3", container)
    buildah("commit", "--quiet", "--rm", container, name)


def _install_python(python: Path, tree: Path) -> None:
    """Copy a Python, with the libraries of this machine that it needs, and as in the real image, no bytecode."""
    code = "import json, sys, sysconfig; print(json.dumps([sys.base_prefix, sysconfig.get_path('stdlib')]))"
    prefix, library = json.loads(subprocess.check_output([python, "-c", code], text=True))
    left_out = ["__pycache__", "*/test", "*/tests", "*.a", "*tkinter*", "*/site-packages/[!p]*", "./share", "./include"]
    archive = ["tar", "--create", *(f"--exclude={name}" for name in left_out), "--directory", prefix, "."]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as made:
        where = str(tree / "usr/local")
        execute(*ROOT, "tar", "--extract", "--no-same-owner", "--directory", where, stdin=made.stdout)
    binaries = [str(python), *map(str, Path(library, "lib-dynload").glob("*.so"))]
    needed = set(re.findall(r"=> (/\S+)", subprocess.check_output(["ldd", *binaries], text=True)))
    for path in sorted(needed):
        if not path.startswith(prefix) and not (tree / path[1:]).exists():
            execute(*ROOT, "cp", "--dereference", path, str(tree / path[1:]))
    execute(*ROOT, "ldconfig", "-r", str(tree))
    if CERTIFICATES.exists():
        execute(*ROOT, "install", "-D", "--mode=644", str(CERTIFICATES), str(tree / str(CERTIFICATES)[1:]))


@dataclass(frozen=True)
class Image:
    """An image, with what it says about itself."""

    name: str
    config: dict[str, Any]
    container: str
    #: Where its files can be seen.
    tree: Path

    @classmethod
    def load(cls, name: str) -> "Image":
        config = json.loads(buildah("inspect", "--type", "image", name))["Docker"]["config"]
        container = buildah("from", "--pull-never", name).strip()
        return cls(name, config, container, Path(buildah("mount", container).strip()))

    def command(
        self, *words: str, entrypoint: bool = True, volumes: dict[str, Path] | None = None, **variables: str
    ) -> list[str]:
        """What runs a container, as the engine would: the process is number 1 of its own, and the root read-only.

        :param words: what stands behind the entrypoint; without any, what the image says.
        :param volumes: folders by their paths in the container.
        """
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in variables.items())]
        program = [*self.config["Entrypoint"], *(words or self.config["Cmd"])] if entrypoint else list(words)
        mounts = [f"{folder}:{path}" for path, folder in (volumes or {}).items()]
        return [
            *(*ROOT, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", START),
            *(str(self.tree), self.config["User"], " ".join(mounts), *environment, *program),
        ]

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a container to its end."""
        return subprocess.run(self.command(*words, **options), capture_output=True, text=True, check=False, timeout=60)

    def remove(self) -> None:
        buildah("rm", self.container)
        buildah("rmi", self.name)

    def push(self, folder: Path) -> list[Path]:
        """Write the image into a folder, as into a registry.

        :return: its layers, the base's first.
        """
        buildah("push", "--quiet", "--disable-compression", self.name, f"dir:{folder}")
        execute(*ROOT, "chmod", "--recursive", "a+rX", str(folder))
        manifest = json.loads((folder / "manifest.json").read_text())
        return [folder / layer["digest"].partition(":")[2] for layer in manifest["layers"]]


#: A root that cannot be written, a /tmp, a few devices, the volumes; the address is this machine's.
START = """
root=$0 user=$1 mounts=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
mkdir --mode=1777 "$root/dev/shm"
for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
for mount in $mounts; do mount --bind "${mount%%:*}" "$root${mount#*:}"; done
exec chroot --userspec="$user" "$root" env -i HOST=127.0.0.1 PORT="${PORT:-8000}" "$@"
"""


def first_process(process: subprocess.Popen[bytes]) -> int:
    """The process of a container that is number 1 there."""
    waiting = [process.pid]
    while waiting:
        pid = waiting.pop()
        status = Path(f"/proc/{pid}/status").read_text()
        if re.search(r"^NSpid:.*\t1$", status, re.MULTILINE):
            return pid
        waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    raise AssertionError("no process is number 1")


def kill(pid: int, name: str = "TERM") -> None:
    execute(*ROOT, "kill", f"-{name}", str(pid))


@contextmanager
def contained(image: Image, log: Path, **options: Any) -> Iterator[Server]:
    """Run a container on a free port until it is stopped, as an engine stops it."""
    with serving(log.parent, log, image.command(**options)) as server:
        yield server
        if server.process.poll() is None:
            kill(first_process(server.process))
            server.process.wait(30)
