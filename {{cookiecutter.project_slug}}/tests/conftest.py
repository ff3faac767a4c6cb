"""Your fixtures go here. Those of the template are in ``fixtures/``, and every test can use them."""

from types import ModuleType

import pytest

import {{ cookiecutter.package_name }}


@pytest.fixture(scope="session")
def package() -> ModuleType:
    """The package, for the tests and fixtures of the template: these are the same in every service, and name none."""
    return {{ cookiecutter.package_name }}
