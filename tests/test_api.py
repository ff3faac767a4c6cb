"""The option ``api``, outside in: a service in production, fuzzed, called by a generated client, read in a browser.

To its conversions come the memos of its own tests, which use all that the contract offers.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import browser
from manifest import TEMPLATE
from running import Server, clean_environment, required_settings, run, serving, until
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait
from updates import copy_template

pytestmark = pytest.mark.slow

CLIENT_GENERATOR = "openapi-python-client>=0.29,<0.30"
URL = "/api/v1/memos"
MEMOS = '''"""The memos of the tests."""

from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

spec = spec_from_file_location("memos", Path(__file__).parents[3] / "tests/extensions/api/conftest.py")
memos = module_from_spec(spec)
spec.loader.exec_module(memos)
bp = memos.make_memos(import_module("contracts"))
'''
MODULES = "src/contracts/modules.py"
LAST = '    "blueprints.main",\n'


@pytest.fixture(scope="session")
def contracts(bake: Any) -> Path:
    """An API with memos, its environment made, its contract written."""
    folder: Path = bake(preset="api", sql="none", project_name="Contracts").path
    (folder / "src/contracts/blueprints/memos.py").write_text(MEMOS)
    modules = folder / MODULES
    modules.write_text(modules.read_text().replace(LAST, f'{LAST}    "blueprints.memos",\n'))
    run(folder, "make", "openapi")
    return folder


@contextmanager
def production(folder: Path, log: Path, **settings: str) -> Iterator[Server]:
    # One process, because the memos are in its memory.
    settings = required_settings(folder) | {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "info"} | settings
    with serving(folder, log, [".venv/bin/python", "-m", "contracts", "serve"], **settings) as server:
        yield server


@pytest.fixture
def server(contracts: Path, tmp_path: Path) -> Iterator[Server]:
    with production(contracts, tmp_path / "log") as server:
        yield server


def flask(folder: Path, *command: str, **variables: str) -> str:
    return run(folder, ".venv/bin/flask", "--app", "contracts", "openapi", *command, APP_ENV="development", **variables)


def fuzz(folder: Path, server: Server, examples: int, seed: int, **variables: str) -> int:
    """Let schemathesis look for mistakes with all of its checks; return how many requests it has sent."""
    options = f"--checks=all --max-examples={examples} --seed={seed} --no-color --workers=1"
    # In the folder of the service, whose schemathesis.toml it reads.
    run(folder, "make", "fuzz", f"PORT={server.url.rpartition(':')[2]}", f"ARGS={options}", **variables)
    sent = [line for line in server.log_lines() if line["event"] == "request"]
    assert not [line for line in sent if int(str(line["status"])) >= 500]
    assert not [line for line in server.log_lines() if line["level"] in ("error", "critical")]
    return len(sent)


@pytest.mark.parametrize("wanted", [1_000, pytest.param(10_000, marks=pytest.mark.prove)])
def test_a_fuzzer_finds_nothing(wanted: int, contracts: Path, server: Server) -> None:
    requests = seed = 0
    while requests < wanted:
        seed += 1
        requests = fuzz(contracts, server, wanted // 30, seed)
    print(f"{requests} requests, {seed} seeds")


def exchange(server: Server, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; return the status and all that was answered."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize("kind", ["granian", "gunicorn"])
def test_bodies_on_a_socket(kind: str, contracts: Path, bake: Any, tmp_path: Path) -> None:
    """Lengths, chunks, and bodies where none belongs."""
    if kind == "gunicorn":
        other = bake(preset="api", server="gunicorn", project_name="Contracts").path
        memos = "src/contracts/blueprints/memos.py"
        shutil.copy(contracts / memos, other / memos)
        modules = other / MODULES
        modules.write_text((contracts / MODULES).read_text().replace("granian", "gunicorn"))
        run(other, "make", "openapi")
        contracts = other
    good = b'{"title": "a"}'
    deep = b'{"title": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"

    def post(headers: str, body: bytes) -> int:
        head = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}"
        status, answer = exchange(server, head.encode() + b"\r\n" + body)
        assert status == 201 or b"application/problem+json" in answer
        return status

    def chunked(body: bytes) -> bytes:
        chunks = [body[start : start + 1000] for start in range(0, len(body), 1000)]
        return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    with production(contracts, tmp_path / "log", MAX_CONTENT_LENGTH="500000") as server:
        for body, status in (
            (good, 201),
            (good.ljust(500_000), 201),
            (deep, 400),
            (b'{"title": "\xff"}', 400),
            (rb'{"title": "\ud800"}', 400),
            (b"[]", 422),
            (b"", 400),
        ):
            assert post(f"Content-Length: {len(body)}\r\n", body) == status, body[:30]
            assert post("Transfer-Encoding: chunked\r\n", chunked(body)) == status, body[:30]
        for size in (500_001, 700_000):
            assert post("Transfer-Encoding: chunked\r\n", chunked(good.ljust(size))) == 413
        assert post("Content-Length: 500001\r\n", good.ljust(500_001)) == 413
        status, answer = exchange(
            server, f"HEAD {URL} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert (status, answer.partition(b"\r\n\r\n")[2]) == (200, b"")


CALLS = """
import sys
from datetime import UTC, datetime
from pathlib import Path

