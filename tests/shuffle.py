"""A plugin of pytest: the tests of a service in an order that ``SEED`` decides, the files as well as what is in each.

https://github.com/pytest-dev/pytest-randomly does the same.
"""

import os
from random import Random

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    random = Random(os.environ["SEED"])
    random.shuffle(items)
    places = {path: random.random() for path in sorted({item.path for item in items})}
    items.sort(key=lambda item: places[item.path])
