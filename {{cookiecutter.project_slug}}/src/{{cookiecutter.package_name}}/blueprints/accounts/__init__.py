"""Accounts: to sign up, in and out, and to choose a new password. All of it is yours to change.

Nobody can find out who has an account: signing up and resetting a password do the same for every address. A mail with a
link goes to it, and whoever can read that mail chooses a password, for a new account or for the existing one.
"""

from time import time_ns
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from ...extensions.accounts.links import mail_link, read_link, stale
from ...extensions.accounts.passwords import hash_password
from ...extensions.accounts.throttle import forgive, limit, now
from ...extensions.i18n import gettext as _
from ...extensions.i18n import lazy_gettext as _l
from ...extensions.pages import next_page, no_store
from ...extensions.pages.forms import Form
from ...extensions.sqlalchemy import db
from . import commands, users
from .forms import ButtonForm, CodeForm, ConfirmForm, EmailForm, NewPasswordForm, SignInForm
from .models import User
from .users import current_user, login_required

if TYPE_CHECKING:
    from ...core.settings import Env

bp = Blueprint("accounts", __name__, url_prefix="/accounts", template_folder="templates", cli_group="accounts")
bp.after_request(no_store)
bp.cli.add_command(commands.staff)
bp.cli.add_command(commands.remove_second_factor)


def config(env: "Env") -> dict[str, Any]:
    hint = "Set it to where people find this site, without a path, such as https://www.example.com"
    site = env.text("SITE_URL", "http://localhost:8000", pattern=r"https?://[^\s/?#@]+/?", hint=hint)
    site = site.lower().rstrip("/")
    site = site.removesuffix(":443") if site.startswith("https:") else site  # as browsers write it
    if env.production and not site.startswith("https://"):
        env.refuse("SITE_URL", hint)
    keys = [key.strip() for key in env.text("SECRET_KEY_FALLBACKS", "").split(",") if key.strip()]
    if env.production and any(len(key.encode()) < 32 for key in keys):
        env.refuse(
            "SECRET_KEY_FALLBACKS", "Each must have been a SECRET_KEY: 32 bytes or more, with commas between them."
        )
    return {
        # Links in mails, and passkeys, are of this site, whatever a request says that it is called.
        "SITE_URL": site,
        # Keys of before, separated by commas: with them, a new SECRET_KEY signs nobody out.
        "SECRET_KEY_FALLBACKS": keys,
        "PERMANENT_SESSION_LIFETIME": users.LIFETIME,
        "SESSION_REFRESH_EACH_REQUEST": False,
    }


def init_app(app: Flask) -> None:
    if app.config["SESSION_COOKIE_SECURE"]:
        # Other hosts of the domain cannot set it. https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie
        app.config["SESSION_COOKIE_NAME"] = f"__Host-{app.config['SESSION_COOKIE_NAME']}"
    app.jinja_env.globals["current_user"] = current_user
    app.extensions["navigation"] += [(_l("Account"), "account.index")]
    # Labels and endpoints: other ways to sign in, on the pages that ask for a password; and further pages of the account.
    app.extensions["sign_in_links"] = app.jinja_env.globals["sign_in_links"] = []
    app.extensions["account_links"] = app.jinja_env.globals["account_links"] = []


def show(
    form: Form, title: str, button: str, template: str = "accounts/form.html", about: str = "", **more: Any
) -> ResponseReturnValue:
    """Show a form."""
    page = render_template(template, form=form, title=title, button=button, about=about, **more)
    return page, 422 if form.errors else 200


@bp.route("/sign-up", methods=["GET", "POST"])
def sign_up() -> ResponseReturnValue:
    """Ask for an address, and send a link to it."""
    return ask_for_address(_("Sign up"), _("Finish your sign-up"), "accounts/mails/sign-up")


@bp.route("/reset", methods=["GET", "POST"])
def reset() -> ResponseReturnValue:
    """Ask for an address, and send a link to it."""
    return ask_for_address(_("Reset your password"), _("Choose a new password"), "accounts/mails/reset")


