"""Texts in the language of the reader. README.md, "Languages", says how texts are marked and translated.

The language is what the reader has chosen (``?lang=de``, kept in a cookie), or else what the browser asks for. It is
looked up when a text is first needed, so that answers of an API cost nothing more.
https://www.gnu.org/software/gettext/manual/
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, after_this_request, current_app, g, has_request_context, request
from werkzeug.local import LocalProxy

from . import catalogs

if TYPE_CHECKING:
    from ...core.settings import Env

#: How long a browser keeps what its reader has chosen: a year.
KEPT = 31_536_000

bp = Blueprint("i18n", __name__, template_folder="templates")


def config(env: "Env") -> dict[str, Any]:
    known = catalogs.languages()
    one = "|".join(map(re.escape, known))
    hint = f"Must be some of these, with commas between them: {', '.join(known)}."
    offered = env.text("LANGUAGES", ",".join(known), pattern=rf"({one})(\s*,\s*({one}))*", hint=hint)
    # WTForms translates the messages of its validators; Flask-WTF would ask Flask-Babel for the language.
    return {"LANGUAGES": [code.strip() for code in offered.split(",")], "WTF_I18N_ENABLED": False}


def init_app(app: Flask) -> None:
    from ..pages.forms import Form  # Imported here, because forms import this module.

    app.extensions["i18n"] = {code: catalogs.load(code) for code in app.config["LANGUAGES"]}
    app.cli.add_command(catalogs.commands)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals |= {"language": language, "languages": languages}
    app.jinja_env.filters["datetime"] = write_time
    Form.Meta.locales = property(lambda _: [language().replace("-", "_"), catalogs.SOURCE])


def gettext(text: str, /, **values: object) -> str:
    """Translate a text, and fill in values: ``_("Hello, %(name)s!", name=name)``."""
    found: str = _catalog().gettext(text) if text else text  # The translation of "" is the header of the catalog.
    return found % values if values else found


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """Translate a text that depends on a number: ``ngettext("%(num)s note", "%(num)s notes", len(notes))``."""
    found: str = _catalog().ngettext(one, many, num)
    return found % {"num": num, **values}


def lazy_gettext(text: str, /, **values: object) -> Any:
    """Mark a text that is written outside of a request, such as a label: it is translated each time it is shown."""
    return LocalProxy(partial(gettext, text, **values))


def write_time(moment: datetime) -> str:
    """Write a moment in the style of the language: the filter ``datetime``."""
    from babel.dates import format_datetime  # Imported here, because it takes 40 ms, and many pages have no time.

    return format_datetime(moment, "long", locale=language().replace("-", "_"))


def language() -> str:
    """The language of this request, as in HTML: ``pt-BR``. Of jobs and commands, it is the first of ``LANGUAGES``."""
    if "language" not in g:
        g.language = _choose() if has_request_context() else current_app.config["LANGUAGES"][0]
    return str(g.language)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Write in another language, such as that of who gets a mail: ``with speaking(user.language):``"""
    before = language()
    g.language = code if code in current_app.config["LANGUAGES"] else before
    try:
        yield
    finally:
        g.language = before


def languages() -> list[tuple[str, str, str]]:
    """The languages to choose from: code, own name, and the address of this page in it."""
    offered, rest = current_app.config["LANGUAGES"], request.args.copy()
    rest.pop("lang", None)
    # Without a path, because one that begins with two slashes would lead to another site.
    return [(code, catalogs.name(code), f"?{urlencode([*rest.items(True), ('lang', code)])}") for code in offered]


def _catalog() -> Any:
    found = current_app.extensions.get("i18n", {}) if current_app else {}
    return found[language()] if found else catalogs.UNTRANSLATED


def _choose() -> str:
    offered: list[str] = current_app.config["LANGUAGES"]
    asked, kept = request.args.get("lang", ""), request.cookies.get("lang", "")
    if asked in offered:
        code, varies = asked, []
    elif kept in offered:
        code, varies = kept, ["Cookie"]
    else:
        code, varies = request.accept_languages.best_match(offered, offered[0]), ["Cookie", "Accept-Language"]

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers["Content-Language"] = code
        response.vary.update(varies)
        if asked == code != kept:
            secure = current_app.config["SESSION_COOKIE_SECURE"]
            path = request.root_path or "/"
            response.set_cookie("lang", code, KEPT, path=path, secure=secure, httponly=True, samesite="Lax")
        return response

    return code
