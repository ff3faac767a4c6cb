"""OpenID Connect: the provider that this service trusts. ``provider.py`` has its keys, ``api.py`` reads access tokens, and
``pages/``, where there are pages, signs people in.

There is no ``ready()``: while the provider is away, the service goes on with the keys that it has read.
https://openid.net/specs/openid-connect-core-1_0.html
"""

from typing import TYPE_CHECKING, Any

from flask import Flask

from .provider import URL, Provider

if TYPE_CHECKING:
    from ...core.settings import Env

ISSUER = "Set it to the issuer as the provider writes it, such as https://id.example.com/realms/shop"
AUDIENCE = "Set it to the name of this service at the provider, such as https://api.example.com"


def config(env: "Env") -> dict[str, Any]:
    issuer = env.text("OIDC_ISSUER", "", pattern=f"(?:{URL})?", hint=ISSUER)
    audience = env.text("OIDC_AUDIENCE", "", pattern=r"\S*", hint=AUDIENCE)
    if env.production and not issuer:
        env.refuse("OIDC_ISSUER", ISSUER)
    if (env.production or issuer) and not audience:
        env.refuse("OIDC_AUDIENCE", AUDIENCE)
    return {
        "OIDC_ISSUER": issuer,
        # In development, that of ``flask oidc token``.
        "OIDC_AUDIENCE": audience or "development",
        "OIDC_TOKEN_TYPE": env.text("OIDC_TOKEN_TYPE", "at+jwt", pattern=r"at\+jwt|jwt", hint="Must be at+jwt or jwt."),
    }


def init_app(app: Flask) -> None:
    if issuer := app.config["OIDC_ISSUER"]:
        app.extensions["oidc"] = Provider(issuer)
    else:
        # Imported here, because production never needs it: ``config`` refuses.
        from . import embedded

        embedded.init_app(app)
