"""Requests are checked strictly against the types of their views."""

import gzip
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, NewType

import msgspec
import pytest
from flask import Blueprint, Flask, Response, abort
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

Decorator = Callable[[Callable[..., object]], Callable[..., Response]]
URL = "/api/v1/memos"
JSON = "application/json"
GOOD = b'{"title": "Shopping"}'


def problem(response: TestResponse) -> Any:
    assert response.mimetype == "application/problem+json"
    assert response.json
    assert response.json["status"] == response.status_code
    assert response.json["request_id"] == response.headers["X-Request-ID"]
    return response.json


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, GOOD, JSON),
        (201, GOOD, "application/json; charset=UTF-8"),
        (201, '{"title": "\\ud83d\\ude00 \\" é"}'.encode(), JSON),
        (201, b'{"title": "a", "lines": [{"text": "b", "count": 2.0}]}', JSON),
        (422, b'{"title": "a", "lines": [{"text": "b", "count": 2.5}]}', JSON),
        (422, b"[]", JSON),
        (422, b"0", JSON),
        (422, b"null", JSON),
        (422, b'""', JSON),
        (422, b"{}", JSON),
        (422, b'{"title": ""}', JSON),
        (422, b'{"title": 1}', JSON),
        (422, b'{"title": null}', JSON),
        (422, b'{"title": "a", "more": 1}', JSON),
        (422, b'{"title": "a", "kind": "other"}', JSON),
        (422, b'{"title": "a", "lines": {}}', JSON),
        (422, b'{"title": "a", "lines": [{"text": "b", "count": 1e30}]}', JSON),
        (422, b'{"title": "a", "due": "2026-01-01T00:00:00"}', JSON),
        (415, GOOD, None),
        (415, GOOD, "text/plain"),
        (415, GOOD, "text/json"),
        (415, GOOD, "application/merge-patch+json"),
        (400, GOOD.decode().encode("utf-16"), "application/json; charset=utf-16"),
        (415, b"title=a", "application/x-www-form-urlencoded"),
        (
            415,
            b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\na\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
        (400, b"", JSON),
        (400, b"{", JSON),
        (400, b"{'title': 'a'}", JSON),
        (400, b'{"title": "a"} more', JSON),
        (400, b'{"title": ""} more', JSON),
        (400, b'{"title": NaN}', JSON),
        (400, b'{"title": "a", "lines": [{"text": "b", "count": 1e400}]}', JSON),
        (400, b'\xef\xbb\xbf{"title": "a"}', JSON),
        (400, b'{"title": "\xff"}', JSON),
        (400, b'{"title": "\xed\xa0\x80"}', JSON),
        (400, rb'{"title": "\ud800"}', JSON),
        (400, rb'{"title": "\udc00\ud800"}', JSON),
        (400, b"[" * 100_000, JSON),
        (400, b'{"title": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON),
        (400, b'{"more": ' + b'{"a": ' * 50_000 + b"0" + b"}" * 50_001, JSON),
    ],
)
def test_bodies(client: FlaskClient, status: int, body: bytes, kind: str | None) -> None:
    response = client.post(URL, data=body, content_type=kind)
    assert response.status_code == status
    assert status == 201 or problem(response)


def test_a_compressed_body_is_refused(client: FlaskClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert client.post(URL, data=gzip.compress(GOOD), content_type=JSON, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"title": ""}, "#/title"),
        ({"title": "a", "lines": [{"text": "b"}, {"text": 1}]}, "#/lines/1/text"),
        ({"title": "a", "lines": [{"text": "b", "count": 0}]}, "#/lines/0/count"),
        ([], "#"),
    ],
)
def test_a_problem_points_to_what_is_wrong(client: FlaskClient, body: object, pointer: str) -> None:
    (error,) = problem(client.post(URL, json=body))["errors"]
    assert error["pointer"] == pointer
    assert error["detail"]


def test_all_mistakes_are_told_at_once(client: FlaskClient) -> None:
    body = {"kind": "x", "lines": [{"count": 0}, 1, {"text": "a", "a/b~": 1}], "due": "today"}
    response = client.post(f"{URL}?x=1", json=body)
    assert {tuple(error.values())[1] for error in problem(response)["errors"]} == {
        "x", "#/title", "#/kind", "#/lines/0/text", "#/lines/0/count", "#/lines/1", "#/lines/2/a~1b~0", "#/due",
    }  # fmt: skip
    errors = problem(client.get(f"{URL}?limit=0&kind=x&unknown=1&done=1"))["errors"]
    assert {error["parameter"] for error in errors} == {"limit", "kind", "unknown", "done"}
    assert len(problem(client.post(URL, json={"title": "a", "lines": [0] * 1000}))["errors"]) == 100


