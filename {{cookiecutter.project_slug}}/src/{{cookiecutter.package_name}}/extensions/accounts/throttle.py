"""How often something may be tried, counted in the database: in all processes of the service.

https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#login-throttling
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import sqlalchemy as sa
from flask import abort, request
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import TooManyRequests

from ..i18n import gettext as _
from ..sqlalchemy import Base, UTCDateTime, db

#: The period in which tries are counted.
PERIOD = timedelta(minutes=15)
#: The most tries in it: of one network for one account; of one network for all accounts; and of all networks for one
#: account: that is high, because otherwise anybody could lock anybody out.
EACH, NETWORK, ACCOUNT = 10, 50, 100


def now() -> datetime:
    return datetime.now(UTC)


class Attempt(Base):
    """A try, by a digest of who has tried what."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(64), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now, index=True)


def limit(what: str, account: str, account_most: int | None = None) -> None:
    """Count a try, and refuse it if there were too many. A try that is refused does not count.

    :raises TooManyRequests: with the time after which the first ones no longer count.
    """
    each, network, whole = keys(what, account)
    most = {each: EACH, network: NETWORK, whole: account_most or ACCOUNT}
    prune(Attempt, Attempt.at < now() - PERIOD)
    tries = [Attempt(key=key) for key in most]
    db.session.add_all(tries)
    db.session.commit()  # First, so that tries at the same time count each other.
    late = Attempt.key.in_(most), Attempt.at > now() - PERIOD
    counts = sa.select(Attempt.key, sa.func.count()).where(*late).group_by(Attempt.key)
    if any(count > most[key] for key, count in db.session.execute(counts)):
        prune(Attempt, Attempt.id.in_([a_try.id for a_try in tries]))
        db.session.commit()
        raise TooManyRequests(_("Too many tries. Wait a quarter of an hour."), retry_after=int(PERIOD.total_seconds()))


def forgive(what: str, account: str) -> None:
    """Forget the tries of this network for an account, and one try in the other two counts: people share networks."""
    each, network, whole = keys(what, account)
    prune(Attempt, Attempt.key == each)
    for key in (network, whole):
        prune(Attempt, Attempt.key == key, most=1)


def once(what: str) -> None:
    """Accept something once in the period.

    :raises BadRequest: the second time; if two come at once, for both.
    """
    key = digest(what)
    db.session.add(Attempt(key=key))
    db.session.commit()
    if db.session.scalar(sa.select(sa.func.count()).where(Attempt.key == key)) != 1:
        abort(400, _("Start again."))


def keys(what: str, account: str) -> tuple[str, str, str]:
    return digest(f"{what} {account} {network()}"), digest(f"{what} from {network()}"), digest(f"{what} {account}")


def network() -> str:
    """The address of the client. Of an IPv6 address, the first 64 bits: a client may use any address that begins so."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A socket that is a file.
        return ""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)


def digest(text: str | bytes) -> str:
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def prune(model: Any, *which: sa.ColumnElement[bool], most: int = 100) -> None:
    """Delete rows by their ids: MySQL would lock what is between them, too."""
    if ids := db.session.scalars(sa.select(model.id).where(*which).limit(most)).all():
        db.session.execute(sa.delete(model).where(model.id.in_(ids)))
