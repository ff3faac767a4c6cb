"""Catalogs: the translations of texts, in files that translators' programs know, and ``flask i18n``, which keeps them.

Yours is ``translations/de/LC_MESSAGES/messages.po``. The template's own texts are translated beside them, in a folder
``i18n`` of each extension; a translation in your catalog comes first. https://babel.pocoo.org/en/latest/messages.html
"""

import re
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog
from flask import current_app
from flask.cli import AppGroup

if TYPE_CHECKING:  # Babel is imported where it is used: a service that runs needs little of it.
    from babel.messages.catalog import Catalog, Message

#: The language that the texts are written in.
SOURCE = "en"
PACKAGE = Path(__file__).parents[2]
METHODS = [("**/templates/**", "jinja2"), ("**.py", "python")]
UNTRANSLATED = NullTranslations()

commands = AppGroup("i18n", help="Texts and their translations.")


def languages() -> list[str]:
    """The language of the texts, and those that have a catalog."""
    found = [path.parent.parent.name.replace("_", "-") for path in PACKAGE.glob("translations/*/LC_MESSAGES/*.po")]
    return list(dict.fromkeys([SOURCE, *sorted(found)]))


def file(code: str, suffix: str = "po") -> Path:
    """Your catalog of a language."""
    return PACKAGE / f"translations/{code.replace('-', '_')}/LC_MESSAGES/messages.{suffix}"


@cache
def name(code: str) -> str:
    """What a language calls itself."""
    from babel import Locale

    return str(Locale.parse(code, sep="-").display_name)


def load(code: str) -> NullTranslations:
    """Load what ``compile`` has written, or compile now. A broken catalog is logged, and translates nothing."""
    if not file(code).exists():
        return UNTRANSLATED
    try:
        path = file(code, "mo")
        return GNUTranslations(BytesIO(path.read_bytes() if path.exists() else compiled(code)))
    except Exception as error:  # noqa: BLE001 - a file that is no catalog raises anything
        structlog.get_logger().error("catalog_broken", language=code, error=str(error))
        return UNTRANSLATED


def compiled(code: str) -> bytes:
    """All translations into a language. Those with wrong placeholders are left out: they would fail when shown."""
    from babel.messages.mofile import write_mo

    found = translations(code)
    for message in [message for message in found if wrong(message)]:
        found.delete(message.id, message.context)
    write_mo(target := BytesIO(), found)
    return target.getvalue()


def read(path: Path, code: str) -> "Catalog":
    """Read a catalog.

    :raises click.ClickException: naming the line that is wrong.
    """
    from babel.messages.pofile import PoFileError, read_po

    try:
        with path.open("rb") as source:
            return read_po(source, code.replace("-", "_"), charset="utf-8", abort_invalid=True)
    except (PoFileError, ValueError) as error:
        line = f" line {error.lineno + 1}:" if isinstance(error, PoFileError) else ""
        raise click.ClickException(f"{shown(path)}:{line} {error}") from error


def translations(code: str, shipped: bool = False) -> "Catalog":
    """The translations into a language: those of your catalog, then those of the template."""
    from babel.messages.catalog import Catalog

    merged = Catalog(code.replace("-", "_"), fuzzy=False)
    paths = sorted(PACKAGE.rglob(f"i18n/{code}.po"))
    for path in paths if shipped or not file(code).exists() else [file(code), *paths]:
        for message in read(path, code):
            known = not message.id or merged.get(message.id, message.context)
            if not known and not message.fuzzy and all(forms(message.string)):
                merged[message.id] = message
    return merged


def texts() -> "Catalog":
    """The texts that the sources mark, and those of errors that libraries raise."""
    from babel.messages.catalog import Catalog
    from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_from_file
    from flask_wtf import csrf
    from werkzeug.exceptions import default_exceptions

    found, keywords = Catalog(), DEFAULT_KEYWORDS | {"_l": None, "lazy_gettext": None}
    jinja = {"extensions": ",".join(current_app.jinja_env.extensions), "silent": "false"}
    marked = extract_from_dir(PACKAGE, METHODS, {METHODS[0][0]: jinja}, keywords, ["Translators:"])
    for _, _, text, notes, context in marked:
        found.add(text, auto_comments=notes, context=context)
    for _, text, *_ in extract_from_file("python", csrf.__file__, {"ValidationError": None}):
        found.add(text)
    for status in (400, 403, 404, 405, 413, 429, 500, 503):
        error = default_exceptions[status]()
        found.add(error.name)
        found.add(error.description or error.name)
    return found


