"""Challenges for passkeys, each of which is answered once. https://www.w3.org/TR/webauthn-3/#sctn-cryptographic-challenges"""

import secrets
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

from flask import abort, current_app, request, session

from ..i18n import gettext as _
from .throttle import PERIOD, once


def site() -> dict[str, str]:
    """What passkeys are bound to: the address of this site, and not what a request calls it."""
    origin = current_app.config["SITE_URL"]
    return {"expected_rp_id": urlsplit(origin).hostname or "", "expected_origin": origin}


def new_challenge() -> bytes:
    session["challenge"] = challenge, _made = secrets.token_urlsafe(32), time_ns()
    return challenge.encode()


def answered(verify: Any, **more: Any) -> Any:
    """Verify the answer to the challenge, which is used up by that, also if the answer is wrong."""
    from webauthn.helpers.exceptions import WebAuthnException

    challenge, made = session.pop("challenge", ("", 0))
    if made < time_ns() - PERIOD.total_seconds() * 10**9:
        abort(400, _("Start again."))
    once(f"challenge {challenge}")  # The cookie may be a copy.
    try:
        expected = {"expected_challenge": challenge.encode(), "require_user_verification": True} | site()
        return verify(credential=request.get_json(), **expected, **more)
    except (WebAuthnException, AttributeError, KeyError, TypeError, ValueError) as error:
        abort(422, _("The passkey was refused: %(why)s", why=error))
