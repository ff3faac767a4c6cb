"""The option ``i18n``: marks that can be turned into plain texts, German for all of them, and pages in Chromium."""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from browsing import Reader, browser
from conftest import Service
from manifest import TREE, owners, tree_files
from matrix import some
from owned import Owned
from rendering import of_the_hook, said
from running import Server, run, serving, until
from test_readme import blocks
from updates import commit, copy_template, create, create_committed, files, update

#: What only the option understands.
MARKED = r"(?<![\w.])_l?\(|\bn?p?gettext\b|{%-? *(trans|pluralize)\b"
SOURCES = [path for path in tree_files() if path.endswith((".html", ".py", ".txt")) and "i18n" not in owners(path)]
SITE = {"pages": "yes", "sql": "sqlite", "example": "yes"}
FULL = {"preset": "full"}


def plain(path: str, text: str) -> str:
    return said(path, text, owners(path))


def refused(path: str, text: str) -> list[str]:
    """What is wrong with the marks of a file: a service without the option would not have the plain text."""
    found = []
    for words, values in re.findall(of_the_hook()["MARK"], text):
        named = re.findall(r"(?:^|,)\s*(\w+)=", values)
        if sorted(re.findall(r"%\((\w+)\)s", words)) != sorted(named) or "%" in re.sub(r"%\(\w+\)s", "", words):
            found.append(f"{path} has other placeholders than values: {words}")
    if found:
        return found
    found += [f"{path} keeps {hit[0]}" for hit in re.finditer(MARKED, plain(path, text))]
    if path.endswith(".py") and re.search(MARKED, text):
        try:
            ast.parse(plain(path, text), feature_version=(3, 11))
        except SyntaxError as error:
            found.append(f"{path}: {error}")
    return found


def test_every_mark_can_be_turned_into_plain_text() -> None:
    texts = {path: (TREE / path).read_text() for path in SOURCES}
    assert sum(len(re.findall(MARKED, text)) for text in texts.values()) >= 40
    assert [problem for path, text in texts.items() for problem in refused(path, text)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("x.html", "{{ _('Sign in') }}"),
        ("x.html", '{{- _("Sign in") -}}{{ _("Sign {in}") }}'),
        ("x.html", '{{ _("Sign " ~ name) }}'),
        ("x.html", '{{ ngettext("%(num)s note", "%(num)s notes", 2) }}'),
        ("x.html", "{% trans %}Sign in{% endtrans %}"),
        ("x.html", '{{ _("100 %") }}'),
        ("x.html", '{{ _("Hello, %(name)s") }}'),
        ("x.txt", '{{ _("Hello", name=name) }}'),
        ("x.py", 'X = _("Hello, %(name)s", name=g(f(1)))\n'),
        ("x.py", 'X = _("Hello, %(name)s", name=g("x"))\n'),
        ("x.py", 'X = _("Hello " "Ada")\n'),
        ("x.py", 'X = _(f"Hello {name}")\n'),
        ("x.py", "X = _('Hello')\n"),
    ],
)
def test_a_mark_that_cannot_be_turned_is_refused(path: str, text: str) -> None:
    if path != "x.py" or "name=g(" not in text or sys.version_info < (3, 12):
        assert refused(path, text)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("x.html", '<p title="{{ _("Sign in") }}">', '<p title="Sign in">'),
        ("x.html", '{{ _("“%(a)s” of %(b)s", a=x.y, b=f(1, 2) | g) }}', "“{{ x.y }}” of {{ f(1, 2) | g }}"),
        ("x.txt", '{{ name or _("You") }}', '{{ name or "You" }}'),
        ("x.html", 'a\n{% include "i18n/languages.html" %}\nb\n', "a\nb\n"),
        ("x.py", 'X = _("Hello, %(name)s.", name=user.name())\n', 'X = f"Hello, {user.name()}."\n'),
        ("x.py", 'X = _l(\n    "Hello"\n)\n', 'X = "Hello"\n'),
        ("x.py", "X = _(e.text or e.name)\n", "X = e.text or e.name\n"),
        ("x.py", "import a\n\nfrom ..i18n import gettext as _\n\n\nX = 1\n", "import a\n\n\nX = 1\n"),
        (
            "x.py",
            "from . import a\nfrom .i18n import gettext as _\nfrom .z import b\n",
            "from . import a\nfrom .z import b\n",
        ),
        ("x.py", 'foo_("x"), x._("y"), [_ for _ in ()]\n', 'foo_("x"), x._("y"), [_ for _ in ()]\n'),
    ],
)
def test_plain_text(path: str, text: str, expected: str) -> None:
    assert plain(path, text) == expected
    assert not refused(path, text)