from contracts_client import Client
from contracts_client.api.conversions import convert
from contracts_client.api.memos import change_memo, create_memo, delete_memo, list_memos, read_memo
from contracts_client.models import Conversion, ConversionIn, Line, ListMemosKindItem, Memo, MemoIn, MemoPatch, Problem

import contracts_client

client = Client(base_url=sys.argv[1])
due = datetime(2030, 1, 2, tzinfo=UTC)
created = create_memo.sync_detailed(client=client, body=MemoIn(title="Ω", lines=[Line(text="x", count=2)], due=due))
memo = created.parsed
assert created.status_code == 201 and isinstance(memo, Memo) and memo.due == due, created
read = read_memo.sync_detailed(memo.id, client=client)
assert read.parsed == memo and read.headers["ETag"] == created.headers["ETag"]
assert read_memo.sync_detailed(memo.id, client=client, if_none_match=read.headers["ETag"]).status_code == 304
listed = list_memos.sync(client=client, limit=100, kind=[ListMemosKindItem.PLAIN])
assert memo in listed.items
refused = change_memo.sync(memo.id, client=client, body=MemoPatch(title="b"), if_match='"x"')
assert isinstance(refused, Problem) and refused.status == 412, refused
changed = change_memo.sync_detailed(memo.id, client=client, body=MemoPatch(title="b"), if_match=read.headers["ETag"])
assert changed.parsed.title == "b" and changed.parsed.lines == memo.lines
gone = delete_memo.sync_detailed(memo.id, client=client, if_match=changed.headers["ETag"])
assert gone.status_code == 204
assert read_memo.sync(memo.id, client=client).status == 404
invalid = create_memo.sync(client=client, body=MemoIn(title=""))
assert invalid.errors[0].pointer == "#/title", invalid
assert convert.sync(client=client, body=ConversionIn(celsius=20)).fahrenheit == 68

