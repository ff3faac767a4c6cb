from importlib import import_module
from types import ModuleType

import pytest


def test_app(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "testing")
    app = import_module(f"{package.__name__}.wsgi").app
    assert app.test_client().get("/livez").status_code == 200
