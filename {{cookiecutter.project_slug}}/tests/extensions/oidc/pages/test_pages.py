"""To sign in at the provider, which is right, wrong or away."""

from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc.util import urlsafe_b64encode

HTML = {"Accept": "text/html"}


def test_sign_in(client: FlaskClient, provider: Any, known_site: dict[str, str], come_back: Callable[..., Any]) -> None:
    response = client.get("/mine?a=1", headers=HTML)
    assert response.location == "/oidc/sign-in?next=/mine?a%3D1"
    response = come_back(response.location)
    assert (response.status_code, response.location) == (303, "/mine?a=1")
    assert client.get("/mine").text == "ada ada@example.com"
    sought, (form,) = provider.sought, provider.forms
    assert (sought["response_type"], sought["scope"]) == ("code", "openid email profile")
    assert sought["redirect_uri"] == form["redirect_uri"] == "http://localhost/oidc/callback"
    assert (sought["client_id"], sought["code_challenge_method"]) == ("orders", "S256")
    digest = sha256(form["code_verifier"].encode()).digest()
    assert sought["code_challenge"] == urlsafe_b64encode(digest).decode()
    assert (form["code"], form["grant_type"]) == ("a code", "authorization_code")
    (sent,) = provider.authorizations
    client_id, _, secret = b64decode(sent.removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(client_id), unquote_plus(secret)) == ("orders", known_site["OIDC_CLIENT_SECRET"])


def test_programs_are_answered_401(client: FlaskClient) -> None:
    assert client.get("/mine", headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("methods", [["client_secret_post"], None])
def test_clients_that_say_who_they_are_in_the_body(
    make_site: Callable[..., Flask], provider: Any, known_site: dict[str, str], methods: Any
) -> None:
    """By the provider's wish, or because they have no secret."""
    settings = dict(known_site)
    if methods:
        description = provider.right("/", "", None) | {"token_endpoint_auth_methods_supported": methods}
        provider.answers["/.well-known/openid-configuration"] = description
    else:
        del settings["OIDC_CLIENT_SECRET"]
    client = make_site(**settings).test_client()
    sought = parse_qs(urlsplit(client.get("/oidc/sign-in").location).query)
    (provider.nonce,) = sought["nonce"]
    response = client.get("/oidc/callback", query_string={"state": sought["state"][0], "code": "x"})
    assert response.location == "/oidc/account"
    (form,), (sent,) = provider.forms, provider.authorizations
    assert (form["client_id"], sent) == ("orders", "None")
    assert form.get("client_secret") == (known_site["OIDC_CLIENT_SECRET"] if methods else None)


def test_the_session_begins_anew(client: FlaskClient, come_back: Callable[..., Any]) -> None:
    """What was in it before may be somebody else's."""
    with client.session_transaction() as session:
        session["cart"] = "of somebody"
    come_back()
    with client.session_transaction() as session:
        assert set(session) == {"oidc"}


def test_unfinished_sign_ins_do_not_pile_up(client: FlaskClient) -> None:
    sizes = set()
    for _ in range(5):
        client.get("/oidc/sign-in")
        with client.session_transaction() as session:
            sizes.add(len(str(dict(session))))
    assert len(sizes) == 1


def test_an_answer_works_once(client: FlaskClient, provider: Any, come_back: Callable[..., Any]) -> None:
    assert come_back().status_code == 303
    again = client.get("/oidc/callback", query_string={"state": provider.sought["state"], "code": "a code"})
    assert again.status_code == 400
    assert len(provider.forms) == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"state": None},
        {"state": ""},
        {"state": "x"},
        {"iss": "https://evil.example"},
        {"code": None},
        {"code": None, "error": "access_denied", "error_description": "<script>"},
        {"code": None, "error": "<script>alert(1)</script>" * 100},
    ],
)
def test_wrong_answers(client: FlaskClient, provider: Any, come_back: Callable[..., Any], sent: dict[str, Any]) -> None:
    response = come_back(**sent)
    assert (response.status_code, response.mimetype) == (400, "text/html")
    assert "Start again." in response.text
    assert "script>" not in response.text
    assert provider.forms == []
    assert client.get("/mine", headers=HTML).status_code == 302


def test_what_nobody_has_begun(client: FlaskClient) -> None:
    assert client.get("/oidc/callback").status_code == 400
    assert client.get("/oidc/callback", query_string={"state": "", "code": "x"}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "other"},
        {"nonce": None},
        {"aud": "other"},
        {"aud": ["orders", "other"]},
        {"azp": "other"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
    ],
)
def test_wrong_id_tokens(provider: Any, come_back: Callable[..., Any], wrong: dict[str, Any]) -> None:
    provider.wrong = wrong
    assert come_back().status_code == 400


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "invalid_grant"},
        {},
        {"id_token": 7, "access_token": "x"},
        {"id_token": "a.b.c", "access_token": "x"},
        {"access_token": "x"},
    ],
)
def test_wrong_tokens(provider: Any, come_back: Callable[..., Any], answer: Any) -> None:
    provider.answers["/token"] = answer
    assert come_back().status_code == 400


@pytest.mark.parametrize("path", ["/token", "/userinfo"])
def test_answers_that_are_none(provider: Any, come_back: Callable[..., Any], path: str) -> None:
    provider.answers[path] = b"<html>"
    response = come_back()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_an_access_token_is_no_id_token(provider: Any, come_back: Callable[..., Any], client: FlaskClient) -> None:
    provider.answers["/token"] = {"id_token": provider.sign(aud="orders"), "access_token": "x"}
    assert come_back().status_code == 400
    assert client.get("/mine", headers=HTML).status_code == 302