modules = {path.stem for path in Path(contracts_client.__file__).parent.glob("api/*/*.py")} - {"__init__"}
assert modules == {"convert", "change_memo", "create_memo", "delete_memo", "list_memos", "read_memo"}
"""


def test_a_generated_client_calls_every_operation(contracts: Path, server: Server, tmp_path: Path) -> None:
    generate = ["uv", "tool", "run", "--from", CLIENT_GENERATOR, "openapi-python-client", "generate"]
    printed = run(
        tmp_path, *generate, "--path", str(contracts / "openapi.json"), "--output-path", "client", "--fail-on-warning"
    )
    assert "warning" not in printed.lower()
    (tmp_path / "calls.py").write_text(CALLS)
    packages = ["--with", "httpx", "--with", "attrs", "--with", "python-dateutil"]
    run(tmp_path, "uv", "run", "--no-project", *packages, "python", "calls.py", server.url, PYTHONPATH="client")


@pytest.fixture
def released(contracts: Path, tmp_path: Path) -> Path:
    """A copy of the service as a repository, released; its environment is that of the original."""
    folder = tmp_path / "released"
    shutil.copytree(contracts, folder, ignore=shutil.ignore_patterns(".*_cache", "__pycache__"), symlinks=True)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "The first")
    return folder


def git(folder: Path, *command: str) -> str:
    return run(folder, "git", "-c", "user.name=Tester", "-c", "user.email=tester@example.com", *command)


def make(folder: Path, *command: str) -> tuple[int, str]:
    environment = clean_environment(PYTHONPATH=str(folder / "src"))
    done = subprocess.run(["make", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_breaking_changes_since_the_last_tag(released: Path) -> None:
    status, printed = make(released, "contract")
    assert (status, "There is no tag yet" in printed) == (0, True), printed
    git(released, "tag", "v1")
    status, printed = make(released, "contract")
    assert (status, "Nothing breaks" in printed) == (0, True), printed
    module = released / "src/contracts/blueprints/example/api/__init__.py"
    text = module.read_text()
    edits = {
        "le=HOTTEST": ("le=1e8", "celsius: maximum is narrowed"),
        "def convert(": ("def convert_temperature(", "the operation is called convert_temperature, and was convert"),
    }
    for old, (new, _) in edits.items():
        assert old in text
        text = text.replace(old, new)
    module.write_text(text)
    status, printed = make(released, "contract")
    assert (status, "make openapi" in printed) == (2, True), printed
    make(released, "openapi")
    status, printed = make(released, "contract")
    assert status == 2
    for _, named in edits.values():
        assert named in printed
    # oasdiff is no package of Python: this stands in for it.
    oasdiff = released.with_name("oasdiff")
    oasdiff.write_text('#!/bin/sh\necho "oasdiff $*"; grep --count operationId -\n')
    oasdiff.chmod(0o755)
    recorded = released.with_name("recorded.json")
    recorded.write_text(git(released, "show", "v1:openapi.json"))
    consumers = f"CONSUMERS={recorded} {released / 'tests'}"
    status, printed = make(
        released, "contract", "DIFF=oasdiff", f"PATH={oasdiff.parent}:{os.environ['PATH']}", consumers
    )
    assert status == 2
    assert "\noasdiff breaking --fail-on WARN - openapi.json\n" in printed
    assert f"openapi.json, as {recorded} knows it:\nPOST /api/v1/conversions" in printed
    assert "celsius: maximum is narrowed" in printed
    assert f"{released / 'tests'} has no client of contracts." in printed


def test_drift_fails_the_check(released: Path) -> None:
    module = released / "src/contracts/blueprints/example/api/__init__.py"
    module.write_text(module.read_text().replace("Convert a temperature", "Change a temperature"))
    environment = {"PYTHONPATH": str(released / "src"), "APP_ENV": "development"}
    command = [".venv/bin/flask", "--app", "contracts", "openapi"]
    done = subprocess.run([*command, "check"], cwd=released, env=clean_environment(**environment), check=False)
    assert done.returncode == 1
    tests = [".venv/bin/pytest", "tests/test_api.py"]
    done = subprocess.run(tests, cwd=released, env=clean_environment(**environment), check=False, capture_output=True)
    assert b"make openapi" in done.stdout
    assert done.returncode == 1
    run(released, *command, "write", **environment)
    run(released, *tests, **environment)


def test_stubs_make_the_contract_that_they_were_made_of(released: Path, tmp_path: Path) -> None:
    """The service becomes the stubs of its own contract: formatted, linted, strictly typed."""
    template = copy_template(tmp_path / "template")
    (released / ".cruft.json").write_text(json.dumps({"template": str(template)}))
    printed = run(released, "make", "stubs", "CONTRACT=openapi.json", PYTHONPATH="src")
    assert '"blueprints.openapi" into OWN in modules.py' in printed
    stubs = released / "src/contracts/blueprints/openapi"
    modules = released / MODULES
    text = modules.read_text().replace('"blueprints.memos"', '"blueprints.openapi"')
    modules.write_text(text.replace('    "blueprints.example.api",\n', ""))
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy", "--strict"]):
        run(released, f".venv/bin/{command[0]}", *command[1:], str(stubs))
    flask(released, "write", str(tmp_path), PYTHONPATH="src")
    old, new = (json.loads((folder / "openapi.json").read_text()) for folder in (released, tmp_path))
    assert {path: list(item) for path, item in old["paths"].items()} == {
        path: list(item) for path, item in new["paths"].items()
    }
    assert set(old["components"]["schemas"]) == set(new["components"]["schemas"])
    for path, item in old["paths"].items():
        for method, operation in item.items():
            again = new["paths"][path][method]
            assert operation["operationId"] == again["operationId"]
            assert list(operation["responses"]) == list(again["responses"])


@pytest.fixture
def driver() -> Iterator[webdriver.Chrome]:
    with browser() as driver:
        yield driver


#: A service below a prefix of another application.
MOUNTED = """
from contracts import create_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple
import os

