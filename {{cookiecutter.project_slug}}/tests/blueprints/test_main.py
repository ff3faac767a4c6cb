from types import ModuleType

from flask.testing import FlaskClient


def test_index(client: FlaskClient, package: ModuleType) -> None:
    assert client.get("/").json == {"service": package.__name__}


# The test of your next route goes here. Other fixtures are in tests/fixtures/; your own go into tests/conftest.py.