def wrong(message: "Message") -> bool:
    """Whether a translation has other placeholders than its text."""
    names = [placeholders(text) for text in forms(message.id)]  # "One note" may have fewer than "%(num)s notes".
    return bool(message.id) and any(placeholders(text) not in names for text in forms(message.string))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%(?:\(\w+\))?.?", text))


def forms(text: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """A text, or its forms for one and for many."""
    return tuple(text) if isinstance(text, list | tuple) else (text or "",)


def missing(code: str) -> list[str]:
    """What is wrong with the translations into a language, a line each."""
    mine, found, lines = read(file(code), code), translations(code), []
    for message in [message for message in texts() if message.id]:
        translated, known = (catalog.get(message.id, message.context) for catalog in (found, mine))
        if not translated:
            problem = "has no translation." if known else "is not in the catalog: run .venv/bin/flask i18n update"
        elif wrong(translated):
            problem = "has other placeholders than its translation."
        else:
            continue
        lines.append(f"{shown(file(code))}: {forms(message.id)[0]!r} {problem}")
    return lines


def write(path: Path, catalog: "Catalog") -> None:
    """Write a catalog without dates and lines, so that a merge has only what changed."""
    from babel.messages.pofile import write_po

    head = [f"Language: {catalog.locale_identifier}"] if catalog.locale else []
    head += ["Content-Type: text/plain; charset=utf-8"]
    head += [f"Plural-Forms: {catalog.plural_forms}"] if catalog.locale else []
    write_po(body := BytesIO(), catalog, 0, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True)
    lines = "".join(f'"{line}\\n"\n' for line in head)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f'msgid ""\nmsgstr ""\n{lines}\n'.encode() + body.getvalue().strip() + b"\n")


def shown(path: Path) -> Path:
    return path.relative_to(PACKAGE)


def renew(code: str) -> None:
    """Bring a catalog up to date with the sources. Texts that the template translates are not added, but kept."""
    from babel.messages.catalog import Catalog

    mine = read(file(code), code) if file(code).exists() else Catalog(code.replace("-", "_"))
    known, wanted = translations(code, shipped=True), Catalog()
    for message in texts():
        if not known.get(message.id, message.context) or mine.get(message.id, message.context):
            wanted[message.id] = message
    mine.update(wanted)
    if (tag := mine.get(SOURCE)) and not tag.string:
        tag.string = code  # of <html lang="...">
    write(file(code), mine)
    click.echo(f"Wrote {shown(file(code))}.")


@commands.command()
def extract() -> None:
    """Write all texts to translations/messages.pot, for programs of translators."""
    write(PACKAGE / "translations/messages.pot", texts())


@commands.command()
@click.argument("code")
def add(code: str) -> None:
    """Add a language, such as fr or pt-BR: a catalog of all texts, to be translated."""
    from babel import Locale, UnknownLocaleError

    try:
        renew(str(Locale.parse(code, sep="-")).replace("_", "-"))
    except (UnknownLocaleError, ValueError) as error:
        raise click.ClickException(f"{code!r} is no language that Babel knows. For example: fr, pt-BR") from error


@commands.command()
def update() -> None:
    """Bring the catalogs up to date with the texts."""
    for code in languages():
        if file(code).exists():
            renew(code)


@commands.command("compile")
def compile_all() -> None:
    """Write what a running service reads: messages.mo, beside each catalog."""
    for code in languages():
        if file(code).exists():
            file(code, "mo").write_bytes(compiled(code))


@commands.command()
def check() -> None:
    """Fail if a text has no translation, or one with other placeholders."""
    if lines := [line for code in languages() if code != SOURCE for line in missing(code)]:
        raise click.ClickException("\n".join(lines))
