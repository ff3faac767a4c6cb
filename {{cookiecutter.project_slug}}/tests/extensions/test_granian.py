from collections.abc import Callable
from socket import socket
from subprocess import Popen
from time import monotonic, sleep
from types import ModuleType

import pytest
from flask import Flask, request

FORWARDED = {"X-Forwarded-For": "192.0.2.1"}


def test_proxies_have_to_strip_underscores(make_app: Callable[..., Flask], package: ModuleType) -> None:
    with pytest.raises(package.core.settings.ConfigError, match="PROXY_STRIPS_UNDERSCORES: Must be true"):
        make_app(TRUSTED_PROXIES=1)


def test_trusted_proxy(make_app: Callable[..., Flask]) -> None:
    app = make_app(TRUSTED_PROXIES=1, PROXY_STRIPS_UNDERSCORES=True)
    app.add_url_rule("/caller", view_func=lambda: str(request.remote_addr))
    assert app.test_client().get("/caller", headers=FORWARDED).text == "192.0.2.1"


def test_process_environment_is_kept_from_requests(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DATABASE_PASSWORD": "confidential", "HTTP_PROXY": "proxy", "PATH_INFO": "/nowhere"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = make_app()
    app.add_url_rule("/names", view_func=lambda: sorted(environment.keys() & request.environ.keys()))
    response = app.test_client().get("/names", environ_overrides=environment | {"PATH_INFO": "/names"})
    assert response.json == ["PATH_INFO"]


def test_workers_end_with_the_main_process(serve: Callable[..., Popen[bytes]], port: int) -> None:
    serve().kill()

    def listens() -> bool:
        with socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    # A worker looks for its parent each second.
    deadline = monotonic() + 20
    while listens():
        assert monotonic() < deadline
        sleep(0.1)
