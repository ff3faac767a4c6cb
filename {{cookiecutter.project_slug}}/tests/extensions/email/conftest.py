"""A bare application that sends mails, with templates of the tests."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint, Flask, abort, request, send_file
from flask.typing import ResponseReturnValue


@pytest.fixture
def email(package: ModuleType) -> ModuleType:
    return import_module(".extensions.email", package.__name__)


@pytest.fixture
def make_mailing(probe: Callable[..., Flask], email: ModuleType) -> Callable[..., Flask]:
    """Make an application whose views send mails: ``make_mailing(MAIL_HOST="127.0.0.1")``."""

    def make(*modules: str, **config: Any) -> Flask:
        app = probe(*(modules or ["extensions.email"]), PROPAGATE_EXCEPTIONS=False, **config)
        app.register_blueprint(Blueprint("test_templates", __name__, template_folder="templates"))

        @app.post("/greetings")
        def greet() -> ResponseReturnValue:
            template = request.args.get("template", "greeting")
            email.send("ada@example.com", "Greetings", f"trial/{template}", name=request.args.get("name", "Ada"))
            if "raise" in request.args:
                raise RuntimeError("too late")
            if "abort" in request.args:
                abort(409)
            if "file" in request.args:
                return send_file(Path(__file__))
            return {}, int(request.args.get("status", 200))

        return app

    return make


@pytest.fixture
def mailing(make_mailing: Callable[..., Flask]) -> Flask:
    return make_mailing()
