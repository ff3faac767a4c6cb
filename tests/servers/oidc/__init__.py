"""A certified OpenID Connect provider, npm's ``oidc-provider``: installed once, by its lock file, into the user's cache."""

import json
import os
import shutil
import signal
import subprocess
from base64 import b64encode
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from running import free_port, until

from ..processes import Private, missing

HERE = Path(__file__).parent
#: The site and the machine that it knows, and what tokens are for.
CLIENT, SECRET, AUDIENCE = "site", "a secret of the site, & no other", "https://api.example.com"
MACHINE = "machine:a secret of the machine"


def installed() -> Path:
    """The folder with its packages: without the network, if they were installed before."""
    if not (npm := shutil.which("npm")):
        missing("npm", "apt-get install npm")
    digest = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "cookiecutter-flask-service/servers")
    folder = cache / f"oidc-provider-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not folder.exists():
            with TemporaryDirectory(dir=cache) as work:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(HERE / name, work)
                command = [npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
                done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
                if done.returncode:
                    missing("oidc-provider", f"npm ci, which said: {done.stderr.strip()}")
                made = folder.with_suffix(".part")
                shutil.copytree(work, made)
                made.rename(folder)
    return folder


class Provider(Private):
    """The provider as a process. ``settings`` are those of a service that trusts it."""

    def __init__(self, log: Path, site: str) -> None:
        port = free_port()
        node = shutil.which("node") or missing("node", "apt-get install nodejs")
        command = [node, str(HERE / "provider.mjs"), str(installed()), str(port), site]
        super().__init__(f"http://127.0.0.1:{port}", port, command, log)

    @property
    def settings(self) -> dict[str, str]:
        told = {"OIDC_ISSUER": self.url, "OIDC_AUDIENCE": AUDIENCE}
        return told | {"OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}

    def rotate(self) -> None:
        """Sign with another key from now on."""
        before = self.asked("rotated")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.asked("rotated") > before, 20)

    def asked(self, path: str) -> int:
        """How often it was asked for a path."""
        return self.log.read_text().splitlines().count(path)

    def token(self, scope: str = "conversions:write", resource: str = AUDIENCE) -> str:
        """An access token of the machine."""
        form = {"grant_type": "client_credentials", "scope": scope, "resource": resource}
        headers = {"Authorization": f"Basic {b64encode(MACHINE.encode()).decode()}"}
        with urlopen(Request(f"{self.url}/token", urlencode(form).encode(), headers), timeout=20) as answer:
            return str(json.load(answer)["access_token"])

    def keys(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/jwks", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)["keys"]
            return found
