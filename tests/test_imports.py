"""The test of a service that importing has no effects sees each kind of effect, and blames whoever has it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from manifest import TREE

CULPRITS = {
    "calls_another": "import other\nother.read()",
    "environment": "import os\nos.getenv('HOME')",
    "file": "open('written', 'w').close()",
    "folder": "import os\nos.mkdir('made')",
    "imports_another": "import other.busy",
    "innocent": "import os, other",
    "low_level_thread": "import _thread\n_thread.start_new_thread(int, ())",
    "socket": "import socket\nsocket.socket().close()",
    "thread": "import threading\nthreading.Thread(target=int).start()",
}


def test_each_kind_of_effect_is_seen(tmp_path: Path) -> None:
    spec = spec_from_file_location("watched", TREE / "tests/test_imports.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in "culprits", "other":
        (tmp_path / name).mkdir()
    (tmp_path / "culprits/__init__.py").touch()
    for name, code in CULPRITS.items():
        (tmp_path / f"culprits/{name}.py").write_text(code)
    (tmp_path / "other/__init__.py").write_text("import os\n\n\ndef read():\n    os.getenv('HOME')\n")
    (tmp_path / "other/busy.py").write_text("import socket\nsocket.socket().close()")
    assert module.effects("culprits", tmp_path) == [
        ["culprits.calls_another:2", "environ", ""],
        ["culprits.environment:2", "environ", ""],
        ["culprits.file:1", "open", ""],
        ["culprits.folder:2", "os.mkdir", ""],
        ["culprits.imports_another:1", "socket.__new__", "other"],
        ["culprits.low_level_thread:2", "thread", ""],
        ["culprits.socket:2", "socket.__new__", ""],
        ["culprits.thread:2", "thread", ""],
    ]
