"""Importing a module opens no socket, writes no file, starts no thread and reads no environment variable.

Started with the name of a package, this file is the process that imports it and prints what it saw.
"""

import _thread
import importlib
import os
import pkgutil
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

CULPRITS = {
    "environment": "import os\nos.getenv('HOME')",
    "file": "open('written', 'w').close()",
    "folder": "import os\nos.mkdir('made')",
    "innocent": "import os",
    "low_level_thread": "import _thread\n_thread.start_new_thread(print, ())",
    "socket": "import socket\nsocket.socket().close()",
    "thread": "import threading\nthreading.Thread(target=print).start()",
}


def effects(package: str, folder: Path) -> list[str]:
    """Import the package in a fresh process. Without bytecode, the writing of which is no effect."""
    command = [sys.executable, "-B", __file__, package]
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def test_importing_has_no_effects(package: ModuleType) -> None:
    assert effects(package.__name__, Path(package.__path__[0]).parent) == []


def test_each_kind_of_effect_is_seen(tmp_path: Path) -> None:
    (tmp_path / "culprits").mkdir()
    (tmp_path / "culprits/__init__.py").touch()
    for name, code in CULPRITS.items():
        (tmp_path / f"culprits/{name}.py").write_text(code)
    assert effects("culprits", tmp_path) == [
        "culprits.environment:2:environ",
        "culprits.file:1:open",
        "culprits.folder:2:os.mkdir",
        "culprits.low_level_thread:2:thread",
        "culprits.socket:2:socket.__new__",
        "culprits.thread:2:thread",
    ]


def watch(package: str) -> None:
    """Print the module, the line and the kind of each effect of importing a package."""

    def report(effect: str) -> None:
        frame = sys._getframe()
        while frame := frame.f_back:  # type: ignore[assignment]
            module = frame.f_globals["__name__"]
            if f"{module}.".startswith(f"{package}."):
                print(f"{module}:{frame.f_lineno}:{effect}")  # noqa: T201
                return

    class Environ(type(os.environ)):  # type: ignore[misc]
        def __getitem__(self, name: str) -> Any:
            report("environ")
            return super().__getitem__(name)

        def __iter__(self) -> Any:
            report("environ")
            return super().__iter__()

    def audit(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event in {"os.mkdir", "os.remove", "os.rename"} or event.startswith(("socket.", "subprocess.")):
            report(event)

    def wrap(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def start(*args: Any, **kwargs: Any) -> Any:
            report("thread")
            return original(*args, **kwargs)

        setattr(owner, name, start)

    os.environ.__class__ = Environ  # of the one that modules may hold already
    sys.addaudithook(audit)
    wrap(threading.Thread, "start")
    wrap(_thread, "start_new_thread")
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        # These two make an application, and are imported by servers and by `python -m` alone.
        if module.name not in {f"{package}.wsgi", f"{package}.__main__"}:
            importlib.import_module(module.name)


if __name__ == "__main__":
    # The language, whether there is colour, and the places of Python and of time zones are read by these for themselves.
    import sysconfig  # noqa: F401
    import zoneinfo  # noqa: F401

    import flask  # noqa: F401
    import structlog  # noqa: F401

    watch(sys.argv[1])