def ask_for_address(title: str, subject: str, mail: str) -> ResponseReturnValue:
    form = EmailForm()
    if not form.validate_on_submit():
        return show(form, title, _("Send"))
    email = form.email.data
    limit("mail", email, users.MAILS)
    mail_link(email, subject, mail, "accounts.choose_password", email)
    flash(_("A mail with a link is on its way to you."))
    return redirect(url_for(".sign_in"), 303)


@bp.route("/password", methods=["GET", "POST"])
def choose_password() -> ResponseReturnValue:
    """Follow the link: choose a password, for a new account or for the existing one."""
    email, made = read_link()
    form = NewPasswordForm()
    hashed = hash_password(form.password.data) if form.validate_on_submit() else ""
    user = users.find(email)
    if user and user.links_since > made:
        stale()
    if not hashed:
        return show(form, _("Choose a password"), _("Save"), about=email, username=email)
    new = user is None
    user = user or User(email=email, passkeys=[])
    users.take_back(user)
    users.set_password(user, hashed)
    db.session.add(user)
    try:
        db.session.flush()
    except sa.exc.IntegrityError:  # The link was followed twice at the same time.
        db.session.rollback()
        stale()
    if not new:
        users.tell(user, _("The password was changed."))
    response = signed_in(user)
    flash(_("Welcome.") if new else _("Your password is changed, and all other devices are signed out."))
    return response


@bp.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> ResponseReturnValue:
    form = SignInForm()
    if form.validate_on_submit():
        email = form.email.data
        limit("sign-in", email)
        if user := users.check(email, form.password.data):
            forgive("sign-in", email)
            return signed_in(user, form.remember.data)
        structlog.get_logger().info("sign_in_refused")
        form.form_errors.append(_("The address or the password is wrong."))
    return show(form, _("Sign in"), _("Sign in"), "accounts/sign-in.html", next=request.args.get("next"))


def signed_in(user: User, remember: bool = False, proven: bool = False, target: str = "") -> ResponseReturnValue:
    """Sign a user in and go on, after the second factor if there is one.

    :param proven: whether the second factor was there, too.
    :param target: the page to go on with, if it is not ``next``.
    """
    target = target or next_page("account.index")
    if user.totp_secret and not proven:
        users.sign_out()
        session["halfway"] = [user.id, remember, time_ns()]
        db.session.commit()
        return redirect(url_for("accounts.second_factor", next=target), 303)
    users.sign_in(user, remember)
    db.session.commit()
    return redirect(target, 303)


@bp.route("/second-factor", methods=["GET", "POST"])
def second_factor() -> ResponseReturnValue:
    """Ask for a code, after the password."""
    user_id, remember, since = session.get("halfway", (0, False, 0))
    user = db.session.get(User, user_id)
    # Not after the password was changed in the meantime.
    if not user or since < max(time_ns() - 600 * 10**9, user.links_since):
        return redirect(url_for(".sign_in", next=request.args.get("next")))
    form = CodeForm()
    if form.validate_on_submit():
        limit("code", str(user.id))
        if users.check_code(user, form.code.data):
            forgive("code", str(user.id))
            return signed_in(user, remember, proven=True)
        form.form_errors.append(_("This code is wrong, or was used."))
    return show(form, _("Second factor"), _("Sign in"), about=_("The code of your application, or a recovery code."))


@bp.route("/confirm", methods=["GET", "POST"])
@login_required
def confirm() -> ResponseReturnValue:
    """Ask for the password again, before something that matters."""
    form = ConfirmForm()
    if form.is_submitted():
        limit("confirm", current_user.email)
    if not form.validate_on_submit():
        title, template = _("Confirm that it is you"), "accounts/confirm.html"
        return show(form, title, _("Go on"), template, username=current_user.email, next=next_page("account.index"))
    forgive("confirm", current_user.email)
    sign_in = users.current_sign_in() or abort(401)
    sign_in.confirmed = now()
    db.session.commit()
    return redirect(next_page("account.index"), 303)


@bp.route("/sign-out", methods=["GET", "POST"])
def sign_out() -> ResponseReturnValue:
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Sign out"), _("Sign out"))
    users.sign_out()
    db.session.commit()
    flash(_("You are signed out."))
    return redirect(url_for(".sign_in"), 303)
