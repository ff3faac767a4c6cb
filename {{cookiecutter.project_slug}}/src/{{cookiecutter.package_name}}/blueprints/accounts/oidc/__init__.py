"""Sign in with an identity of the provider. It identifies the user; an address alone never does.

An unknown identity makes a new user. If its address has an account, the person signs in as usual instead, and links the
identity on a page of the account.
"""

import re
from datetime import UTC, datetime
from time import time

import structlog
from flask import Blueprint, Flask, abort, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ForeignKey, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from ....extensions.accounts.throttle import digest, now
from ....extensions.email import ADDRESS
from ....extensions.i18n import gettext as _
from ....extensions.i18n import lazy_gettext as _l
from ....extensions.oidc import pages
from ....extensions.pages import no_store
from ....extensions.sqlalchemy import Base, UTCDateTime, conflict, db
from .. import show, signed_in, users
from ..forms import ButtonForm
from ..models import User
from ..users import current_user, login_required, recent_sign_in_required

#: Seconds for which an identity waits to be linked.
PATIENCE = 900

bp = Blueprint("identities", __name__, url_prefix="/account/identities")
bp.after_request(no_store)


class Identity(Base):
    """An identity of the provider, and whose it is."""

    __tablename__ = "identities"

    #: A digest of issuer and subject, which together are too long for an index.
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: For display only.
    name: Mapped[str] = mapped_column(String(254))
    created: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class People:
    """What becomes of those who come back from the provider."""

    def arrive(self, identity: pages.Identity, target: str) -> ResponseReturnValue:
        known = db.session.get(Identity, key_of(identity.issuer, identity.subject))
        if known:
            return enter(db.session.get_one(User, known.user_id), identity, target)
        if current_user:
            session["identity"] = identity.issuer, identity.subject, name_of(identity), int(time())
            return redirect(url_for("identities.link"), 303)
        email = users.normal_email(identity.email)
        if not re.fullmatch(ADDRESS, email) or users.find(email):
            structlog.get_logger().info("sign_in_refused", reason="unknown identity")
            flash(_("Sign in as usual, or sign up, and link this identity on the page of your account."))
            return redirect(url_for("accounts.sign_in", next=url_for("identities.index")), 303)
        # Without a password: a mail with a link lets them choose one.
        user = User(email=email, password="")
        db.session.add(user)
        with conflict(_("Start again.")):  # The same person, twice at the same time
            db.session.flush()
            add(user, identity.issuer, identity.subject, name_of(identity))
        return enter(user, identity, target)

    def leave(self) -> None:
        users.sign_out()
        db.session.commit()


def init_app(app: Flask) -> None:
    app.extensions["oidc_people"] = People()
    users.taken_back.connect(forget, app)
    if not pages.is_offered(app):
        return
    app.extensions["sign_in_links"] += [(_l("Sign in at the identity provider"), "oidc.sign_in")]
    app.extensions["account_links"] += [(_l("Identities"), "identities.index")]


def enter(user: User, identity: pages.Identity, target: str) -> ResponseReturnValue:
    """Sign in. The provider says when the user last authenticated; sensitive changes may need that to be recent."""
    response = signed_in(user, target=target or url_for("account.index"))
    if here := users.current_sign_in():
        here.confirmed = datetime.fromtimestamp(identity.proven, UTC)
        db.session.commit()
    return response


def forget(app: Flask, user: User) -> None:
    """Remove the identities of somebody who takes the account back."""
    db.session.execute(delete(Identity).where(Identity.user_id == user.id))


def key_of(issuer: str, subject: str) -> str:
    return digest(f"{issuer} {subject}")


def name_of(identity: pages.Identity) -> str:
    return (identity.email or identity.name or identity.subject)[:254]


def add(user: User, issuer: str, subject: str, name: str) -> None:
    db.session.add(Identity(id=key_of(issuer, subject), user_id=user.id, name=name))
    db.session.flush()


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """Show the identities of the account."""
    own = select(Identity).where(Identity.user_id == current_user.id).order_by(Identity.created)
    return render_template("accounts/oidc/identities.html", identities=db.session.scalars(own).all())


@bp.route("/link", methods=["GET", "POST"])
@recent_sign_in_required
def link() -> ResponseReturnValue:
    """Link the identity with which somebody has come back, once they have seen which: it may be a trap of somebody else's."""
    issuer, subject, name, since = session.get("identity", ("", "", "", 0))
    if since < time() - PATIENCE:
        return redirect(url_for(".index"))
    form = ButtonForm()
    if not form.validate_on_submit():
        about = _("Whoever is %(name)s at the provider will be able to sign in to this account.", name=name)
        return show(form, _("Link this identity?"), _("Link"), about=about)
    session.pop("identity")
    with conflict(_("This identity has an account.")):
        add(current_user, issuer, subject, name)
    users.tell(current_user, _("An identity was linked."))
    db.session.commit()
    flash(_("The identity is linked."))
    return redirect(url_for(".index"), 303)


@bp.route("/<key>/remove", methods=["GET", "POST"])
@recent_sign_in_required
def remove(key: str) -> ResponseReturnValue:
    found = db.session.get(Identity, key)
    if not found or found.user_id != current_user.id:
        abort(404)
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Remove the identity"), _("Remove"), about=found.name)
    db.session.delete(found)
    users.tell(current_user, _("An identity was removed."))
    db.session.commit()
    flash(_("The identity is removed."))
    return redirect(url_for(".index"), 303)
