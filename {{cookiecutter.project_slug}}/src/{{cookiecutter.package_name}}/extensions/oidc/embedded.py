"""A provider in the process, for development and tests where ``OIDC_ISSUER`` is unset. Production never imports it.

``flask oidc token ada --scope notes:read`` prints a token that this service accepts; no production does.
"""

from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from joserfc import jwt
from joserfc.jwk import ECKey, Key

from .provider import Provider, now

ISSUER = "http://localhost/embedded"
#: The key of development, in the folder in which the service was started: all of its processes share it.
FILE = Path("development.oidc.pem")
#: Seconds for which a token is valid.
LIFETIME = 3600

commands = AppGroup("oidc", help="The provider of development.")


def init_app(app: Flask) -> None:
    if app.config["APP_ENV"] not in ("development", "testing"):
        raise RuntimeError("Anybody could sign in.")
    app.extensions["oidc"] = Embedded(FILE if app.config["APP_ENV"] == "development" else None)
    app.cli.add_command(commands)


class Embedded(Provider):
    """It signs whatever it is asked to sign.

    :param file: of its key, which stays; None for a new key.
    """

    def __init__(self, file: Path | None) -> None:
        super().__init__(ISSUER)
        self.file = file

    @cached_property
    def own(self) -> ECKey:
        return shared(self.file) if self.file else ECKey.generate_key("P-256")

    def describe(self) -> dict[str, Any]:
        return {}

    def key(self, kid: str) -> Key | None:
        return self.own if kid == self.own.thumbprint() else None

    def sign(self, subject: str, *scopes: str, typ: str = "at+jwt", **claims: Any) -> str:
        """Return an access token."""
        payload = {"iss": ISSUER, "aud": current_app.config["OIDC_AUDIENCE"], "sub": subject, "scope": " ".join(scopes)}
        payload |= {"iat": now(), "exp": now() + LIFETIME, "jti": token_hex(8)} | claims
        return jwt.encode({"alg": "ES256", "typ": typ, "kid": self.own.thumbprint()}, payload, self.own)


def shared(file: Path) -> ECKey:
    """The key in a file, which is made if it is missing. If several processes make it, all use that of the first."""
    if not file.exists():
        made = file.with_name(f"{file.name}.{token_hex(4)}")
        made.touch(mode=0o600)
        made.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
        with suppress(FileExistsError):
            file.hardlink_to(made)
        made.unlink()
    return ECKey.import_key(file.read_bytes())


@commands.command()
@click.argument("subject")
@click.option("--scope", "scopes", multiple=True, help="What it may do, such as notes:read; several times for more.")
def token(subject: str, scopes: tuple[str, ...]) -> None:
    """Print an access token of SUBJECT: curl -H "Authorization: Bearer $(.venv/bin/flask oidc token ada --scope notes:read)"."""
    click.echo(current_app.extensions["oidc"].sign(subject, *scopes))
