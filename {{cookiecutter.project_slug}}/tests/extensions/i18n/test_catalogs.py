"""``flask i18n``: catalogs are kept, checked and compiled."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from flask.testing import FlaskCliRunner

PLURAL = 'msgid "%(num)s note"\nmsgid_plural "%(num)s notes"\nmsgstr[0] "{}"\nmsgstr[1] "{}"\n'


@pytest.fixture
def command(runner: FlaskCliRunner) -> Callable[..., str]:
    """Run ``flask i18n``, and return what it prints, with the status if that is an error."""

    def command(*words: str) -> str:
        done = runner.invoke(args=["i18n", *words])
        return done.output if done.exit_code == 0 else f"{done.exit_code} {done.output}"

    return command


def test_update_leaves_out_what_the_template_translates(command: Callable[..., str], german: Path) -> None:
    assert command("update") == "Wrote translations/de/LC_MESSAGES/messages.po.\n"
    text = german.read_text()
    assert 'msgid "Send"' not in text
    assert 'msgid "Save"\nmsgstr "Merken"' in text
    assert PLURAL.format("", "") in text
    assert "Skip to content" not in text
    command("update")
    assert german.read_text() == text


def test_a_text_that_goes_and_one_that_changes(command: Callable[..., str], german: Path, sources: Path) -> None:
    template = sources / "templates/hello.html"
    template.write_text(
        template.read_text().replace("Welcome", "Most welcome").replace("Hello, ", "Good morning, dear ")
    )
    command("update")
    text = german.read_text()
    assert 'msgid "Welcome"' not in text
    assert 'msgid "Most welcome"' in text
    assert "has no translation." in command("check")


def test_check(command: Callable[..., str], german: Path) -> None:
    file = "translations/de/LC_MESSAGES/messages.po"
    told = f"{file}: '%(num)s note' is not in the catalog: run .venv/bin/flask i18n update"
    assert command("check") == f"1 Error: {told}\n"
    command("update")
    assert command("check") == f"1 Error: {file}: '%(num)s note' has no translation.\n"
    text = german.read_text()
    german.write_text(text.replace(PLURAL.format("", ""), PLURAL.format("Eine Notiz", "%(num)s Notizen")))
    assert command("check") == f"1 Error: {file}: '%(num)s note' has other placeholders than its translation.\n"
    german.write_text(text.replace(PLURAL.format("", ""), PLURAL.format("%(num)s Notiz", "%(num)s Notizen")))
    assert command("check") == ""
    for wrong in ("Hallo!", "Hallo, %(nam)s!", "Hallo, %(name)s! 100 %"):
        german.write_text(text.replace("Hallo, %(name)s!", wrong))
        assert "'Hello, %(name)s!' has other placeholders than its translation.\n" in command("check")
    german.write_text(text.replace('msgid "Welcome"', '#, fuzzy\nmsgid "Welcome"'))
    assert "'Welcome' has no translation.\n" in command("check")


def test_a_catalog_that_is_no_catalog(command: Callable[..., str], german: Path) -> None:
    german.write_text(german.read_text() + "\nmsgid 'x'\n")
    for word in ("check", "compile", "update"):
        assert command(word).splitlines()[-1].startswith("1 Error: translations/de/LC_MESSAGES/messages.po: line ")
    german.write_bytes(b'msgid "\xff"\nmsgstr ""\n')
    assert command("check").startswith("1 Error: translations/de/LC_MESSAGES/messages.po: ")


def test_compile(command: Callable[..., str], german: Path, i18n: ModuleType) -> None:
    compiled = german.with_suffix(".mo")
    assert command("compile") == ""
    german.write_text("")
    assert i18n.catalogs.load("de").gettext("Welcome") == "Willkommen"
    assert i18n.catalogs.load("de").gettext("Save") == "Merken"
    assert i18n.catalogs.load("de").gettext("Send") == "Senden"
    compiled.unlink()
    assert i18n.catalogs.load("de").gettext("Welcome") == "Welcome"
    assert i18n.catalogs.load("de").gettext("Save") == "Speichern"


def test_a_further_language(command: Callable[..., str], sources: Path, i18n: ModuleType) -> None:
    assert command("add", "pt-br") == "Wrote translations/pt_BR/LC_MESSAGES/messages.po.\n"
    text = (sources / "translations/pt_BR/LC_MESSAGES/messages.po").read_text()
    assert 'msgid "en"\nmsgstr "pt-BR"\n' in text
    for told in ("Welcome", "Send", "Skip to content", "Not Found", "The CSRF token is missing."):
        assert f'msgid "{told}"\nmsgstr ""\n' in text
    assert i18n.catalogs.languages() == ["en", "de", "pt-BR"]
    for wrong in ("xx", "../../etc", "", "x" * 1000):
        assert "is no language that Babel knows. For example: fr, pt-BR\n" in command("add", wrong)


def test_extract(command: Callable[..., str], sources: Path) -> None:
    command("extract")
    text = (sources / "translations/messages.pot").read_text()
    assert 'msgid "Send"\nmsgstr ""\n' in text
    assert "POT-Creation-Date" not in text
