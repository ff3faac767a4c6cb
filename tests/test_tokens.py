"""Tokens in production: two workers, each database, both servers; made and revoked while the service runs."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from browsing import browser
from conftest import Service
from databases import private
from running import Server, bearer, required_settings, run, serving, set_up, until
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait
from test_api import fuzz

NOTES = "/api/v1/notes"
#: Each engine, and each server.
CASES = [("postgresql", "granian"), ("mysql", "gunicorn"), ("sqlite", "granian")]
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Guarded:
    """A service with tokens that runs."""

    folder: Path
    settings: dict[str, str]
    server: Server
    database: Any

    def tokens(self, *words: str) -> str:
        return run(self.folder, ".venv/bin/python", "-m", "guarded", "tokens", *words, **self.settings)

    def bearer(self, *scopes: str) -> dict[str, str]:
        return bearer(self.folder, *scopes, **self.settings)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        with closing(HTTPConnection(self.server.url.removeprefix("http://"), timeout=30)) as connection:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def many(self, count: int, *asked: Any, **headers: str) -> Counter[int]:
        """The statuses of as many requests, sent by eight clients to all workers."""
        with ThreadPoolExecutor(8) as pool:
            return Counter(answer[0] for answer in pool.map(lambda _: self.ask(*asked, **headers), range(count)))


@contextmanager
def guarded(bake: Any, folder: Path, engine: str, server: str = "granian", **others: str) -> Iterator[Guarded]:
    service: Path = bake(api="yes", example="yes", tokens="yes", sql=engine, server=server, project_name="Guarded").path
    set_up(service)
    with ExitStack() as stack:
        found = required_settings(service) | {"WEB_CONCURRENCY": "2", "LOG_LEVEL": "info"} | others
        database = None if engine == "sqlite" else stack.enter_context(private(engine))
        found["DATABASE_URL"] = database.url if database else f"sqlite:///{folder / 'guarded.sqlite'}"
        run(service, ".venv/bin/python", "-m", "guarded", "db", "upgrade", **found)
        command = [".venv/bin/python", "-m", "guarded", "serve"]
        running = stack.enter_context(serving(service, folder / "log", command, **found))
        running.await_ready()
        yield Guarded(service, found, running, database)


@pytest.fixture(params=CASES, ids="-".join)
def service(request: pytest.FixtureRequest, bake: Any, tmp_path: Path) -> Iterator[Guarded]:
    with guarded(bake, tmp_path, *request.param) as found:
        yield found


@pytest.mark.slow
def test_from_the_first_to_the_last_request(service: Guarded) -> None:
    reader, writer = service.bearer("notes:read"), service.bearer("notes:read", "notes:write")
    assert service.ask("GET", NOTES)[0] == 401
    status, headers, body = service.ask("POST", NOTES, {"title": "Shopping"}, **reader)
    assert (status, json.loads(body)["detail"]) == (403, "This token lacks notes:write.")
    assert headers["www-authenticate"] == 'Bearer error=insufficient_scope, scope="notes:write"'
    # Under load, and while the uses of both are written: nobody waits, and nobody fails.
    with ThreadPoolExecutor(2) as pool:
        reads = pool.submit(service.many, 200, "GET", NOTES, **reader)
        writes = pool.submit(service.many, 200, "POST", NOTES, {"title": "Shopping"}, **writer)
    assert (reads.result(), writes.result()) == ({200: 200}, {201: 200})
    until(lambda: service.tokens("list").count("  used ") == 2, 30)
    # The next request of every worker.
    (name,) = [line for line in service.tokens("list").splitlines() if "write" not in line]
    service.tokens("revoke", name.split()[0])
    assert service.many(40, "GET", NOTES, **reader) == {401: 40}
    assert service.many(40, "GET", NOTES, **writer) == {200: 40}
    # One key of idempotency of two callers has two effects, and two answers.
    other = service.bearer("notes:write")
    made = [service.ask("POST", NOTES, {"title": "x"}, Idempotency_Key="1", **each) for each in (writer, writer, other)]
    assert [status for status, *_ in made] == [201, 201, 201]
    assert made[0][2] == made[1][2] != made[2][2]


@pytest.mark.slow
def test_no_token_is_in_the_log(bake: Any, tmp_path: Path) -> None:
    """In the address, in the body, in any header."""
    with guarded(bake, tmp_path, "sqlite", LOG_LEVEL="debug") as service:
        look_for_tokens(service)


def look_for_tokens(service: Guarded) -> None:
    sent = service.bearer("notes:write", "notes:read")
    token = sent["Authorization"].removeprefix("Bearer ")
    assert service.ask("GET", f"{NOTES}?access_token={token}")[0] == 401
    assert service.ask("GET", f"{NOTES}?access_token={token}", **sent)[0] == 422
    assert service.ask("GET", f"/{token}/%20{token}", **sent)[0] == 404
    assert service.ask("POST", NOTES, {"title": token, token: token}, X_Request_ID=token, **sent)[0] == 422
    for broken in (f"Basic {token}", token, f"bearer  {token}x", f"Bearer {token}, {token}"):
        assert service.ask("GET", NOTES, Authorization=broken)[0] == 401
    service.server.await_requests(8)
    log = service.server.log.read_text()
    assert log.count("[redacted]") >= 3
    assert token not in log


@pytest.mark.slow
def test_while_the_database_is_away(bake: Any, tmp_path: Path) -> None:
    """Nobody knows who asks: 503, and neither 401 nor an answer. What cannot be a token is still 401."""
    with guarded(bake, tmp_path, "postgresql") as service:
        sent = service.bearer("notes:read")
        assert service.ask("GET", NOTES, **sent)[0] == 200
        service.database.stop()
        status, headers, _ = service.ask("GET", NOTES, **sent)
        assert (status, headers["retry-after"]) == (503, "5")
        assert service.ask("GET", NOTES, Authorization="Bearer other")[0] == 401


@pytest.mark.slow
def test_a_locked_file_makes_no_reader_wait(bake: Any, tmp_path: Path) -> None:
    """Somebody writes into the SQLite file for as long as it takes: the use is noted by a thread, which waits."""
    with guarded(bake, tmp_path, "sqlite", DATABASE_STATEMENT_TIMEOUT="20") as service:
        sent = service.bearer("notes:read")
        with closing(sqlite3.connect(tmp_path / "guarded.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert service.many(50, "GET", NOTES, **sent) == {200: 50}
            assert other.execute("SELECT used FROM tokens").fetchall() == [(None,)]
            other.execute("ROLLBACK")
        until(lambda: "  used " in service.tokens("list"), 30)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [20, pytest.param(100, marks=pytest.mark.prove)])
def test_a_fuzzer_with_a_token_finds_nothing(examples: int, bake: Any, tmp_path: Path) -> None:
    with guarded(bake, tmp_path, "postgresql") as service:
        token = service.bearer()["Authorization"].removeprefix("Bearer ")
        requests = fuzz(service.folder, service.server, examples, 7, API_TOKEN=token)
        statuses = Counter(line["status"] for line in service.server.log_lines() if line["event"] == "request")
        print(f"{requests} requests: {statuses}")
        assert min(statuses[200], statuses[201], statuses[401]) >= 5
        assert token not in service.server.log.read_text()


@pytest.mark.slow
def test_the_page_of_the_api_sends_a_token(bake: Any, tmp_path: Path) -> None:
    with guarded(bake, tmp_path, "sqlite", API_DOCS="true") as service, browser() as driver:
        token = service.bearer()["Authorization"].removeprefix("Bearer ")
        driver.get(f"{service.server.url}/api/v1/docs")
        wait = WebDriverWait(driver, 20)

        def click(selector: str) -> None:
            wait.until(expected_conditions.element_to_be_clickable((By.CSS_SELECTOR, selector))).click()

        click("button.authorize")
        field = wait.until(
            expected_conditions.visibility_of_element_located((By.CSS_SELECTOR, ".auth-container input"))
        )
        field.send_keys(token)
        click(".auth-btn-wrapper button[type=submit]")
        click(".btn-done")
        click("[id$=list_notes] .opblock-summary-control")
        click("[id$=list_notes] .try-out__btn")
        click("[id$=list_notes] .execute")
        status = (By.CSS_SELECTOR, "[id$=list_notes] .live-responses-table .response-col_status")
        wait.until(expected_conditions.visibility_of_element_located(status))
        until(lambda: "200" in [cell.text.strip() for cell in driver.find_elements(*status)], 20)


def test_a_service_without_readers_of_tokens_asks_for_none(render: Callable[..., Service]) -> None:
    for answers in ({"preset": "api"}, {"preset": "ingest"}):
        service = render(**answers)
        asked = [path for path, text in service.texts.items() if re.search("scopes=", text) and "/blueprints/" in path]
        assert asked == []
    with_tokens = render(preset="api", tokens="yes")
    assert with_tokens.read("src/flask_service/blueprints/example/api/store/__init__.py").count("scopes=[") == 5
