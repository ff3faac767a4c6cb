"""What services report to, as the fixtures of their own tests have it."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from manifest import TREE


@contextmanager
def listening_in(name: str) -> Iterator[Any]:
    """Start a receiver.

    :param name: its module below ``tests/fixtures`` of the tree, and its class.
    """
    module_name, _, class_name = name.partition(".")
    spec = importlib.util.spec_from_file_location(module_name, TREE / f"tests/fixtures/{module_name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with getattr(module, class_name)() as receiver:
        thread = Thread(target=receiver.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:  # Otherwise, pytest would wait for the thread when a test has failed.
            receiver.shutdown()
            thread.join()
