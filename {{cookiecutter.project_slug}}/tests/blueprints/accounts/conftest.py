import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def throttle(package: ModuleType) -> ModuleType:
    return import_module(".extensions.accounts.throttle", package.__name__)


@pytest.fixture
def link(outbox: Any) -> Callable[[], str]:
    """The link in the last mail, without the site."""

    def find() -> str:
        (url,) = re.findall(r"https?://\S+", outbox[-1].get_content())
        return str(url).removeprefix("https://www.example.com")

    return find