class Tree(msgspec.Struct):
    children: list["Tree"] = []
    name: str = ""


def test_a_mistake_deep_in_a_body(app: Flask, api: Callable[[str], Any]) -> None:
    def plant(json: Tree) -> None: ...

    app.add_url_rule("/api/v1/trees", view_func=api("contract").operation(204)(plant), methods=["POST"])
    client = app.test_client()
    for depth, status in ((0, 422), (100, 422), (50_000, 400)):
        body = b'{"children": [' * depth + b'{"name": 1}' + b"]}" * depth
        response = client.post("/api/v1/trees", data=body, content_type=JSON)
        assert response.status_code == status
        if status == 422:
            assert problem(response)["errors"][0]["pointer"] == "#" + "/children/0" * depth + "/name"
    for depth in range(200, 1000, 25):  # Where the one turns into the other.
        body = b'{"children": [' * depth + b'{"name": 1}' + b"]}" * depth
        assert client.post("/api/v1/trees", data=body, content_type=JSON).status_code in (400, 422)


Things = NewType("Things", list[int])
Toys = NewType("Toys", Things)


class Cat(msgspec.Struct, tag="cat", forbid_unknown_fields=True):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    friends: dict[str, "Cat | Dog"] = {}
    place: tuple[int, int] | None = None
    toys: Toys = Toys(Things([]))


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"type": "cat", "lives": "x", "more": 1}, {"#/lives", "#/more"}),
        ({"type": "dog", "name": "", "place": ["x", "y"]}, {"#/name", "#/place/0", "#/place/1"}),
        ({"type": "dog", "name": 1, "friends": {"a": {"type": "cat"}, "b": 1}}, {"#/name", "#/friends/a/lives", "#/friends/b"}),
        ({"type": "dog", "name": "a", "toys": ["x", "y"]}, {"#/toys/0", "#/toys/1"}),
        ({"type": "bird"}, {"#/type"}),
        ({"lives": "x"}, {"#"}),
        (1, {"#"}),
    ],
)  # fmt: skip
def test_mistakes_in_unions_and_containers(api: Callable[[str], Any], body: Any, pointers: set[str]) -> None:
    found = list(api("validation").mistakes_of(body, Cat | Dog))
    assert {mistake["pointer"] for mistake in found} == pointers


@pytest.mark.parametrize("size", [1000, 1001])
@pytest.mark.parametrize("chunked", [False, True])
def test_oversized_bodies(app: Flask, size: int, chunked: bool) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    body = GOOD.ljust(size)
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    response = app.test_client().post(
        URL, data=body, content_type=JSON, environ_overrides=environ if chunked else {"CONTENT_LENGTH": str(size)}
    )
    assert response.status_code == (201 if size == 1000 else 413)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("limit=1", 200),
        ("limit=100&kind=plain&kind=task&done=true&above=1.5", 200),
        ("limit=0", 422),
        ("limit=101", 422),
        ("limit=", 422),
        ("limit=+1", 422),
        ("limit=%201", 422),
        ("limit=1_0", 422),
        ("limit=01", 422),
        ("limit=1.5", 422),
        ("limit=%D9%A3", 422),
        ("limit=null", 422),
        ("limit=" + "9" * 5000, 422),
        ("limit=1&limit=1", 422),
        ("kind=other", 422),
        ("done=1", 422),
        ("above=nan", 422),
        ("above=inf", 422),
        ("above=1e999", 422),
        ("Limit=1", 422),
        ("unknown", 422),
        ("cursor=%FF", 404),
        ("cursor=%ED%A0%80", 404),
        ("cursor=%EF%BF%BD", 404),
        ("cursor=" + "W" * 500, 404),
        ("cursor=" + "W" * 501, 422),
        ("cursor=W10", 404),
        ("cursor=", 200),
    ],
)
def test_queries(client: FlaskClient, query: str, status: int) -> None:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status
    if status == 422:
        assert problem(response)["errors"][0]["parameter"] == query.partition("=")[0].partition("&")[0]