service = create_app()
run_simple("127.0.0.1", int(os.environ["PORT"]), DispatcherMiddleware(service, {"/mounted/here": service}), threaded=True)
"""


@pytest.fixture
def docs(contracts: Path, tmp_path: Path) -> Iterator[Server]:
    command = [".venv/bin/python", "-c", MOUNTED]
    with serving(contracts, tmp_path / "log", command, APP_ENV="development") as server:
        yield server


@pytest.mark.parametrize("prefix", ["", "/mounted/here"])
def test_the_page_in_a_browser(docs: Server, driver: webdriver.Chrome, prefix: str) -> None:
    """No error and no violation of its policy; a request is sent from it. UPDATE_GOLDEN=1 keeps a picture."""

    def find(selector: str) -> Any:
        return WebDriverWait(driver, 20).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def click(selector: str) -> None:
        WebDriverWait(driver, 20).until(
            expected_conditions.element_to_be_clickable((By.CSS_SELECTOR, selector))
        ).click()

    driver.get(f"{docs.url}{prefix}/api/v1/docs")
    find(".opblock")
    contract = json.loads(docs.get(f"{prefix}/api/v1/openapi.json")[1])
    shown = {
        block.get_attribute("id").rpartition("-")[2] for block in driver.find_elements(By.CSS_SELECTOR, ".opblock")
    }
    assert shown == {operation["operationId"] for item in contract["paths"].values() for operation in item.values()}
    click("#operations-conversions-convert .opblock-summary-control")
    click("#operations-conversions-convert .try-out__btn")
    if os.environ.get("UPDATE_GOLDEN") and not prefix:
        driver.save_screenshot(str(TEMPLATE / "docs/images/api-docs.png"))
    click("#operations-conversions-convert .execute")
    find("#operations-conversions-convert .live-responses-table .response-col_status")
    until(lambda: re.search(r'200.*"fahrenheit": 68', find(".live-responses-table").text, re.DOTALL), 20)
    resources = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert {name for name in resources if not name.startswith(docs.url)} == set()
    assert driver.get_log("browser") == []
    # What the log would show.
    driver.execute_script("document.head.append(Object.assign(document.createElement('script'), {text: 'x'}))")
    assert "Content Security Policy" in driver.get_log("browser")[0]["message"]


def test_the_page_is_off_in_production(server: Server) -> None:
    assert server.get("/api/v1/docs")[0] == 404
    assert server.get("/api/v1/openapi.json")[0] == 200
