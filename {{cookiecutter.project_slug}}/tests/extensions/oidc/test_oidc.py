"""Access tokens: of the provider, of others, and of nobody; keys that rotate, and a provider that is away."""

import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64encode

ME = "/api/v1/me"
ES256 = next(algorithm for algorithm in JWS_ALGORITHMS if algorithm.name == "ES256")
#: What the provider was asked when its keys were read once.
ONCE = ["/.well-known/openid-configuration", "/keys"]


def part(told: object) -> str:
    return urlsafe_b64encode(told if isinstance(told, bytes) else json.dumps(told).encode()).decode()


def claims(provider: Any) -> str:
    return str(provider.sign("notes:read").split(".")[1])


def status(client: FlaskClient, token: str) -> int:
    return client.get(ME, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token(client: FlaskClient, provider: Any) -> None:
    response = client.get(ME, headers=provider.bearer("notes:read", "notes:write"))
    assert (response.status_code, response.json) == (200, f"{provider.issuer} ada")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"scope": "notes:read"}, 200),
        ({"scp": ["notes:read", 7]}, 200),
        ({"scp": "notes:write notes:read"}, 200),
        ({"scope": "notes:readers"}, 403),
        ({"scope": "NOTES:READ"}, 403),
        ({"scope": ""}, 403),
        ({"scope": "", "scp": "notes:read"}, 403),
        ({"scope": {"notes:read": 1}}, 403),
        ({"scope": 7}, 403),
        ({}, 403),
    ],
)
def test_scopes(client: FlaskClient, provider: Any, told: dict[str, Any], expected: int) -> None:
    assert status(client, provider.sign(**told)) == expected


@pytest.mark.parametrize(
    ("told", "valid"),
    [
        ({"aud": ["other", "https://api.example.com"]}, True),
        ({"exp": 0}, False),
        ({"exp": None}, False),
        ({"exp": "9999999999"}, False),
        ({"exp": True}, False),
        ({"exp": 1e300}, True),
        ({"nbf": 9999999999}, False),
        ({"iat": 9999999999}, False),
        ({"sub": None}, False),
        ({"sub": ""}, False),
        ({"sub": 7}, False),
        ({"aud": None}, False),
        ({"aud": []}, False),
        ({"aud": "https://api.example.com/"}, False),
        ({"aud": "orders"}, False),
        ({"aud": {"https://api.example.com": 1}}, False),
        ({"iss": "https://evil.example"}, False),
        ({"iss": None}, False),
        ({"iss": ["x"]}, False),
    ],
)
def test_claims(client: FlaskClient, provider: Any, told: dict[str, Any], valid: bool) -> None:
    response = client.get(ME, headers=provider.bearer("notes:read", **told))
    assert response.status_code == (200 if valid else 401)
    if not valid:
        assert response.headers["WWW-Authenticate"] == "Bearer error=invalid_token"
        assert response.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None},
        {"typ": "JWT"},
        {"typ": 7},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": ["x"]},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": ["ES256"]},
    ],
)
def test_headers(client: FlaskClient, provider: Any, header: dict[str, Any]) -> None:
    """Signed by the provider's own key, where there is one for it."""
    told = {"alg": "ES256", "kid": provider.key.kid, "typ": "at+jwt"} | header
    signed = f"{part({name: value for name, value in told.items() if value is not None})}.{claims(provider)}"
    signature = ES256.sign(signed.encode(), provider.key)
    assert status(client, f"{signed}.{part(signature)}") == 401


def test_a_header_that_asks_for_nothing(client: FlaskClient, provider: Any) -> None:
    """What one does not know has to be ignored: RFC 7515, 4."""
    assert status(client, provider.sign("notes:read", header={"typ": "application/AT+JWT"})) == 200
    signed = f"{part({'alg': 'ES256', 'kid': provider.key.kid, 'typ': 'at+jwt', 'own': 1})}.{claims(provider)}"
    assert status(client, f"{signed}.{part(ES256.sign(signed.encode(), provider.key))}") == 200


def hashed(named: dict[str, str], payload: str, key: bytes) -> str:
    signed = f"{part(named | {'alg': 'HS256'})}.{payload}"
    return f"{signed}.{part(hmac.digest(key, signed.encode(), 'sha256'))}"