def test_a_required_parameter_and_an_argument_out_of_bounds(app: Flask, api: Callable[[str], Any]) -> None:
    class Search(msgspec.Struct, forbid_unknown_fields=True):
        words: list[int] = msgspec.field(name="the-words")

    def search(query: Search) -> list[int]:
        return query.words

    app.add_url_rule("/api/v1/search", view_func=api("contract").operation()(search))
    client = app.test_client()
    assert client.get("/api/v1/search?the-words=1&the-words=2").json == [1, 2]
    assert problem(client.get("/api/v1/search"))["errors"][0]["parameter"] == "the-words"
    assert client.get(f"{URL}/{2**63}").status_code == client.get(f"{URL}/0").status_code == 404


def test_a_further_media_type(app: Flask, api: Callable[[str], Any]) -> None:
    class Word(msgspec.Struct):
        text: Annotated[str, msgspec.Meta(max_length=3)]

    def count(json: Word | list[Word]) -> int:
        return len(json) if isinstance(json, list) else 1

    lines = {"application/x-ndjson": msgspec.json.Decoder().decode_lines}
    view = api("contract").operation(further=lines)(count)
    app.add_url_rule("/api/v1/words", view_func=view, methods=["POST"])
    post = partial(app.test_client().post, "/api/v1/words")
    assert post(data='{"text": "a"}\n{"text": "b"}\n', content_type="application/x-ndjson").json == 2
    assert post(json={"text": "a"}).json == 1
    wrong = post(data='{"text": "a"}\n{"text": "long"}', content_type="application/x-ndjson")
    assert problem(wrong)["errors"][0]["pointer"] == "#/1/text"
    assert problem(post(data='{"text": "a"}\n{', content_type="application/x-ndjson"))["status"] == 400
    refused = problem(post(data="a", content_type="text/csv"))
    assert (refused["status"], refused["detail"]) == (415, "Send application/json or application/x-ndjson.")


def test_parameters_of_an_operation_without_any(client: FlaskClient) -> None:
    assert problem(client.post(f"{URL}?x=1", json={"title": "a"}))["errors"][0]["parameter"] == "x"


