"""The document says what the views do, all of it, and each application has its own."""

import re
from collections.abc import Callable
from inspect import Signature
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PROBLEM = "application/problem+json"


def test_every_route_is_in_the_document(app: Flask) -> None:
    contract: Any = app.test_client().get("/api/v1/openapi.json").json
    documented = {(path, method.upper()) for path, item in contract["paths"].items() for method in item}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.startswith("memos.")
    }
    assert documented == routes
    assert ("/api/v1/memos/{memo_id}", "PATCH") in documented


def test_statuses_media_types_and_headers(client: FlaskClient) -> None:
    contract: Any = client.get("/api/v1/openapi.json").json
    paths = contract["paths"]
    expected = {
        ("/api/v1/memos", "get"): {200, 400, 404, 422, 500},
        ("/api/v1/memos", "post"): {201, 400, 413, 415, 422, 500},
        ("/api/v1/memos/{memo_id}", "get"): {200, 304, 400, 404, 422, 500},
        ("/api/v1/memos/{memo_id}", "patch"): {200, 400, 404, 412, 413, 415, 422, 428, 500},
        ("/api/v1/memos/{memo_id}", "delete"): {204, 400, 404, 412, 422, 428, 500},
    }
    for (path, method), statuses in expected.items():
        responses = paths[path][method]["responses"]
        assert {int(status) for status in responses} == statuses
        for status, response in responses.items():
            media = [] if status in ("204", "304") else [PROBLEM if status >= "400" else "application/json"]
            assert list(response.get("content", {})) == media
    post = paths["/api/v1/memos"]["post"]["responses"]["201"]
    assert set(post["headers"]) == {"Location", "ETag"}
    patch = paths["/api/v1/memos/{memo_id}"]["patch"]
    assert "application/merge-patch+json" in patch["requestBody"]["description"]
    given = {(parameter["in"], parameter["name"]): parameter["required"] for parameter in patch["parameters"]}
    assert given == {("path", "memo_id"): True, ("header", "If-Match"): True}
    listed = paths["/api/v1/memos"]["get"]
    assert (listed["summary"], listed["description"]) == ("List memos.", "The oldest come first.")
    names = set(contract["components"]["schemas"])
    assert {"Memo", "MemoIn", "MemoPatch", "ItemsMemo", "Line", "Problem", "Detail"} <= names
    assert "Filter" not in names


def test_problems_are_as_documented(client: FlaskClient) -> None:
    schema: Any = client.get("/api/v1/openapi.json").json
    answered: Any = client.post("/api/v1/memos", json={}).json
    problem, detail = (schema["components"]["schemas"][name] for name in ("Problem", "Detail"))
    assert set(problem["required"]) <= set(answered) <= set(problem["properties"])
    assert set(answered["errors"][0]) <= set(detail["properties"])


def test_each_application_has_its_own(app: Flask, probe: Callable[..., Flask]) -> None:
    with_memos, without = (one.test_client().get("/api/v1/openapi.json") for one in (app, probe("extensions.api")))
    assert "/api/v1/memos" in with_memos.text
    assert "/api/v1/memos" not in without.text
    assert app.test_client().get("/api/v1/openapi.json").data == with_memos.data


def test_the_page_is_for_browsers_and_takes_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/api/v1/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    names = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page.text)
    assert len(names) == 3
    for name in names:
        with client.get(f"/api/v1/{name}") as response:
            assert response.status_code == 200
    assert client.get("/api/v1/docs/none.js").status_code == 404


def test_the_page_is_off_in_production(make_api: Callable[..., Flask]) -> None:
    """Unless ``API_DOCS`` is set; the contract is public."""
    for settings, status in (({}, 404), ({"API_DOCS": "yes"}, 200)):
        client = make_api(APP_ENV="production", **settings).test_client()
        for path in ("/api/v1/docs", "/api/v1/docs/docs.js"):
            with client.get(path) as response:
                assert response.status_code == status
        assert client.get("/api/v1/openapi.json").status_code == 200


def test_what_all_documents_say(make_api: Callable[..., Flask]) -> None:
    about = {"info": {"description": "Memos."}, "servers": [{"url": "https://api.example.com"}]}
    contract: Any = make_api(API_DOCUMENT=about).test_client().get("/api/v1/openapi.json").json
    assert contract["info"] == {"title": "probe", "version": "1.0.0", "description": "Memos."}
    assert contract["servers"] == about["servers"]


def test_two_versions(make_api: Callable[..., Flask], api: Callable[[str], Any]) -> None:
    """Each has its own document, and its own page."""
    app = make_api(API_VERSIONS={"/api/v1": "1.0.0", "/api/v2": "2.0.0"})

    def read_memo() -> int:
        return 2

    app.add_url_rule("/api/v2/memos", view_func=api("contract").operation()(read_memo))
    client = app.test_client()
    first, second = (json(client.get(f"/api/{version}/openapi.json")) for version in ("v1", "v2"))
    assert set(first["paths"]) == {"/api/v1/memos", "/api/v1/memos/{memo_id}"}
    assert set(second["paths"]) == {"/api/v2/memos"}
    assert (first["info"]["version"], second["info"]["version"]) == ("1.0.0", "2.0.0")
    assert client.get("/api/v2/docs").status_code == 200


def test_an_operation_below_no_prefix(app: Flask, api: Callable[[str], Any]) -> None:
    """It would be missing in every contract."""

    def stray() -> None: ...

    app.add_url_rule("/stray", view_func=api("contract").operation(204)(stray))
    with pytest.raises(api("contract").ContractError, match="/stray is below none of /api/v1"):
        api("openapi").make(app, "/api/v1")


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"name": str}, "/api/v1/stray/<key> and stray do not have the same arguments: key, name"),
        ({"key": Path}, "stray has a type that no contract can have: .*Path"),
        ({"key": list[int]}, "stray has a type that no contract can have: key"),
        ({"key": str, "return": Flask}, "stray has a type that no contract can have: .*Flask"),
    ],
)
def test_an_operation_that_nobody_could_call(
    app: Flask, api: Callable[[str], Any], types: dict[str, Any], message: str
) -> None:
    def stray(**_: object) -> None: ...

    stray.__annotations__.update(types)
    stray.__signature__ = Signature()  # type: ignore[attr-defined]
    stray.__annotations__.pop("_")
    app.add_url_rule("/api/v1/stray/<key>", view_func=api("contract").operation()(stray))
    with pytest.raises(api("contract").ContractError, match=message):
        api("openapi").make(app, "/api/v1")


def test_what_extensions_add(app: Flask) -> None:
    app.extensions["api_errors"].add(503)
    paths = json(app.test_client().get("/api/v1/openapi.json"))["paths"]
    assert all("503" in operation["responses"] for item in paths.values() for operation in item.values())


def json(response: TestResponse) -> Any:
    assert response.status_code == 200
    return response.json