def forged(provider: Any) -> dict[str, str]:
    """What somebody without the provider's key would send."""
    good = provider.sign("notes:read")
    header, payload, signature = good.split(".")
    mine = ECKey.generate_key("P-256", {"kid": provider.key.kid})
    public = provider.key.as_dict(private=False)
    pem, jwk = provider.key.as_pem(private=False), json.dumps(public).encode()
    named = {"kid": provider.key.kid, "typ": "at+jwt"}
    told = {"iss": provider.issuer, "aud": "https://api.example.com", "sub": "ada", "exp": 9999999999}
    issuer, kid = provider.issuer.encode(), provider.key.kid.encode()
    twice = part(b'{"iss":"%s","iss":"x"}' % issuer)
    doubled = part(b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"%s"}' % kid)
    no_text = part(b"\xff")
    return {
        "none": f"{part(named | {'alg': 'none'})}.{payload}.",
        "none with a signature": f"{part(named | {'alg': 'none'})}.{payload}.{signature}",
        "alg in other letters": f"{part(named | {'alg': 'es256'})}.{payload}.{signature}",
        "NONE": f"{part(named | {'alg': 'NONE'})}.{payload}.{signature}",
        "no alg": f"{part(named)}.{payload}.{signature}",
        "hmac with the public key": hashed(named, payload, pem),
        "hmac with the public jwk": hashed(named, payload, jwk),
        "another key of this id": provider.sign("notes:read", key=mine),
        "an rsa key of this id": provider.sign("notes:read", header={"alg": "RS256"}, key=RSAKey.generate_key(2048)),
        "a key that it brings": provider.sign("notes:read", header={"jwk": mine.as_dict(private=False)}, key=mine),
        "a key of an address": provider.sign("notes:read", header={"jku": "http://127.0.0.1:1/keys"}, key=mine),
        "a certificate of an address": provider.sign("notes:read", header={"x5u": "http://127.0.0.1:1/"}, key=mine),
        "an unknown key": provider.sign("notes:read", header={"kid": "other"}, key=mine),
        "other claims": f"{header}.{part(told | {'scope': 'notes:read'})}.{signature}",
        "claims twice": f"{header}.{twice}.{signature}",
        "a header twice": f"{doubled}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "half of it": good[: len(good) // 2],
        "without its end": good[:-1],
        "a longer end": f"{good}A",
        "two parts": f"{header}.{payload}",
        "five parts": f"{good}.x.y",
        "padding": f"{good}==",
        "claims that are a list": f"{header}.{part(['iss'])}.{signature}",
        "claims that are no json": f"{header}.{part(b'iss')}.{signature}",
        "claims that are no utf-8": f"{header}.{no_text}.{signature}",
        "a header that is a text": f"{part('ES256')}.{payload}.{signature}",
        "too deep": f"{header}.{part(b'[' * 6000)}.{signature}",
        "empty": "",
        "dots": "..",
        "100 KB": "a" * 100_000,
        "100 KB of a token": f"{header}.{part({'x': 'a' * 100_000})}.{signature}",
        "no ascii": "ä.ö.ü",
        "white space": f"{header}. {claims}.{signature}",
    }


def test_forged_tokens(client: FlaskClient, provider: Any) -> None:
    sent = forged(provider)
    assert len(sent) > 30
    assert {name: status(client, token) for name, token in sent.items()} == dict.fromkeys(sent, 401)
    assert status(client, provider.sign("notes:read")) == 200
    assert not [path for path in provider.asked if path not in ONCE]


def test_other_tokens_do_not_reach_the_provider(client: FlaskClient, provider: Any) -> None:
    provider.away = True
    for token in ("", "opaque", "a.b.c", provider.sign("notes:read", iss="https://other.example")):
        assert status(client, token) == 401
    assert client.get(ME).status_code == 401
    assert provider.asked == []


