"""CORS in a browser: pages of two other origins call the API of a service in production, and one of them may."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from browsing import browser
from running import bearer, required_settings, run, serving, set_up

pytestmark = pytest.mark.slow

NOTES = "/api/v1/notes"
#: Sends a request, and tells what a page may know of the answer.
FETCH = """
const [url, options, tell] = arguments;
fetch(url, options).then(
  async (answer) => tell([answer.status, Object.fromEntries(answer.headers), await answer.text()]),
  (error) => tell([0, {}, String(error)]),
);
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def page() -> Iterator[str]:
    """An origin that has a page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pages_of_an_origin_that_is_named(bake: Any, tmp_path: Path) -> None:
    answers = {"api": "yes", "sql": "sqlite", "tokens": "yes", "cors": "yes", "metrics": "yes", "example": "yes"}
    folder: Path = bake(**answers, project_name="Crossed").path
    set_up(folder)
    with ExitStack() as stack:
        driver = stack.enter_context(browser())
        named, other = stack.enter_context(page()), stack.enter_context(page())
        settings = required_settings(folder) | {
            "CORS_ORIGINS": named,
            "MAX_CONTENT_LENGTH": "1000",
            "LOG_LEVEL": "info",
        }
        settings["DATABASE_URL"] = f"sqlite:///{tmp_path / 'crossed.sqlite'}"
        command = [".venv/bin/python", "-m", "crossed"]
        run(folder, *command, "db", "upgrade", **settings)
        server = stack.enter_context(serving(folder, tmp_path / "log", [*command, "serve"], **settings))
        token = bearer(folder, **settings)

        def fetch(path: str, body: str | None = None, method: str = "GET", **headers: str) -> Any:
            sent = {name.replace("_", "-"): value for name, value in headers.items()} | (
                {"Content-Type": "application/json"} if body else {}
            )
            options = {"method": method, "headers": sent} | ({"body": body} if body else {})
            return driver.execute_async_script(FETCH, server.url + path, options)

        driver.get(named)
        status, headers, _ = fetch(NOTES, '{"title": "Shopping"}', "POST", **token, Idempotency_Key="1")
        assert (status, headers.keys() >= {"etag", "location", "x-request-id"}) == (201, True)
        again = fetch(NOTES, '{"title": "Shopping"}', "POST", **token, Idempotency_Key="1")
        assert (again[0], again[1]["location"]) == (201, headers["location"])
        place = headers["location"]
        status, seen, _ = fetch(place, '{"title": "Garden"}', "PATCH", **token, If_Match=headers["etag"])
        assert status == 200
        assert fetch(place, **token, If_None_Match=seen["etag"])[0] == 304
        # Errors can be read, too, also of those whom the service does not know.
        status, headers, body = fetch(NOTES)
        assert (status, headers["www-authenticate"], "Say who you are." in body) == (401, "Bearer", True)
        assert fetch(NOTES, '{"title": "' + "x" * 2000 + '"}', "POST", **token)[0] == 413
        assert fetch("/api/v1/nothing", **token)[0] == 404
        assert fetch(NOTES, '{"title": ""}', "POST", **token)[0] == 422
        # Beside the API, and with a header that nobody named.
        assert fetch("/")[0] == 0
        assert fetch(NOTES, **token, X_Other="1")[0] == 0
        assert fetch(place, None, "DELETE", **token, If_Match=seen["etag"])[0] == 204

        driver.get(other)
        assert fetch(NOTES, **token)[0] == 0
        assert fetch(NOTES, '{"title": "Forged"}', "POST", **token)[0] == 0
        assert fetch(NOTES)[0] == 0

        preflights = [line for line in server.log_lines() if line.get("method") == "OPTIONS"]
        assert preflights
        assert all(line["request_id"] for line in preflights)
        # The other page's POST was asked for, and never sent.
        assert [line["status"] for line in server.log_lines() if line.get("method") == "POST"] == [201, 201, 413, 422]
        status, figures = server.get("/metrics", Authorization=f"Bearer {settings['METRICS_TOKEN']}")
        assert status == 200
        assert b"http_requests_in_progress 1.0\n" in figures