def test_a_service_without_it_has_no_mark(bake: Callable[..., Service]) -> None:
    service = bake(**SITE)
    marked = [path for path, text in service.texts.items() if re.search(MARKED, text) and "htmx" not in path]
    assert marked == []
    assert "<h1>Delete “{{ note.title }}”?</h1>" in "".join(service.texts.values())


#: Prints pages of a service, as a browser gets them, but for what is new in each.
PAGES = """
import json, re
from flask_service import create_app

client = create_app({"APP_ENV": "development"}).test_client()
found = {}
for path in ("/", "/notes?q=nothing like it", "/notes/new", "/nowhere"):
    text = client.get(path, headers={"Accept": "text/html"}).text
    text = re.sub(r'\\n<section aria-label="Language">.*?</section>\\n', "", text, flags=re.DOTALL)
    found[path] = " ".join(re.sub(r'value="[^"]{60,}"|[0-9a-f]{32}', "", text).split())
print(json.dumps(found))
"""


@pytest.mark.slow
def test_english_pages_are_those_of_a_service_without_it(
    site: Owned, bake: Callable[..., Service], tmp_path: Path
) -> None:
    other = Owned(bake(**SITE), tmp_path / "service")
    other.command("db", "upgrade")
    with_it, without = (json.loads(service.python("-c", PAGES).splitlines()[0]) for service in (site, other))
    assert with_it == without
    assert "There are no such notes." in "".join(without.values())


@pytest.mark.slow
@pytest.mark.parametrize("answers", some([{"pages": "yes"}, SITE, {"preset": "website"}, FULL], FULL), ids=str)
def test_german_is_whole(answers: dict[str, str], bake: Callable[..., Service], tmp_path: Path) -> None:
    """Every text has a translation, every translation has a text, and the catalog is as ``update`` writes it."""
    service = Owned(bake(**answers, i18n="yes"), tmp_path / "service")
    service.command("i18n", "check")
    catalog = service.package / "translations/de/LC_MESSAGES/messages.po"
    before = catalog.read_text()
    service.command("i18n", "update")
    assert catalog.read_text() == before
    ids = {
        path: re.findall(r'^msgid "(.+)"$', path.read_text(), re.MULTILINE) for path in service.package.rglob("*.po")
    }
    service.command("i18n", "extract")
    texts = (service.package / "translations/messages.pot").read_text()
    assert len(ids) >= 3
    assert [(path.name, text) for path, found in ids.items() for text in found if f'msgid "{text}"' not in texts] == []


@pytest.mark.slow
def test_the_readme_of_a_service_followed(bake: Callable[..., Service], tmp_path: Path) -> None:
    """Texts of one's own, in German, and a third language."""
    service = Owned(bake(pages="yes", i18n="yes"), tmp_path / "service")
    readme = (service.folder / "README.md").read_text().partition("## Languages")[2].partition("\n## ")[0]
    update, add = [block.split()[1:] for block in blocks(readme)]
    index = service.package / "templates/pages/index.html"
    index.write_text(index.read_text().replace("<h1>", blocks(readme, "html")[0].splitlines()[0] + "\n<h1>"))
    with pytest.raises(AssertionError, match="'Orders' is not in the catalog: flask i18n update"):
        service.command("i18n", "check")
    service.command(*update)
    german = service.package / "translations/de/LC_MESSAGES/messages.po"
    german.write_text(german.read_text().replace('msgid "Orders"\nmsgstr ""', 'msgid "Orders"\nmsgstr "Bestellungen"'))
    service.command("i18n", "check")
    service.command(*add)
    french = service.package / "translations/fr/LC_MESSAGES/messages.po"
    with pytest.raises(AssertionError, match="'Welcome' has no translation"):
        service.command("i18n", "check")
    french.write_text(re.sub(r'msgid "(.+)"\nmsgstr ""', r'msgid "\1"\nmsgstr "\1 !"', french.read_text()))
    service.command("i18n", "check")
    service.command("i18n", "compile")
    with serve(service, tmp_path) as server:
        for asked, text in (("de", "<h1>Bestellungen</h1>"), ("fr", "<h1>Orders !</h1>"), ("fr", '<html lang="fr">')):
            assert text in server.get("/", Accept="text/html", **{"Accept-Language": asked})[1].decode()
    service.test("tests/extensions")


