"""docs/split-a-monolith.md, followed: its files are written and its commands executed, as they stand there."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from manifest import TEMPLATE
from running import INSTALL_SECONDS, run, serving
from updates import copy_template

PAGE = (TEMPLATE / "docs/split-a-monolith.md").read_text()
#: Files, with their names, and commands, in their order.
BLOCKS = re.findall(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def follow(folder: Path) -> Iterator[tuple[str, str]]:
    """Do what the page says, block by block: what it was, and what it printed. Only ports are others."""
    with ExitStack() as servers:
        addresses: dict[str, str] = {}
        for name, language, code in BLOCKS:
            if language == "python":
                assert not (folder / name).exists()
                (folder / name).write_text(code)
                continue
            for port, url in addresses.items():
                code = code.replace(f"http://127.0.0.1:{port}", url)
            if "make serve" in code:
                _, _, port = code.strip().rpartition("PORT=")
                command = ["sh", "-ec", re.sub("make serve.*", "exec make serve", code)]
                log = folder / f"{len(addresses)}.log"
                server = servers.enter_context(serving(folder, log, command, INSTALL_SECONDS, LOG_FORMAT="json"))
                addresses[port if port.isdigit() else "8000"] = server.url
                continue
            yield code, run(folder, "sh", "-ec", code)
            if "curl" in code:
                servers.close()
                addresses.clear()


def execute(service: Path, statement: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(service / "development.sqlite", isolation_level=None)) as database:
        return database.execute(statement).fetchall()


@pytest.mark.slow
def test_one_service_becomes_two(tmp_path: Path) -> None:
    copy_template(tmp_path / "template")
    steps = follow(tmp_path)
    code = ""
    while "db upgrade" not in code:
        code, _ = next(steps)
    before = (tmp_path / "shop/tests/blueprints/test_baskets.py").read_bytes()
    execute(tmp_path / "shop", "INSERT INTO orders (id, basket, cents) VALUES (41, 1000, 5)")
    printed = [answer for code, answer in steps if "curl" in code]

    together, apart = ([json.loads(line) for line in re.findall(r"\{.*?\}", text)] for text in printed)
    ordered = {"id": 1, "cents": 500, "order": 42}
    assert together == [ordered | {"order": None}, ordered], "numbers go on where those of shop ended"
    assert apart == [ordered], "the order was there"
    assert (tmp_path / "shop/tests/blueprints/test_baskets.py").read_bytes() == before
    for name, table in (("shop", "baskets"), ("orders", "orders")):
        tables = execute(tmp_path / name, "SELECT name FROM sqlite_master WHERE name IN ('orders', 'baskets')")
        assert tables == [(table,)]
        run(tmp_path / name, "make", "lint", "types")
