"""Cached views: who gets which answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

import pytest
from flask import Flask, Response, abort, g, redirect, request, session, stream_with_context
from werkzeug.test import TestResponse

Make = Callable[..., Flask]


def note(calls: list[int], value: Any) -> Any:
    """Count a call."""
    calls.append(1)
    return value


@pytest.fixture
def serving(make: Make, cache: Any) -> Callable[..., Any]:
    """A client of an application with a cached view at ``/view``, which answers ``make()`` and counts."""

    def start(answer: Callable[[int], Any] = str, path: str = "/view", **options: Any) -> Any:
        calls: list[str] = []

        def view(**arguments: Any) -> Any:
            calls.append(request.full_path)
            return answer(len(calls))

        app = make()
        cached = cache.cached_view(60, **options)(view)
        app.add_url_rule(path, "view", cached, methods=["GET", "POST"])
        client: Any = app.test_client(use_cookies=False)
        client.calls, client.view = calls, cached
        return client

    return start


def test_an_answer_is_kept(serving: Callable[..., Any], clock: Any) -> None:
    client = serving(
        lambda n: ({"n": n}, 200, {"X-Own": "é".encode().decode("latin-1"), "Cache-Control": "max-age=90"})
    )
    first: TestResponse = client.get("/view")
    clock.move(20)
    second: TestResponse = client.get("/view")
    assert first.data == second.data == b'{"n":1}\n'
    assert "Age" not in first.headers
    assert second.headers["Age"] == "20"
    unique = {"X-Request-ID", "Age", "Date"}
    told = [sorted(item for item in answer.headers.items() if item[0] not in unique) for answer in (first, second)]
    assert told[0] == told[1]
    assert dict(told[1])["Cache-Control"] == "max-age=90"
    clock.move(41)
    assert client.get("/view").json == {"n": 2}


def test_it_varies_by_what_it_depends_on(serving: Callable[..., Any]) -> None:
    client = serving(path="/view/<int:number>")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/view/1", {}),
        ("/view/2", {}),
        ("/view/1?page=2", {}),
        ("/view/1?page=3", {}),
        ("/view/1", {"headers": {"Accept": "text/html"}}),
        ("/view/1", {"headers": {"Accept-Language": "de"}}),
        ("/view/1", {"base_url": "https://localhost"}),
        ("/view/1", {"base_url": "http://other.example"}),
        ("/view/1", {"base_url": "http://localhost/mounted"}),
    ]
    for _ in range(2):
        assert [client.get(path, **more).text for path, more in asked] == [str(n + 1) for n in range(len(asked))]
    with client.application.app_context():
        client.view.forget(number=1)
    assert client.get("/view/2").text == "2"
    assert int(client.get("/view/1").text) == int(client.get("/view/1").text) == len(asked) + 1
    with client.application.app_context():
        client.view.forget_all()
    assert int(client.get("/view/2").text) == len(asked) + 2


def test_it_varies_by_more_headers(serving: Callable[..., Any]) -> None:
    def answer(number: int) -> Response:
        response = Response(f"{number} {request.headers.get('X-Tenant')}")
        response.vary.add("X-Tenant")
        return response

    client = serving(answer, vary=["X-Tenant"])
    texts = [client.get("/view", headers={"X-Tenant": tenant}).text for tenant in ("a", "b", "a", "b")]
    assert texts == ["1 a", "2 b", "1 a", "2 b"]
    careless = serving(answer)  # It has not said so: nothing is kept.
    texts = [careless.get("/view", headers={"X-Tenant": tenant}).text for tenant in ("a", "b", "a")]
    assert texts == ["1 a", "2 b", "3 a"]


def test_only_reading_is_cached(serving: Callable[..., Any]) -> None:
    client = serving()
    assert [client.post("/view").text for _ in range(2)] == ["1", "2"]
    assert [client.get("/view").text for _ in range(2)] == ["3", "3"]
    assert client.post("/view").text == "4"
    head = client.head("/view")
    assert (head.data, head.headers["Content-Length"], len(client.calls)) == (b"", "1", 4)


def test_head_is_answered_by_the_view_where_nothing_is_kept(serving: Callable[..., Any]) -> None:
    client = serving(lambda n: "short" if request.method == "HEAD" else "long enough")
    assert client.head("/view").headers["Content-Length"] == "5"
    assert client.get("/view").text == "long enough"
    assert client.head("/view").headers["Content-Length"] == "11"


def test_conditions(serving: Callable[..., Any]) -> None:
    """Answers are 304 when they would be without the cache, and what is kept is whole."""

    def answer(number: int) -> Response:
        response = Response("whole")
        response.set_etag("one")
        response.make_conditional(request)
        return response

    client = serving(answer)
    for _ in range(2):
        same = client.get("/view", headers={"If-None-Match": '"one"', "Range": "bytes=0-1"})
        assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", '"one"')
        other = client.get("/view", headers={"If-None-Match": '"two"'})
        assert (other.status_code, other.text) == (200, "whole")
        # Unlike a file, a view need not know of versions to overwrite.
        assert client.get("/view", headers={"If-Match": '"two"'}).status_code == 200
    assert len(client.calls) == 1


PERSONAL: dict[str, Callable[[int], Any]] = {
    "reads the session": lambda n: f"{session.get('user')} {n}",
    "writes the session": lambda n: session.update(token=n) or str(n),
    "sets a cookie": lambda n: (str(n), 200, {"Set-Cookie": "a=b"}),
    "knows who asks": lambda n: f"{g.setdefault('user', 'ada')} {n}",
    "is private": lambda n: (str(n), 200, {"Cache-Control": "private"}),
    "is not to be stored": lambda n: (str(n), 200, {"Cache-Control": "max-age=5, no-store"}),
    "varies by everything": lambda n: (str(n), 200, {"Vary": "*"}),
}
OTHER: dict[str, Callable[[int], Any]] = {
    "created": lambda n: (str(n), 201),
    "redirect": lambda n: redirect(f"/{n}"),
    "not found": lambda n: abort(404, str(n)),
    "not found, returned": lambda n: (str(n), 404),
    "error": lambda n: (str(n), 500),
    "stream": lambda n: Response(stream_with_context(iter([str(n)]))),
}


@pytest.mark.parametrize("answer", [*PERSONAL.values(), *OTHER.values()], ids=[*PERSONAL, *OTHER])
def test_what_is_not_kept(serving: Callable[..., Any], answer: Callable[[int], Any], results: list[str]) -> None:
    client = serving(answer)
    for _ in range(3):
        client.get("/view")
    assert len(client.calls) == 3
    assert results == ["miss", "pass", "pass"]


@pytest.mark.parametrize(("status", "expected"), [(ValueError, 500), (SystemExit, None)])
def test_a_view_that_raises_leaves_nothing(serving: Callable[..., Any], status: Any, expected: Any) -> None:
    client = serving(lambda n: (_ for _ in ()).throw(status()) if n == 1 else str(n))
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    with pytest.raises(RuntimeError) if expected is None else pytest.MonkeyPatch.context():
        assert client.get("/view").status_code == expected
    assert [client.get("/view").text for _ in range(2)] == ["2", "2"]


# --- two people ---


def sign_in(app: Flask) -> None:
    """A sign-in as small as can be: ``/as/ada`` puts a name into the session."""
    app.add_url_rule("/as/<name>", view_func=lambda name: session.update(user=name) or "in")


@pytest.mark.parametrize(
    "greet",
    [
        lambda: f"Hello {session.get('user', 'stranger')}",
        # It does not look at the session where there is no cookie, as sign-ins do that spare the time.
        lambda: f"Hello {session['user'] if 'HTTP_COOKIE' in request.environ else 'stranger'}",
    ],
)
def test_two_people_never_get_each_others_answers(make: Make, cache: Any, greet: Callable[[], str]) -> None:
    app = make()
    sign_in(app)
    app.add_url_rule("/hello", "hello", cache.cached_view(60)(lambda: greet()))
    ada, bea, stranger = (app.test_client() for _ in range(3))
    ada.get("/as/ada"), bea.get("/as/bea")
    for _ in range(2):
        assert stranger.get("/hello").text == "Hello stranger"
        assert ada.get("/hello").text == "Hello ada"
        assert bea.get("/hello").text == "Hello bea"


def test_tokens_are_people_too(make: Make, cache: Any) -> None:
    app = make()
    app.add_url_rule(
        "/hello",
        "hello",
        cache.cached_view(60)(lambda: f"Hello {request.authorization and request.authorization.token}"),
    )
    client = app.test_client()
    for _ in range(2):
        for token in ("ada", "bea"):
            headers = {"Authorization": f"Bearer {token}"}
            assert client.get("/hello", headers=headers).text == f"Hello {token}"
        assert client.get("/hello").text == "Hello None"


def test_each_has_their_own_when_asked_for(make: Make, cache: Any) -> None:
    app, calls = make(), list[int]()
    sign_in(app)
    hello = cache.cached_view(60, by=lambda: session["user"])(lambda: note(calls, f"Hello {session['user']}"))
    app.add_url_rule("/hello", "hello", hello)
    ada, bea = app.test_client(), app.test_client()
    ada.get("/as/ada"), bea.get("/as/bea")
    for _ in range(2):
        for name, client in (("ada", ada), ("bea", bea)):
            answer = client.get("/hello")
            assert (answer.text, answer.headers["Cache-Control"]) == (f"Hello {name}", "private")
    assert len(calls) == 2


def test_everybody_shares_what_depends_on_nobody(make: Make, cache: Any) -> None:
    app, calls = make(), list[int]()
    sign_in(app)
    app.add_url_rule("/prices", "prices", cache.cached_view(60, by=cache.everybody)(lambda: note(calls, "7")))
    careless = cache.cached_view(60, by=cache.everybody)(lambda: f"Hello {session.get('user', 'stranger')}")
    app.add_url_rule("/hello", "hello", careless)
    ada, bea, stranger = (app.test_client() for _ in range(3))
    ada.get("/as/ada"), bea.get("/as/bea")
    for client in (ada, bea, stranger):
        answer = client.get("/prices")
        assert answer.text == "7"
        assert "Cookie" not in answer.vary
    assert len(calls) == 1
    for _ in range(2):  # It looks at the session all the same: nothing is kept.
        assert [client.get("/hello").text for client in (ada, bea, stranger)] == [
            "Hello ada",
            "Hello bea",
            "Hello stranger",
        ]


# --- many at once ---


def test_one_answers_for_all(serving: Callable[..., Any], clock: Any) -> None:
    def slow(number: int) -> Response:
        sleep(0.2)
        response = Response(str(number))
        response.set_etag(str(number))
        return response

    client = serving(slow)
    barrier = Barrier(50)

    def ask(number: int) -> int:
        barrier.wait()
        headers = {"If-None-Match": '"1"'} if number % 2 else {}
        answer: TestResponse = client.application.test_client().get("/view", headers=headers)
        return answer.status_code

    for expected in ([200, 304], [200, 200]):
        with ThreadPoolExecutor(50) as pool:
            assert list(pool.map(ask, range(50))) == expected * 25
        clock.move(61)
    assert len(client.calls) == 2


def test_nobody_waits_for_what_is_not_kept(serving: Callable[..., Any]) -> None:
    together = Barrier(4)
    client = serving(lambda n: (str(n), 201 if n == 1 or together.wait(20) >= 0 else 500))
    assert client.get("/view").status_code == 201
    with ThreadPoolExecutor(4) as pool:  # If one waited for the other, they would never be together.
        answers = list(pool.map(lambda _: client.application.test_client().get("/view").status_code, range(4)))
    assert answers == [201] * 4
