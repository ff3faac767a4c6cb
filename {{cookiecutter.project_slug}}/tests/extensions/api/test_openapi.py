"""The document says what the views do, all of it, and each application has its own."""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

PROBLEM = "application/problem+json"


def test_every_route_is_in_the_document(app: Flask) -> None:
    contract: Any = app.test_client().get("/api/v1/openapi.json").json
    documented = {(path, method.upper()) for path, item in contract["paths"].items() for method in item}
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/") and "documentation" not in rule.endpoint
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
    assert {"Memo", "MemoIn", "MemoPatch", "Memos", "Line", "Problem", "Detail"} <= names
    assert "Filter" not in names


def test_problems_are_as_documented(client: FlaskClient) -> None:
    schema: Any = client.get("/api/v1/openapi.json").json
    answered: Any = client.post("/api/v1/memos", json={}).json
    problem, detail = (schema["components"]["schemas"][name] for name in ("Problem", "Detail"))
    assert set(problem["required"]) <= set(answered) <= set(problem["properties"])
    assert set(answered["errors"][0]) <= set(detail["properties"])


def test_each_application_has_its_own(app: Flask, make_app: Callable[..., Flask]) -> None:
    with_memos, without = (one.test_client().get("/api/v1/openapi.json") for one in (app, make_app()))
    assert "/api/v1/memos" in with_memos.text
    assert "/api/v1/memos" not in without.text
    assert app.test_client().get("/api/v1/openapi.json").data == with_memos.data


def test_the_page_is_for_browsers_and_takes_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/api/v1/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    names = re.findall(r'(?:src|href)="(?!data:|openapi)([^"]*)"', page.text)
    assert len(names) == 2
    for name in names:
        with client.get(f"/api/v1/{name}") as response:
            assert response.status_code == 200
            assert b"http" not in response.data
