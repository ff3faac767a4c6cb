"""Take the pictures of the README, and measure the memory that the pages of the presets tell: ``make pictures``.

A picture is what a real terminal printed, drawn by Rich, or what Chromium shows of a service.
"""

import re
import sys
import tempfile
from io import StringIO
from pathlib import Path

import pexpect
from browsing import browser, digest_of_pages
from conftest import generate
from manifest import MANIFEST, OPTIONS, PRESETS, TEMPLATE, chosen
from measure import memory
from owned import Owned
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text
from running import clean_environment, free_port, required_settings, run, serving, set_up
from test_accounts import sign_up
from test_pages import Reader

BIN = Path(sys.executable).parent
WIDTH = 110
#: What somebody types; to all other questions, Enter.
TYPED = {"project_name": "Orders", "description": "Takes orders.", "preset": "api"}
QUESTIONS = [name for name in MANIFEST if not name.startswith("_")]


def main() -> None:
    draw("questions", questions())
    draw("run", first_requests())
    take_pages()
    for preset in PRESETS:
        page = TEMPLATE / f"docs/presets/{preset}.md"
        megabytes = megabytes_of(preset)
        page.write_text(re.sub(r"(\| Memory .* \| )\d+", rf"\g<1>{megabytes}", page.read_text()))
        print(f"{preset}: {megabytes} MB")


def questions() -> str:
    """What is asked when a service is made, and what somebody types."""
    with tempfile.TemporaryDirectory() as folder:
        command = f"{BIN}/cookiecutter {TEMPLATE} --default-config --output-dir {folder}"
        terminal = start(command)
        printed = "$ cookiecutter cookiecutter-flask-service\n"
        for name in QUESTIONS:
            terminal.expect_exact("\x1b[0m: ")
            terminal.sendline(TYPED.get(name, ""))
            printed += terminal.before + terminal.after
        terminal.expect(pexpect.EOF)
        return printed + terminal.before


def first_requests() -> str:
    """What ``make run`` prints, and curl in another terminal."""
    port = free_port()
    terminal = start(f"make run PORT={port}")
    terminal.expect("Press CTRL.*?\n")
    printed = f"$ make run\n{terminal.before}{terminal.after}\n"
    for path in ("/", "/nothing-here"):
        command = ["curl", "-i", f"http://127.0.0.1:{port}{path}"]
        printed += f"$ {' '.join(command)}\n{run(TEMPLATE, command[0], '--silent', *command[1:])}\n\n"
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    return printed.replace(str(port), "8000")


def take_pages() -> None:
    """Pages of the preset website: notes in a window, the same in German in the dark on a phone, and the administration."""
    images = TEMPLATE / "docs/images"
    with tempfile.TemporaryDirectory() as folder:
        answers = {"preset": "website", "sql": "sqlite", "project_name": "Orders"}
        service = Owned(generate(Path(folder, "out"), **answers), Path(folder, "service"))
        service.command("db", "upgrade")
        command = ["sh", "-c", f"SITE_URL=http://localhost:$PORT exec {sys.executable} -m orders serve"]
        settings = {"APP_ENV": "development", "PYTHONPATH": str(service.package.parent)}
        with serving(service.folder, Path(folder, "log"), command, **settings) as server:
            site = server.url.replace("127.0.0.1", "localhost")
            with browser() as driver:
                driver.set_window_size(1000, 860)
                reader = Reader(driver, site)
                for title in ("Shopping", "Books to read", "Ideas for the garden"):
                    reader.open("/notes/new")
                    reader.fill(title=title, text="Later.")
                    reader.click("Save")
                reader.open("/notes")
                driver.save_screenshot(str(images / "pages.png"))
                sign_up(reader, "ada@example.com")
                service.command("accounts", "staff", "ada@example.com")
                reader.open("/admin/notes")
                driver.save_screenshot(str(images / "admin.png"))
            with browser(phone=True, language="de") as driver:
                reader = Reader(driver, site)
                reader.open("/accounts/sign-in")
                driver.save_screenshot(str(images / "sign-in.png"))
    (images / "pages.sha256").write_text(digest_of_pages() + "\n")


def start(command: str) -> "pexpect.spawn[str]":
    return pexpect.spawn(
        command,
        cwd=str(TEMPLATE),
        env=clean_environment(TERM="xterm-256color"),  # type: ignore[arg-type]
        encoding="utf-8",
        timeout=120,
        dimensions=(60, WIDTH),
    )


def draw(name: str, printed: str) -> None:
    console = Console(record=True, width=WIDTH, file=StringIO())
    console.print(Text.from_ansi(printed.replace("\r\n", "\n").strip()))
    # Letters of the reader's own machine: a picture fetches nothing.
    layout = re.sub(r"@font-face {{.*?}}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(TEMPLATE / f"docs/images/{name}.svg"), title="", code_format=layout, unique_id=name)


def megabytes_of(preset: str) -> int:
    """Megabytes of a server of two workers after 1,000 requests; what processes share is counted once."""
    with tempfile.TemporaryDirectory() as folder:
        service = generate(Path(folder, "out"), preset=preset, project_name="Orders").path
        set_up(service)
        command, settings = [".venv/bin/python", "-m", "orders"], required_settings(service)
        for option in sorted(chosen({"preset": preset})):
            for step in OPTIONS[option].get("start", []):
                run(service, *command, *step.split(), **settings)
        with serving(service, Path(folder, "log"), [*command, "serve"], **settings) as server:
            server.get_many("/livez", 1000)
            return int(memory(server.process.pid))


if __name__ == "__main__":
    main()