def test_the_description_is_of_somebody_else(provider: Any, come_back: Callable[..., Any]) -> None:
    provider.answers["/userinfo"] = {"sub": "eve", "email": "ada@example.com", "email_verified": True}
    assert come_back().status_code == 400


@pytest.mark.parametrize(
    ("told", "email"),
    [
        ({"email": "ada@example.com", "email_verified": False}, ""),
        ({"email": "ada@example.com"}, ""),
        ({"email": "ada@example.com", "email_verified": 1}, "ada@example.com"),
        ({"email": "ada@example.com", "email_verified": "true"}, "ada@example.com"),
        ({"email": "ada@example.com", "email_verified": "false"}, ""),
        ({"email": 7, "email_verified": True}, ""),
        ({}, ""),
    ],
)
def test_addresses_that_are_not_verified(
    client: FlaskClient, provider: Any, come_back: Callable[..., Any], told: dict[str, Any], email: str
) -> None:
    provider.person = {"sub": "ada"} | told
    come_back()
    assert client.get("/mine").text == f"ada {email}"


def test_the_provider_is_away(client: FlaskClient, provider: Any, come_back: Callable[..., Any]) -> None:
    provider.away = True
    response = client.get("/oidc/sign-in", headers=HTML)
    assert (response.status_code, response.mimetype, response.headers["Retry-After"]) == (503, "text/html", "5")
    provider.away = False


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "x"]
)
def test_the_next_page_is_of_this_site(come_back: Callable[..., Any], client: FlaskClient, target: str) -> None:
    response = client.get("/oidc/sign-in", query_string={"next": target})
    assert response.status_code == 302
    with client.session_transaction() as session:
        assert session["oidc_begun"][3] == ""


def test_again(client: FlaskClient, provider: Any, come_back: Callable[..., Any]) -> None:
    come_back("/oidc/sign-in?again=1")
    assert (provider.sought["prompt"], provider.sought["max_age"]) == ("login", "0")


def test_sign_out(browser: Any, client: FlaskClient, provider: Any, come_back: Callable[..., Any]) -> None:
    """A form signs out here, and the page after it has a link to the provider."""
    come_back()
    browser.open("/oidc/account")
    assert "ada@example.com" in browser.page.main.text
    browser.open("/oidc/sign-out")
    browser.send()
    assert browser.page.h1.text == "You are signed out."
    link = urlsplit(browser.page.main.a["href"])
    assert (link.scheme, link.netloc) == urlsplit(provider.issuer)[:2]
    assert parse_qs(link.query) == {
        "client_id": ["orders"],
        "post_logout_redirect_uri": ["http://localhost/oidc/signed-out"],
    }
    assert client.get("/mine", headers=HTML).status_code == 302


def test_another_site_signs_nobody_out(client: FlaskClient, come_back: Callable[..., Any]) -> None:
    come_back()
    client.application.config["WTF_CSRF_ENABLED"] = True
    assert client.post("/oidc/sign-out").status_code in (400, 422)
    assert client.get("/mine").status_code == 200


def test_a_sign_in_ends(client: FlaskClient, come_back: Callable[..., Any], token_clock: Any) -> None:
    come_back()
    token_clock.move(12 * 3600 - 60)
    assert client.get("/mine", headers=HTML).status_code == 200
    token_clock.move(120)
    assert client.get("/mine", headers=HTML).status_code == 302


@pytest.mark.parametrize(("seconds", "expected"), [(800, 303), (1000, 400)])
def test_nobody_waits_for_ever(
    client: FlaskClient, provider: Any, token_clock: Any, seconds: int, expected: int
) -> None:
    sought = parse_qs(urlsplit(client.get("/oidc/sign-in").location).query)
    (provider.nonce,) = sought["nonce"]
    token_clock.move(seconds)
    provider.wrong = {"exp": 9999999999}
    response = client.get("/oidc/callback", query_string={"state": sought["state"][0], "code": "x"})
    assert response.status_code == expected


def test_development(make_site: Callable[..., Flask], browser: Any) -> None:
    """Without a provider, whoever one says that one is."""
    browser.client = make_site().test_client()
    browser.open("/mine")
    assert browser.page.h1.text == "Sign in"
    assert browser.send(subject="").status_code == 422
    assert browser.send(subject="grace", email="grace@example.com").text == "grace grace@example.com"
    browser.open("/oidc/sign-out")
    browser.send()
    assert [link["href"] for link in browser.page.main.select("a")] == ["/oidc/sign-in"]


@pytest.mark.parametrize("environment", ["production", "testing"])
def test_a_site_that_the_provider_does_not_know(
    make_site: Callable[..., Flask], provider: Any, environment: str
) -> None:
    app = make_site(APP_ENV=environment, **provider.settings)
    client = app.test_client()
    for path in ("sign-in", "callback", "account", "sign-out", "signed-out", "development"):
        assert client.get(f"/oidc/{path}").status_code == 404
    assert app.extensions["navigation"] == []


def test_no_development_in_production(make_site: Callable[..., Flask], known_site: dict[str, str]) -> None:
    client = make_site(APP_ENV="production", **known_site).test_client()
    assert client.get("/oidc/development").status_code == 404


def test_an_audience_that_is_the_client(make_site: Callable[..., Flask], known_site: dict[str, str]) -> None:
    settings = known_site | {"OIDC_AUDIENCE": "orders", "OIDC_TOKEN_TYPE": "jwt"}
    with pytest.raises(Exception, match="OIDC_AUDIENCE: Must not be OIDC_CLIENT_ID"):
        make_site(**settings)
