from types import ModuleType

from flask.testing import FlaskClient


def test_index(client: FlaskClient, package: ModuleType) -> None:
    assert client.get("/").json == {"service": package.__name__}
