"""The code flow with PKCE. https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth

A session has one sign-in that was begun and not finished: a second one replaces it.
"""

import re
from base64 import b64encode
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, NoReturn
from urllib.parse import quote_plus, urlencode

import structlog
from flask import abort, current_app, request, session, url_for
from joserfc.util import urlsafe_b64encode
from werkzeug.exceptions import ServiceUnavailable

from ...i18n import gettext as _
from ..provider import AGAIN, LEEWAY, URL, AnswerError, Provider, RefusedError, TokenError, fetch, now
from . import Identity

#: Seconds in which somebody has to come back.
PATIENCE = 900


def begin(target: str, again: bool) -> str:
    """Return the address of the provider at which somebody signs in.

    :param target: the page to go on with afterwards.
    :param again: whether everybody has to authenticate again, and the provider tells when they did.
    """
    state, nonce, verifier = token_urlsafe(32), token_urlsafe(32), token_urlsafe(48)
    query = {
        "response_type": "code",
        "client_id": current_app.config["OIDC_CLIENT_ID"],
        "redirect_uri": url_for("oidc.callback", _external=True),
        "scope": "openid email profile",
        "state": state,
        "nonce": nonce,
        # https://www.rfc-editor.org/rfc/rfc7636#section-4.2
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).decode(),
        "code_challenge_method": "S256",
    } | ({"prompt": "login", "max_age": "0"} if again else {})
    address = with_query(endpoint("authorization_endpoint"), query)
    session["oidc_begun"] = state, nonce, verifier, target, now()
    return address


def finish() -> tuple[Identity, str]:
    """Return who has come back, and the page to go on with.

    :raises BadRequest: if this browser has begun no such sign-in, or the provider has refused it.
    :raises ServiceUnavailable: if the provider does not answer.
    """
    state, nonce, verifier, target, since = session.pop("oidc_begun", ("", "", "", "", 0))
    if not state or request.args.get("state") != state or since < now() - PATIENCE:
        abort(400, _("This sign-in is too old, or was begun elsewhere. Start again."))
    provider: Provider = current_app.extensions["oidc"]
    if request.args.get("iss", provider.issuer) != provider.issuer:  # https://www.rfc-editor.org/rfc/rfc9207
        refuse("another issuer has answered")
    if "code" not in request.args:
        # What it says stays out of the page: anybody may have written it. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
        refuse(request.args.get("error", "it sent no code")[:80])
    try:
        tokens = redeem(request.args["code"], verifier)
        claims = provider.verify(tokens["id_token"], {"jwt", ""}, current_app.config["OIDC_CLIENT_ID"])
        check(claims, nonce)
        known = claims | more(claims, tokens["access_token"])
    except RefusedError as error:
        refuse(str(error))
    except AnswerError as error:
        structlog.get_logger().warning("oidc_provider_unavailable", issuer=provider.issuer, reason=str(error))
        raise away() from error
    except (TokenError, KeyError, TypeError) as error:
        refuse(f"its token is not valid, {error}")
    return identity(claims["iss"], known), target


def refuse(why: str) -> NoReturn:
    structlog.get_logger().info("sign_in_refused", reason=why)
    abort(400, _("The provider has refused the sign-in. Start again."))


def redeem(code: str, verifier: str) -> dict[str, Any]:
    """Return the tokens for a code. https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3"""
    client, secret = current_app.config["OIDC_CLIENT_ID"], current_app.config["OIDC_CLIENT_SECRET"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    form["redirect_uri"] = url_for("oidc.callback", _external=True)
    headers: dict[str, str] = {}
    methods = description().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if secret and "client_secret_basic" in methods:
        pair = f"{quote_plus(client)}:{quote_plus(secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": client} | ({"client_secret": secret} if secret else {})
    return fetch(endpoint("token_endpoint"), form=form, headers=headers)


def check(claims: dict[str, Any], nonce: str) -> None:
    """Check that an ID token is the answer to what this browser has begun, and for nobody else.

    https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
    """
    if claims.get("nonce") != nonce:
        raise TokenError("the nonce is another one")
    client, audience = current_app.config["OIDC_CLIENT_ID"], claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", "" if several else client) != client:
        raise TokenError("it is for another party")


def more(claims: dict[str, Any], token: str) -> dict[str, Any]:
    """What the provider says of somebody beside the ID token: many have the address there alone."""
    url = description().get("userinfo_endpoint")
    if "email" in claims or not url:
        return {}
    found = fetch(url, headers={"Authorization": f"Bearer {token}"})
    if found.get("sub") != claims["sub"]:
        raise TokenError("the description is of somebody else")
    return {name: found[name] for name in ("email", "email_verified", "name") if name in found}


def identity(issuer: str, claims: dict[str, Any]) -> Identity:
    email, proven = claims.get("email"), claims.get("auth_time")
    return Identity(
        issuer=issuer,
        subject=claims["sub"],
        # Some say "true", and mean it; whatever else is not verified.
        email=email[:254] if isinstance(email, str) and claims.get("email_verified") in (True, "true") else "",
        name=str(claims.get("name", ""))[:200],
        # Some providers send milliseconds. A time in the future proves nothing.
        proven=int(proven) if isinstance(proven, int | float) and 0 < proven < now() + LEEWAY else 0,
    )


def end_of_session() -> str:
    """The address at which the provider signs somebody out, or nothing if it has none, or is away.

    https://openid.net/specs/openid-connect-rpinitiated-1_0.html
    """
    try:
        url = endpoint("end_session_endpoint")
    except ServiceUnavailable:
        return ""
    back = url_for("oidc.signed_out", _external=True)
    query = {"client_id": current_app.config["OIDC_CLIENT_ID"], "post_logout_redirect_uri": back}
    return with_query(url, query)


def with_query(url: str, query: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def endpoint(name: str) -> str:
    url = description().get(name, "")
    if not isinstance(url, str) or not re.fullmatch(URL, url.partition("?")[0]):
        raise away()
    return url


def description() -> dict[str, Any]:
    try:
        provider: Provider = current_app.extensions["oidc"]
        return provider.describe()
    except ServiceUnavailable as error:
        raise away() from error


def away() -> ServiceUnavailable:
    return ServiceUnavailable(_("The provider does not answer."), retry_after=AGAIN)
