"""Who is signed in: passwords, devices, the decorators of views, and the second factor.

https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from time import time_ns
from typing import ParamSpec, TypeVar, cast

import sqlalchemy as sa
import structlog
from blinker import Namespace
from flask import abort, current_app, flash, g, redirect, request, session, url_for
from werkzeug.local import LocalProxy

from ...extensions.accounts.passwords import verify_password
from ...extensions.accounts.throttle import digest, now, prune
from ...extensions.email import send
from ...extensions.i18n import gettext as _
from ...extensions.pages import wants_page
from ...extensions.sqlalchemy import db
from .models import RecoveryCode, SignIn, User

P = ParamSpec("P")
R = TypeVar("R")

#: How long somebody stays signed in at most; how long a device may be idle that is remembered, and one that is not.
LIFETIME, REMEMBERED_IDLE, IDLE = timedelta(days=30), timedelta(days=14), timedelta(days=1)
#: How long after a sign-in sensitive changes are possible without a new one.
RECENT = timedelta(minutes=15)
#: How long a change of the address can be undone, and how many mails an address gets in a quarter of an hour.
UNDO, MAILS = timedelta(days=7), 5


#: Sent with the application and ``user`` when they take their account back. Receivers remove other ways to sign in.
taken_back = Namespace().signal("taken_back")


# Passwords


def take_back(user: User) -> None:
    user.passkeys.clear()
    taken_back.send(current_app._get_current_object(), user=user)  # type: ignore[attr-defined]


def set_password(user: User, hashed: str) -> None:
    """Change the password, and sign out all devices."""
    user.password = hashed
    sign_out_everywhere(user)


def check(email: str, password: str) -> User | None:
    """Return the user whose password this is. It takes as long where there is no such user."""
    email = normal_email(email)
    # Columns, because making an object of a row takes measurable time, which would reveal that there is a user.
    row = db.session.execute(sa.select(User.email, User.password).where(User.email == email)).first()
    hashed = row.password if row and row.email == email else None
    renewed = verify_password(password, hashed)
    user = find(email) if renewed else None
    if not user or not renewed or user.password != hashed:
        return None
    user.password = renewed
    return user


def find(email: str) -> User | None:
    """Return the user of an address."""
    user = db.session.scalar(sa.select(User).where(User.email == normal_email(email)))
    # MySQL's collation takes similar letters, such as e and é, for the same.
    return user if user and user.email == normal_email(email) else None


def normal_email(email: str | None) -> str:
    return (email or "").strip().lower()


# Signed in


def sign_in(user: User, remember: bool = False) -> None:
    """Sign this device in. The session begins anew: what was in it before may be somebody else's."""
    sign_out()
    session["sign_in"] = key = secrets.token_urlsafe(32)
    session.permanent = remember
    row = SignIn(id=digest(key), user_id=user.id, remember=remember, device=request.user_agent.string[:200])
    prune(SignIn, SignIn.user_id == user.id, SignIn.created < now() - LIFETIME)
    db.session.add(row)
    db.session.flush()
    g.signed_in = user, row
    structlog.get_logger().info("signed_in", user=user.id)


def sign_out() -> None:
    """Sign this device out."""
    if key := session.get("sign_in"):
        db.session.execute(sa.delete(SignIn).where(SignIn.id == digest(key)))
    session.clear()
    g.pop("signed_in", None)


def sign_out_everywhere(user: User) -> None:
    """Sign out all devices of a user, and make the links of mails that were sent worth nothing."""
    user.links_since = time_ns()
    if user.id:
        db.session.execute(sa.delete(SignIn).where(SignIn.user_id == user.id))


def load() -> tuple[User | None, SignIn | None]:
    """Read who is signed in, once a request."""
    if "signed_in" not in g:
        g.signed_in = None, None
        # The session is asked only where there is a cookie: responses vary by it from then on.
        if "HTTP_COOKIE" in request.environ and (key := session.get("sign_in")):
            nothing_begun = not db.session.in_transaction()
            joined = sa.select(User, SignIn).join(SignIn, SignIn.user_id == User.id).where(SignIn.id == digest(key))
            row = db.session.execute(joined).first()
            if row and nothing_begun and row.SignIn.seen < now() - timedelta(minutes=5):
                db.session.rollback()
                note_that_it_was_seen(digest(key))
                row = db.session.execute(joined).first()
            if row and is_alive(row.SignIn):
                g.signed_in = row.User, row.SignIn
    return cast(tuple[User | None, SignIn | None], g.signed_in)


def note_that_it_was_seen(key: str) -> None:
    """In a transaction of its own, which ends nobody else's; in five minutes it is tried again."""
    with suppress(sa.exc.DBAPIError), db.sessionmaker() as own:
        sign_in = own.get(SignIn, key)
        if sign_in and is_alive(sign_in):
            sign_in.seen = now()
            own.commit()


def is_alive(sign_in: SignIn) -> bool:
    idle = REMEMBERED_IDLE if sign_in.remember else IDLE
    return sign_in.created > now() - LIFETIME and sign_in.seen > now() - idle


def current_sign_in() -> SignIn | None:
    return load()[1]


#: Who is signed in: ``if current_user:``, in templates, too. It is never None itself.
current_user = cast(User, LocalProxy(lambda: load()[0]))


def login_required(view: Callable[P, R]) -> Callable[P, R]:
    """Ask to sign in before this view; programs are answered 401."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if current_user:
            return view(*args, **kwargs)
        if request.method not in ("GET", "HEAD") or not wants_page():
            abort(401)
        return cast(R, redirect(url_for("accounts.sign_in", next=here())))

    return checked


def staff_required(view: Callable[P, R]) -> Callable[P, R]:
    """Ask to sign in before this view; who is no staff is answered 403."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not current_user.staff:
            abort(403)
        return view(*args, **kwargs)

    return login_required(checked)


def recent_sign_in_required(view: Callable[P, R]) -> Callable[P, R]:
    """Ask for the password again before this view, unless that was done in the last minutes."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        sign_in = current_sign_in()
        if sign_in and sign_in.confirmed > now() - RECENT:
            return view(*args, **kwargs)
        if request.method not in ("GET", "HEAD"):
            flash(_("Too much time has passed: confirm that it is you, and do it once more."))
        return cast(R, redirect(url_for("accounts.confirm", next=here()), 303))

    return login_required(checked)


def here() -> str:
    """The address of this page; after a form, of the page of the account."""
    if request.method not in ("GET", "HEAD"):
        return url_for("account.index")
    return f"{request.root_path}{request.full_path.rstrip('?')}"


def tell(user: User, what: str) -> None:
    """Tell somebody by mail that their account was changed, and the log, if that is committed."""
    structlog.get_logger().info("account_changed", user=user.id, what=what)
    send(user.email, _("Your account was changed"), "accounts/mails/changed", what=what)


# The second factor


def check_code(user: User, code: str) -> bool:
    """Whether this is a code of the user's application, or a recovery code, that was not used yet."""
    import pyotp

    code = code.replace(" ", "").lower()
    step = int(now().timestamp()) // 30
    for used in (step, step - 1, step + 1):  # Clocks differ.
        if user.totp_secret and pyotp.TOTP(user.totp_secret).verify(code, for_time=used * 30):
            later = sa.update(User).where(User.id == user.id, User.totp_step < used).values(totp_step=used)
            return db.session.connection().execute(later).rowcount == 1
    of_user = sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id)
    return db.session.connection().execute(of_user.where(RecoveryCode.id == digest(code))).rowcount == 1
