"""Limits: who is refused, when, and what clients are told."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from time import monotonic
from types import ModuleType
from typing import Any

import pytest
from flask import Flask, Response, abort, g, request

Make = Callable[..., Flask]
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def statuses(app: Flask, path: str, count: int, address: str = "192.0.2.1", **more: Any) -> list[int]:
    client = app.test_client()
    return [client.get(path, environ_overrides={"REMOTE_ADDR": address}, **more).status_code for _ in range(count)]


def test_a_request_beyond_the_limit_is_refused(make: Make, clock: Any) -> None:
    client = make(RATE_LIMIT="3/minute").test_client()
    told = []
    for _ in range(4):
        answer = client.get("/")
        told.append((answer.status_code, answer.headers["RateLimit"].partition(";t=")[0]))
        assert answer.headers["RateLimit-Policy"] == '"default";q=3;w=60'
    assert told == [(200, '"default";r=2'), (200, '"default";r=1'), (200, '"default";r=0'), (429, '"default";r=0')]
    assert answer.content_type == "application/problem+json"
    problem = {"type": QUOTA_EXCEEDED, "status": 429, "violated-policies": ["default"]}
    assert answer.get_json().items() >= problem.items()
    seconds = int(answer.headers["Retry-After"])
    assert 55 <= seconds <= 60
    assert answer.headers["RateLimit"] == f'"default";r=0;t={seconds}'
    clock.move(30)
    assert 25 <= int(client.get("/").headers["Retry-After"]) <= 30  # Who is refused does not wait longer for that.
    clock.move(31)
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(("text", "window"), [("2/second", 1), ("2/minute", 60), ("2/hour", 3600), ("2/day", 86400)])
def test_windows(make: Make, clock: Any, text: str, window: int) -> None:
    app, started = make(RATE_LIMIT=text), monotonic()
    assert app.test_client().get("/").headers["RateLimit-Policy"] == f'"default";q=2;w={window}'
    # On a busy machine, a second may be over.
    assert statuses(app, "/", 3)[-1] == 429 or monotonic() - started > window
    clock.move(window + 0.1)
    assert statuses(app, "/", 2) == [200, 200]


def test_unset_it_adds_nothing(make: Make, probe: Callable[..., Flask]) -> None:
    app, bare = make(), probe()
    assert statuses(app, "/", 20) == [200] * 20
    assert app.before_request_funcs == bare.before_request_funcs
    assert app.after_request_funcs.keys() == bare.after_request_funcs.keys()
    assert "RateLimit" not in app.test_client().get("/").headers


def test_what_machines_ask_again_and_again_is_not_limited(make: Make) -> None:
    app = make(RATE_LIMIT="1/day")
    assert statuses(app, "/livez", 3) + statuses(app, "/readyz", 3) + statuses(app, "/static/none.css", 3) == [
        *[200] * 6,
        *[404] * 3,
    ]
    assert statuses(app, "/", 2) == [200, 429]
    assert statuses(app, "/livez", 1) == [200]


def test_whoever_looks_for_holes_is_limited(make: Make) -> None:
    app = make(RATE_LIMIT="2/day")
    client = app.test_client()
    assert [client.open(*ask).status_code for ask in (("/.env",), ("/",), ("/wp-admin",))] == [404, 200, 429]
    assert client.post("/").status_code == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:0:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses(make: Make, one: str, other: str, same: bool) -> None:
    app = make(RATE_LIMIT="1/day")
    assert statuses(app, "/", 2, one) == [200, 429]
    assert statuses(app, "/", 1, other) == [429 if same else 200]


def test_a_forged_address_is_no_other(make: Make) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    app = make(RATE_LIMIT="1/day")
    assert statuses(app, "/", 1) + statuses(app, "/", 1, headers=forged) == [200, 429]
    behind = make(RATE_LIMIT="1/day", TRUSTED_PROXIES=1)
    behind.name = "behind"
    client = behind.test_client()
    sent = ["203.0.113.1", "203.0.113.2", "203.0.113.7, 203.0.113.1", "203.0.113.8, 203.0.113.3"]
    found = [client.get("/", headers={"X-Forwarded-For": text}).status_code for text in sent]
    assert found == [200, 200, 429, 200]


def test_who_has_no_address_is_not_limited(make: Make) -> None:
    """A proxy that asks by a file: all requests would be those of one client."""
    assert statuses(make(RATE_LIMIT="1/day"), "/", 3, "") == [200] * 3


# --- views ---


def limited(app: Flask, rate_limit: Any, path: str, *arguments: Any, **options: Any) -> None:
    app.add_url_rule(path, path[1:], rate_limit.rate_limit(*arguments, **options)(lambda: "answered"))


def test_a_view_has_a_limit_of_its_own(make: Make, rate_limit: Any) -> None:
    app = make(RATE_LIMIT="4/day")
    limited(app, rate_limit, "/search", "2/minute")
    limited(app, rate_limit, "/other", "2/minute")
    client = app.test_client()
    answer = client.get("/search")
    assert answer.headers["RateLimit-Policy"] == '"default";q=4;w=86400, "search";q=2;w=60'
    assert answer.headers["RateLimit"] == '"default";r=3;t=86400, "search";r=1;t=60'
    assert statuses(app, "/search", 2, "127.0.0.1") == [200, 429]
    assert client.get("/other").headers["RateLimit"].endswith('"other";r=1;t=60')
    last = client.get("/other")
    assert last.status_code == 429
    assert last.get_json()["violated-policies"] == ["default"]


def test_views_that_share_a_limit(make: Make, rate_limit: Any) -> None:
    app = make()
    limited(app, rate_limit, "/one", "2/minute", name="exports")
    limited(app, rate_limit, "/two", "2/minute", name="exports")
    assert statuses(app, "/one", 1) + statuses(app, "/two", 2) + statuses(app, "/one", 1) == [200, 200, 429, 429]
    assert statuses(app, "/one", 1, "192.0.2.2") == [200]


def test_by_whom(make: Make, rate_limit: Any) -> None:
    """A key of the request tells clients apart; staff has no limit."""
    app = make()
    limited(app, rate_limit, "/search", "1/day", by=lambda: request.headers.get("X-Key"))
    asked = [{"X-Key": key} for key in ("a", "b", "a", "b")]
    client = app.test_client()
    assert [client.get("/search", headers=each).status_code for each in asked] == [200, 200, 429, 429]
    assert statuses(app, "/search", 3) == [200] * 3


def test_who_is_known_has_a_limit_of_their_own(make: Make, rate_limit: Any) -> None:
    """From whatever address; somebody whose name is an address is another one than that address."""
    app = make()
    app.extensions["rate_limit"].callers.append(lambda: g.get("name", ""))
    app.before_request(lambda: g.__setattr__("name", request.headers.get("X-Name", "")))
    limited(app, rate_limit, "/search", "1/day")
    ada = {"headers": {"X-Name": "ada"}}
    assert statuses(app, "/search", 1, "192.0.2.1", **ada) + statuses(app, "/search", 1, "192.0.2.2", **ada) == [
        200,
        429,
    ]
    assert statuses(app, "/search", 2, "192.0.2.1") == [200, 429]
    assert statuses(app, "/search", 1, "192.0.2.3", headers={"X-Name": "192.0.2.1"}) == [200]


@pytest.mark.parametrize("end", [lambda: abort(404), lambda: Response("x", 500), lambda: abort(Response("y", 418))])
def test_errors_tell_what_is_left(make: Make, rate_limit: Any, end: Callable[[], Response]) -> None:
    app = make()
    app.add_url_rule("/end", "end", rate_limit.rate_limit("5/minute")(end))
    assert app.test_client().get("/end").headers["RateLimit"] == '"end";r=4;t=60'


def test_a_crash_tells_it_too(make: Make, rate_limit: Any) -> None:
    app = make(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/crash", "crash", rate_limit.rate_limit("5/minute")(lambda: 1 / 0))
    answer = app.test_client().get("/crash")
    assert (answer.status_code, answer.headers["RateLimit"]) == (500, '"crash";r=4;t=60')


@pytest.mark.parametrize(
    "rate", ["", "100", "0/minute", "-1/minute", "10/week", "1.5/minute", "10/ minute", "x/minute"]
)
def test_a_wrong_rate_is_refused(probe: Callable[..., Flask], rate_limit: Any, package: ModuleType, rate: str) -> None:
    with pytest.raises(ValueError, match="100/minute"):
        rate_limit.rate_limit(rate)
    if rate:
        with pytest.raises(package.core.settings.ConfigError, match="RATE_LIMIT: Must be such as 100/minute"):
            probe("extensions.rate_limit", RATE_LIMIT=rate)


def test_all_that_come_at_once_count(make: Make) -> None:
    app = make(RATE_LIMIT="100/day", WEB_THREADS=32)
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: statuses(app, "/", 10), range(32)))
    assert sum(answers.count(200) for answers in found) == 100


# --- where it is counted ---


def test_applications_count_for_themselves(probe: Callable[..., Flask]) -> None:
    one, other = (probe("extensions.rate_limit", RATE_LIMIT="1/day") for _ in range(2))
    assert statuses(one, "/", 2) == [200, 429]
    assert statuses(other, "/", 2) == [200, 429]


def test_a_process_remembers_so_many_clients(
    probe: Callable[..., Flask], package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module(".extensions.rate_limit.memory", package.__name__), "MOST", 100)
    app = probe("extensions.rate_limit", RATE_LIMIT="1/day")
    for number in range(1000):
        statuses(app, "/", 1, f"10.0.{number // 250}.{number % 250}")
    assert len(app.extensions["rate_limit"].store.windows) == 100


@pytest.mark.parametrize("config", [{"RATE_LIMIT": "1/day"}, {}], ids=["default", "view"])
def test_production_refuses_to_count_in_each_process(
    probe: Callable[..., Flask],
    rate_limit: Any,
    package: ModuleType,
    production: dict[str, str],
    config: dict[str, str],
) -> None:
    def start(**more: str) -> None:
        app = probe("extensions.rate_limit", **production, **config, **more)
        if not config:
            limited(app, rate_limit, "/search", "1/day")
        package.core.server.serving.send(app)

    with pytest.raises(package.core.settings.ConfigError, match="RATE_LIMIT_PER_PROCESS: "):
        start()
    start(RATE_LIMIT_PER_PROCESS="true")


def test_production_without_limits_starts(
    probe: Callable[..., Flask], package: ModuleType, production: dict[str, str]
) -> None:
    package.core.server.serving.send(probe("extensions.rate_limit", **production))
