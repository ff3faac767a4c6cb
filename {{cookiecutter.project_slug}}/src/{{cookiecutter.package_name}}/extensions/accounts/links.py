"""Links in mails. A link says what it is for, and when it was made: it is signed, and not secret."""

from datetime import timedelta
from time import time_ns
from typing import Any, NoReturn

from flask import abort, current_app, request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer

from ..email import send
from ..i18n import gettext as _
from ..sqlalchemy import db

#: How long a link works.
AGE = timedelta(hours=1)


def mail_link(to: str, subject: str, template: str, endpoint: str, *about: object) -> None:
    """Send a mail with a link to a page. ``read_link`` there returns ``about``, and when the link was made."""
    url = current_app.config["SITE_URL"] + url_for(endpoint, token=signer(endpoint).dumps([*about, time_ns()]))
    send(to, subject, template, url=url)
    db.session.commit()  # A worker sends what was committed.


def read_link(age: timedelta = AGE) -> list[Any]:
    """Return what the link to this page is about, and when it was made.

    :raises NotFound: if it is too old, or was not made here.
    """
    try:
        about: list[Any] = signer(str(request.endpoint)).loads(
            request.args.get("token", ""), max_age=int(age.total_seconds())
        )
    except BadData:
        stale()
    return about


def stale() -> NoReturn:
    abort(404, _("This link is too old, or was used. Ask for another one."))


def signer(purpose: str) -> URLSafeTimedSerializer:
    keys = [*current_app.config["SECRET_KEY_FALLBACKS"], current_app.config["SECRET_KEY"]]
    return URLSafeTimedSerializer(keys, salt=f"accounts.{purpose}")