def test_id_tokens_of_providers_without_a_type(make_guarded: Callable[..., Flask], provider: Any) -> None:
    """Their audience tells them from access tokens."""
    client = make_guarded(**provider.settings | {"OIDC_TOKEN_TYPE": "jwt"}).test_client()
    assert status(client, provider.sign("notes:read", header={"typ": "JWT"})) == 200
    assert status(client, provider.sign("notes:read", header={"typ": None})) == 200
    assert status(client, provider.sign("notes:read")) == 200
    assert status(client, provider.sign("notes:read", header={"typ": "JWT"}, aud="orders", nonce="x")) == 401
    assert status(client, provider.sign("notes:read", header={"typ": "logout+jwt"})) == 401


def test_a_token_runs_out(client: FlaskClient, provider: Any, token_clock: Any) -> None:
    token = provider.sign("notes:read")
    token_clock.move(320)
    assert status(client, token) == 200  # clocks differ
    token_clock.move(20)
    assert status(client, token) == 401


def test_a_new_key_is_taken_at_once(client: FlaskClient, provider: Any) -> None:
    old = provider.sign("notes:read")
    assert status(client, old) == 200
    provider.rotate()
    assert status(client, provider.sign("notes:read")) == 200
    assert status(client, old) == 401
    assert provider.asked == ONCE * 2


def test_keys_are_read_anew_after_ten_minutes(client: FlaskClient, provider: Any, token_clock: Any) -> None:
    old = provider.sign("notes:read", exp=9999999999)
    assert status(client, old) == 200
    provider.rotate()
    token_clock.move(599)
    assert status(client, old) == 200
    token_clock.move(2)
    assert status(client, old) == 401


def test_unknown_keys_ask_twice_a_minute(client: FlaskClient, provider: Any, token_clock: Any) -> None:
    good, unknown = provider.sign("notes:read"), provider.sign("notes:read", header={"kid": "unknown"})
    assert status(client, good) == 200
    assert [status(client, unknown) for _ in range(50)] == [401] * 50
    assert provider.asked == ONCE * 2
    token_clock.move(61)
    assert [status(client, unknown) for _ in range(50)] == [401] * 50
    assert provider.asked == ONCE * 4
    assert status(client, good) == 200


@pytest.mark.parametrize("known", [True, False])
def test_one_thread_asks(app: Flask, provider: Any, known: bool) -> None:
    if known:
        assert status(app.test_client(), provider.sign("notes:read")) == 200
        provider.rotate()
    provider.delay = 0.2
    token = provider.sign("notes:read")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: status(app.test_client(), token), range(40)))
    assert answers == [200] * 40
    assert provider.asked == ONCE * (2 if known else 1)


