from collections.abc import Callable
from types import ModuleType

import pytest
from flask import Flask, request


def test_proxies_have_to_strip_underscores(probe: Callable[..., Flask], package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError, match="PROXY_STRIPS_UNDERSCORES: Must be true"):
        probe("extensions.granian", TRUSTED_PROXIES=1)
    app = probe("extensions.granian", TRUSTED_PROXIES=1, PROXY_STRIPS_UNDERSCORES=True)
    app.add_url_rule("/caller", view_func=lambda: str(request.remote_addr))
    assert app.test_client().get("/caller", headers={"X-Forwarded-For": "192.0.2.1"}).text == "192.0.2.1"


def test_the_process_environment_is_kept_from_requests(
    probe: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DATABASE_PASSWORD": "confidential", "HTTP_PROXY": "proxy", "PATH_INFO": "/nowhere"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = probe("extensions.granian")
    app.add_url_rule("/names", view_func=lambda: sorted(environment.keys() & request.environ.keys()))
    response = app.test_client().get("/names", environ_overrides=environment | {"PATH_INFO": "/names"})
    assert response.json == ["PATH_INFO"]
