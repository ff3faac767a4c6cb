"""A bare application with a form, and nothing of the service's own."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Blueprint, Flask, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from wtforms import IntegerField, StringField
from wtforms.validators import Length


@pytest.fixture
def make_pages(probe: Callable[..., Flask], package: ModuleType) -> Callable[..., Flask]:
    """Make an application with pages: ``make_pages(APP_ENV="production")``."""
    forms = import_module(".extensions.pages.forms", package.__name__)

    class Memo(forms.Form):  # type: ignore[misc, name-defined]
        title = StringField("Title", [Length(max=20)], description="What it is about")
        count = IntegerField("Count", default=1)

    def make(**config: Any) -> Flask:
        app = probe("extensions.pages", PROPAGATE_EXCEPTIONS=False, **config)
        app.register_blueprint(Blueprint("test_templates", __name__, template_folder="templates"))

        @app.route("/form", methods=["GET", "POST"])
        def form() -> ResponseReturnValue:
            memo = Memo()
            if memo.validate_on_submit():
                flash(f"Got {memo.title.data!r}.")
                return redirect("/form", 303)
            return render_template("form.html", form=memo), 422 if memo.errors else 200

        @app.post("/data")
        def data() -> ResponseReturnValue:
            return {"taken": True}

        @app.get("/bug")
        def bug() -> ResponseReturnValue:
            raise RuntimeError("internals")

        return app

    return make


@pytest.fixture
def app(make_pages: Callable[..., Flask], tmp_path: Path) -> Flask:
    app = make_pages()
    app.static_folder = str(tmp_path)
    return app
