"""Importing a module opens no socket, writes no file, starts no thread and reads no environment variable.

A test that imports a module must not need what the module needs when it runs. So such things belong into ``init_app``,
or into a view. Started with the name of a package, this file is the process that imports it and prints what it saw.
"""

import _thread
import importlib
import os
import pkgutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

#: Packages of others that may do something when they are imported. Without a line here, a warning names them.
ALLOWED: list[str] = [
    # "matplotlib",
]


def effects(package: str, folder: Path) -> list[list[str]]:
    """Import the package in a fresh process: a line of the service, what happened, and who did it ("" is that line).

    Without bytecode, the writing of which is no effect.
    """
    command = [sys.executable, "-B", __file__, package]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return [line.split(" ") for line in done.stdout.splitlines()]


@pytest.mark.filterwarnings("default")
def test_importing_has_no_effects(package: ModuleType) -> None:
    found = effects(package.__name__, Path(package.__path__[0]).parent)
    for line, effect, who in found:
        if who and who not in ALLOWED:
            warnings.warn(
                f"{line} imports {who}, which does this when it is imported: {effect}. "
                f"If you accept that, add {who} to ALLOWED in tests/test_imports.py.",
                stacklevel=1,
            )
    assert [f"{line} does this when it is imported: {effect}" for line, effect, who in found if not who] == []


def watch(package: str) -> None:
    """Print the effects of importing a package."""

    def report(effect: str) -> None:
        frame = sys._getframe()
        who = ""
        while frame := frame.f_back:  # type: ignore[assignment]
            module = frame.f_globals.get("__name__", "")
            if f"{module}.".startswith(f"{package}."):
                # Many packages of others read the environment, which harms no test.
                if not who or (who not in sys.stdlib_module_names and effect != "environ"):
                    print(f"{module}:{frame.f_lineno}", effect, who)  # noqa: T201
                return
            if frame.f_code.co_name == "<module>" and not who:  # A module that is being imported: it did this.
                who = module.partition(".")[0]

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
    watch(sys.argv[1])