def test_every_method_on_every_path(app: Flask, memo: TestResponse) -> None:
    """What is not in the contract is 405 with the methods that are; HEAD and OPTIONS work."""
    client = app.test_client()
    for path, allowed in ((URL, {"GET", "POST"}), (f"{URL}/1", {"GET", "PATCH", "DELETE"}), ("/api/v1/docs", {"GET"})):
        allowed |= {"HEAD", "OPTIONS"}
        for method in ("PUT", "POST", "PATCH", "DELETE", "TRACE", "BREW"):
            if method not in allowed:
                response = client.open(path, method=method)
                assert problem(response)["status"] == 405
                assert set(response.headers["Allow"].split(", ")) == allowed
        assert set(client.options(path).headers["Allow"].split(", ")) == allowed
        head, got = client.head(path), client.get(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.content_length == got.content_length


def test_conditional_reading(client: FlaskClient, memo: TestResponse) -> None:
    tag = memo.headers["ETag"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        response = client.get(memo.location, headers={"If-None-Match": given})
        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag)
    assert client.get(memo.location, headers={"If-None-Match": '"x"'}).status_code == 200


def test_conditional_writing(client: FlaskClient, memo: TestResponse) -> None:
    change, tag = {"kind": "task", "due": None}, memo.headers["ETag"]
    assert problem(client.patch(memo.location, json=change))["status"] == 428
    for wrong in ('"x"', f"W/{tag}", "", "\x7f"):
        assert client.patch(memo.location, json=change, headers={"If-Match": wrong}).status_code == 412
    changed = client.patch(memo.location, json=change, headers={"If-Match": tag})
    assert changed.json == {**(memo.json or {}), "kind": "task"}
    assert client.delete(memo.location, headers={"If-Match": tag}).status_code == 412
    deleted = client.delete(memo.location, headers={"If-Match": changed.headers["ETag"]})
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert client.get(memo.location).status_code == 404


def test_a_merge_patch(client: FlaskClient, memo: TestResponse) -> None:
    """https://www.rfc-editor.org/rfc/rfc7396"""
    headers = {"If-Match": "*"}
    for body, status in ((b'{"title": "b"}', 200), (b'{"title": null}', 422), (b"[]", 422)):
        response = client.patch(memo.location, data=body, content_type="application/merge-patch+json", headers=headers)
        assert response.status_code == status


def test_mistakes_of_views_show_in_tests(app: Flask, api: Callable[[str], Any]) -> None:
    operation = api("contract").operation
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def wrong_type() -> int:
        return "text"  # type: ignore[return-value]

    def wrong_status() -> tuple[int, int]:
        return 1, 202

    def ready_made() -> Response:
        return Response("ready")

    for view in (wrong_type, wrong_status, ready_made):
        app.add_url_rule(f"/{view.__name__}", view_func=operation()(view))
    client = app.test_client()
    assert client.get("/wrong_type").status_code == client.get("/wrong_status").status_code == 500
    assert client.get("/ready_made").text == "ready"


def test_a_status_that_is_not_declared_shows_in_tests(app: Flask, api: Callable[[str], Any]) -> None:
    contract = api("contract")

    def conflict() -> int:
        abort(409)

    app.add_url_rule("/undeclared", "undeclared", contract.operation()(conflict))
    app.add_url_rule("/declared", "declared", contract.operation(errors=[409])(conflict))
    client = app.test_client()
    with pytest.raises(contract.ContractError, match=r"conflict answers 409: .*errors=\[409\]"):
        client.get("/undeclared")
    assert client.get("/declared").status_code == 409
    app.extensions["api_errors"].add(409)
    assert client.get("/undeclared").status_code == 409


def test_a_plain_view_beside_operations(app: Flask) -> None:
    """It is Flask's, and no part of the contract."""
    app.add_url_rule("/api/v1/memos.csv", view_func=lambda: "id,title")
    client = app.test_client()
    assert client.get("/api/v1/memos.csv").text == "id,title"
    assert "memos.csv" not in client.get("/api/v1/openapi.json").text


def test_operations_of_one_name(app: Flask, api: Callable[[str], Any]) -> None:
    contract, document = api("contract"), api("openapi")

    def other() -> int:
        return 1

    app.add_url_rule("/api/v1/other", view_func=contract.operation(operation_id="read_memo")(other))
    with pytest.raises(contract.ContractError, match="both called read_memo"):
        document.make(app, "/api/v1")


class Tea(msgspec.Struct):
    kind: str


def test_decorators_above_and_below(app: Flask, api: Callable[[str], Any]) -> None:
    def shout(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapped(**arguments: Any) -> Any:
            seen.append(sorted(arguments))
            return view(**arguments)

        return wrapped

    seen: list[list[str]] = []

    operation: Decorator = api("contract").operation()

    @app.post("/api/v1/above")
    @shout
    @operation
    @shout
    def decorated(json: Tea) -> str:
        """Read what is sent."""
        return json.kind

    client = app.test_client()
    assert client.post("/api/v1/above", json={"kind": "green"}).json == "green"
    assert seen == [[], ["json"]]
    contract: Any = client.get("/api/v1/openapi.json").json
    described = contract["paths"]["/api/v1/above"]["post"]
    assert (described["summary"], "requestBody" in described) == ("Read what is sent.", True)


def test_a_view_without_types(api: Callable[[str], Any]) -> None:
    contract = api("contract")
    with pytest.raises(contract.ContractError, match="needs types for memo_id, return"):
        contract.operation()(lambda memo_id: memo_id)


@pytest.mark.parametrize(
    "kind", [Path, dict[str, int], dict[str, int] | None, list[list[int]], list[tuple[int, str]], list[int] | list[str]]
)
def test_parameters_that_no_text_is(api: Callable[[str], Any], kind: Any) -> None:
    contract = api("contract")

    def search(query: object) -> None: ...

    search.__annotations__["query"] = msgspec.defstruct("Query", [("given", kind)])
    with pytest.raises(
        contract.ContractError, match=r"search has a type that requests cannot have: .*(given|Path|array)"
    ):
        contract.operation(204)(search)


def test_types_that_share_a_name(app: Flask, api: Callable[[str], Any]) -> None:
    contract = api("contract")

    class Memo(msgspec.Struct):
        other: int

    def other() -> Memo:
        return Memo(1)

    bp = Blueprint("other", __name__, url_prefix="/api/v1")
    bp.get("/other")(contract.operation()(other))
    app.register_blueprint(bp)
    with pytest.raises(contract.ContractError, match="Memo"):
        api("openapi").make(app, "/api/v1")
