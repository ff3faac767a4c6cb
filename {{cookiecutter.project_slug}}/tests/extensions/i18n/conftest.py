"""A package with texts and catalogs of its own: no change of yours breaks these tests."""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask, abort, render_template
from flask.typing import ResponseReturnValue
from wtforms import StringField
from wtforms.validators import InputRequired

HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
MINE = {
    "Welcome": "Willkommen",
    "Hello, %(name)s!": "Hallo, %(name)s!",
    "Your name": "Ihr Name",
    "Save": "Merken",
}
SHIPPED = {"Save": "Speichern", "Send": "Senden"}
CODE = """
_("Save"), _("Send"), _l("Your name")
ngettext("%(num)s note", "%(num)s notes", 2)
"""


def catalog(texts: dict[str, str]) -> str:
    return HEAD + "".join(f'\nmsgid "{text}"\nmsgstr "{told}"\n' for text, told in texts.items())


@pytest.fixture
def i18n(package: ModuleType) -> ModuleType:
    return import_module(".extensions.i18n", package.__name__)


@pytest.fixture
def sources(i18n: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package with a few texts, German for most of them, and the texts of pages."""
    pages = i18n.catalogs.PACKAGE / "extensions/pages"
    shutil.copytree(pages / "i18n", tmp_path / "extensions/pages/i18n")
    shutil.copytree(pages / "templates", tmp_path / "extensions/pages/templates")
    shutil.copytree(Path(__file__).with_name("templates"), tmp_path / "templates")
    for path, text in {
        "extensions/mail/__init__.py": CODE,
        "extensions/mail/i18n/de.po": catalog(SHIPPED),
        "translations/de/LC_MESSAGES/messages.po": catalog(MINE),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(i18n.catalogs, "PACKAGE", tmp_path)
    return tmp_path


@pytest.fixture
def german(sources: Path) -> Path:
    """The German catalog of its owner."""
    return sources / "translations/de/LC_MESSAGES/messages.po"


@pytest.fixture
def make_site(
    sources: Path, probe: Callable[..., Flask], i18n: ModuleType, package: ModuleType
) -> Callable[..., Flask]:
    """Make an application with a page, a form and a view that answers JSON."""
    forms = import_module(".extensions.pages.forms", package.__name__)

    class Greeting(forms.Form):  # type: ignore[misc, name-defined]
        name = StringField(i18n.lazy_gettext("Your name"), [InputRequired()])

    def make(**config: object) -> Flask:
        app = probe("extensions.pages", **config)
        app.template_folder = str(sources / "templates")

        @app.route("/greet", methods=["GET", "POST"])
        def greet() -> ResponseReturnValue:
            form = Greeting()
            form.validate_on_submit()
            return render_template("greet.html", form=form)

        @app.get("/hello")
        def hello() -> ResponseReturnValue:
            return render_template("hello.html", name="<b>")

        @app.get("/page")
        def page() -> ResponseReturnValue:
            return render_template("pages/base.html")

        @app.get("/stop")
        def stop() -> ResponseReturnValue:
            abort(403, "<script>100 %</script>")

        return app

    return make


@pytest.fixture
def app(make_site: Callable[..., Flask]) -> Flask:
    return make_site()