def serve(service: Owned, folder: Path) -> AbstractContextManager[Server]:
    settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)}
    command = [sys.executable, "-m", service.package.name, "serve"]
    return serving(service.folder, folder / "log", command, **settings)


@pytest.fixture(scope="module")
def site(bake: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory) -> Owned:
    """A service with the example's pages."""
    service = Owned(bake(**SITE, i18n="yes"), tmp_path_factory.mktemp("site") / "service")
    service.command("db", "upgrade")
    return service


@pytest.fixture
def server(site: Owned, tmp_path: Path) -> Iterator[Server]:
    with serve(site, tmp_path) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False])
def test_a_german_reader(server: Server, script: bool) -> None:
    with browser(script, language="de-DE,de") as driver:
        reader = Reader(driver, server.url, script)
        reader.open("/")
        assert (reader.find("html").get_attribute("lang"), reader.texts("h1")) == ("de", ["Willkommen"])
        reader.open("/notes/new")
        driver.execute_script("document.forms[0].noValidate = true")
        reader.click("Speichern")
        assert reader.texts("#title-about") == ["Dieses Feld wird benötigt."]
        reader.fill(title="Brot & <b>Butter</b>")
        reader.click("Speichern")
        assert reader.texts(".flash, h1") == ["Die Notiz ist gespeichert.", "Brot & <b>Butter</b>"]
        assert re.fullmatch(r"\d+\. \w+ \d{4}.* UTC", reader.texts("time")[0])
        reader.click("Löschen")
        assert reader.texts("h1") == ["„Brot & <b>Butter</b>“ löschen?"]
        reader.open("/nowhere")
        assert reader.texts("h1") == ["Nicht gefunden"]
        reader.open("/notes?q=butter")
        reader.find("section a[lang=en]").click()
        until(lambda: driver.current_url == f"{server.url}/notes?q=butter&lang=en", 20)
        assert (reader.find("html").get_attribute("lang"), reader.texts("h1")) == ("en", ["Notes"])
        reader.look()
        reader.open("/notes/new")
        assert reader.texts("h1") == ["Write a note"]


@pytest.mark.slow
def test_no_language_is_a_500(server: Server) -> None:
    for asked in ("xx", "../../etc/passwd", "x" * 10_000, "%00", "de%0d%0aX:y", "%ff"):
        assert server.get(f"/?lang={asked}", Accept="text/html")[0] in (200, 414)
        headers = {"Accept-Language": asked[:5000], "Cookie": f"lang={asked[:3000]}"}
        assert server.get("/", Accept="text/html", **headers)[0] == 200
    assert '"status":500' not in server.log.read_text()


@pytest.mark.slow
def test_it_comes_and_goes_beside_edits(tmp_path: Path) -> None:
    """``make update`` merges marks into what an owner has changed; there and back, nothing is lost."""
    template = copy_template(tmp_path / "template")
    service = create_committed(template, tmp_path / "mine", **SITE)
    package = service / "src/flask_service"
    added = {
        "blueprints/pages/__init__.py": '\n\n@bp.get("/more")\ndef more() -> ResponseReturnValue:\n    return "more"\n',
        "templates/pages/index.html": "<!-- mine -->\n",
        "extensions/pages/templates/pages/base.html": "<!-- mine -->\n",
    }
    for path, text in added.items():
        with (package / path).open("a") as file:
            file.write(text)
    commit(service)
    for answer in ("yes", "no"):
        done = update(service, template, ANSWERS=json.dumps({"i18n": answer}))
        assert done.returncode == 0, done.stdout + done.stderr
        fresh = create(template, tmp_path / answer, **SITE, i18n=answer)
        for path, text in added.items():
            with (fresh / "src/flask_service" / path).open("a") as file:
                file.write(text)
        assert files(service) == files(fresh)
        commit(service)


@pytest.mark.slow
def test_compiled_catalogs_are_made_and_not_committed(site: Owned) -> None:
    run(site.folder, "git", "init", "--quiet")
    files = run(site.folder, "git", "ls-files", "--others", "--exclude-standard").splitlines()
    assert (site.package / "translations/de/LC_MESSAGES/messages.mo").exists()
    assert [path for path in files if "translations" in path] == [
        f"src/{site.package.name}/translations/de/LC_MESSAGES/messages.po"
    ]