def test_the_provider_is_away(client: FlaskClient, provider: Any, token_clock: Any) -> None:
    """Known keys go on; without any, 503 until it is back."""
    provider.away = True
    response = client.get(ME, headers=provider.bearer("notes:read"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert status(client, provider.sign("notes:read")) == 503
    assert len(provider.asked) == 1
    provider.away = False
    token_clock.move(6)
    token = provider.sign("notes:read", exp=9999999999)
    assert status(client, token) == 200
    provider.away = True
    for _ in range(5):
        token_clock.move(601)
        assert status(client, token) == 200
    assert status(client, provider.sign("notes:read", header={"kid": "new"})) == 401


DESCRIPTION, KEYS = ONCE


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DESCRIPTION, b"<html>"),
        (DESCRIPTION, []),
        (DESCRIPTION, {}),
        (DESCRIPTION, {"error": "gone"}),
        (DESCRIPTION, b"[" * 100_000),
        (DESCRIPTION, {"issuer": "http://127.0.0.1:1/realms/shop", "jwks_uri": "http://127.0.0.1:1/keys"}),
        (KEYS, {}),
        (KEYS, {"keys": 7}),
        (KEYS, {"keys": []}),
        (KEYS, {"keys": [7, None, {}, {"kty": "EC", "kid": "x"}]}),
        (KEYS, {"keys": [{"kty": "oct", "kid": "x", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}),
        (KEYS, b'{"keys": [], "x": "' + b"a" * 1_000_001 + b'"}'),
    ],
)
def test_answers_that_cannot_be_used(client: FlaskClient, provider: Any, path: str, answer: Any) -> None:
    provider.answers[path] = answer
    assert status(client, provider.sign("notes:read")) == 503


@pytest.mark.parametrize("uri", ["http://id.example.com/keys", "file:///etc/passwd", "ftp://127.0.0.1/keys", None, 7])
def test_keys_come_over_tls(client: FlaskClient, provider: Any, uri: Any) -> None:
    provider.answers[DESCRIPTION] = {"issuer": provider.issuer, "jwks_uri": uri}
    assert status(client, provider.sign("notes:read")) == 503
    assert provider.asked == [DESCRIPTION]


def test_a_wrong_key_spoils_no_other(client: FlaskClient, provider: Any) -> None:
    weak = RSAKey.generate_key(2048, {"kid": "weak"}).as_dict(private=False) | {"n": "AQAB"}
    other = provider.key.as_dict(private=False) | {"kid": "encryption", "use": "enc"}
    provider.answers[KEYS] = {"keys": [weak, other, {"kty": "new"}, provider.key.as_dict(private=False)]}
    assert status(client, provider.sign("notes:read")) == 200
    for kid in ("weak", "encryption"):
        assert status(client, provider.sign("notes:read", header={"kid": kid})) == 401


def test_a_slow_answer_is_given_up(client: FlaskClient, provider: Any, package: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setattr(f"{package.__name__}.extensions.oidc.provider.TIMEOUT", 0.2)
    provider.delay = 5.0
    assert status(client, provider.sign("notes:read")) == 503


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["OIDC_ISSUER", "OIDC_AUDIENCE"]),
        ({"OIDC_ISSUER": "https://id.example.com"}, ["OIDC_AUDIENCE"]),
        ({"OIDC_ISSUER": "http://id.example.com", "OIDC_AUDIENCE": "x"}, ["OIDC_ISSUER"]),
        ({"OIDC_ISSUER": "https://id.example.com?x=1", "OIDC_AUDIENCE": "x"}, ["OIDC_ISSUER"]),
        ({"OIDC_ISSUER": "http://127.0.0.1.evil.example", "OIDC_AUDIENCE": "x"}, ["OIDC_ISSUER"]),
        ({"OIDC_ISSUER": "https://user@id.example.com", "OIDC_AUDIENCE": "x"}, ["OIDC_ISSUER"]),
        (
            {"OIDC_ISSUER": "https://id.example.com", "OIDC_AUDIENCE": "x", "OIDC_TOKEN_TYPE": "any"},
            ["OIDC_TOKEN_TYPE"],
        ),
    ],
)
def test_production_refuses(make_guarded: Callable[..., Flask], settings: dict[str, str], names: list[str]) -> None:
    """Without a provider, anybody could make tokens."""
    with pytest.raises(Exception, match="missing or wrong") as refusal:
        make_guarded(APP_ENV="production", **settings)
    assert [
        name for name in ("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_TOKEN_TYPE") if f"  {name}:" in str(refusal.value)
    ] == names


def test_the_provider_in_the_process(make_guarded: Callable[..., Flask]) -> None:
    app, other = make_guarded(), make_guarded()
    with app.app_context():
        token = app.extensions["oidc"].sign("ada", "notes:read")
        late = app.extensions["oidc"].sign("ada", "notes:read", exp=1)
    assert (status(app.test_client(), token), status(app.test_client(), late)) == (200, 401)
    assert status(other.test_client(), token) == 401


def test_processes_of_development_share_a_key(
    make_guarded: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app, other = (make_guarded(APP_ENV="development") for _ in range(2))
    assert list(tmp_path.iterdir()) == []
    printed = app.test_cli_runner().invoke(args=["oidc", "token", "ada", "--scope", "x", "--scope", "notes:read"])
    assert status(other.test_client(), printed.output.strip()) == 200
    (file,) = tmp_path.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("development.oidc.pem", 0o600)


def test_no_such_tokens_in_production(make_guarded: Callable[..., Flask], provider: Any, package: ModuleType) -> None:
    app = make_guarded(APP_ENV="production", **provider.settings)
    assert "No such command" in FlaskCliRunner(app).invoke(args=["oidc", "token", "ada"]).output
    with pytest.raises(RuntimeError):
        __import__(f"{package.__name__}.extensions.oidc.embedded", fromlist=["x"]).init_app(app)
