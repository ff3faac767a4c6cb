"""The page of one's own account: devices, the address, the second factor, and passkeys."""

import secrets
from time import time_ns

import pyotp
import segno
import sqlalchemy as sa
from flask import Blueprint, abort, current_app, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue

from ...extensions.accounts.links import mail_link, read_link, stale
from ...extensions.accounts.passwords import hash_password
from ...extensions.accounts.throttle import digest, limit
from ...extensions.i18n import gettext as _
from ...extensions.pages import no_store
from ...extensions.sqlalchemy import conflict, db
from . import show, users
from .forms import ButtonForm, CodeForm, EmailForm, NewPasswordForm
from .models import RecoveryCode, SignIn, User
from .users import current_user, login_required, recent_sign_in_required

bp = Blueprint("account", __name__, url_prefix="/account")
bp.after_request(no_store)


@bp.get("")
@login_required
def index() -> ResponseReturnValue:
    """Show the account, and where it is signed in."""
    of_user = sa.select(SignIn).where(SignIn.user_id == current_user.id).order_by(SignIn.seen.desc())
    alive = [sign_in for sign_in in db.session.scalars(of_user) if users.is_alive(sign_in)]
    here = users.current_sign_in()
    return render_template("accounts/account.html", sign_ins=alive, here=here, button=ButtonForm())


@bp.post("/devices/<device>")
@login_required
def sign_out_device(device: str) -> ResponseReturnValue:
    """Sign a device out, or all others."""
    if not ButtonForm().validate_on_submit():
        abort(400)
    here = users.current_sign_in() or abort(401)
    of_user = sa.select(SignIn).where(SignIn.user_id == current_user.id, SignIn.id != here.id)
    for sign_in in db.session.scalars(of_user).all():
        if device in (sign_in.id, "others"):
            db.session.delete(sign_in)
    db.session.commit()
    flash(_("Signed out."))
    return redirect(url_for(".index"), 303)


@bp.route("/password", methods=["GET", "POST"])
@recent_sign_in_required
def change_password() -> ResponseReturnValue:
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return show(form, _("Change your password"), _("Change"), username=current_user.email)
    remember, user_id = session.permanent, current_user.id
    hashed = hash_password(form.password.data)
    user = db.session.get_one(User, user_id)
    users.set_password(user, hashed)
    users.sign_in(user, remember)
    users.tell(user, _("The password was changed."))
    db.session.commit()
    flash(_("Your password is changed. Other devices are signed out."))
    return redirect(url_for(".index"), 303)


@bp.route("/address", methods=["GET", "POST"])
@recent_sign_in_required
def change_address() -> ResponseReturnValue:
    """Ask for another address, and send a link to it."""
    form = EmailForm()
    if not form.validate_on_submit():
        return show(form, _("Change your address"), _("Send"), about=_("It is %(email)s.", email=current_user.email))
    email = form.email.data
    limit("mail", email, users.MAILS)
    template = "accounts/mails/address"
    mail_link(email, _("Confirm your address"), template, "account.confirm_address", current_user.id, email)
    flash(_("A mail with a link is on its way to the new address."))
    return redirect(url_for(".index"), 303)


@bp.route("/address/confirm", methods=["GET", "POST"])
@login_required
def confirm_address() -> ResponseReturnValue:
    """Follow the link in the mail."""
    user_id, new, made = read_link()
    user = db.session.get_one(User, current_user.id)
    if user.id != user_id or user.links_since > made:
        stale()
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Confirm your address"), _("Confirm"), about=_("It will be %(email)s.", email=new))
    old, user.email, user.links_since = user.email, new, time_ns()
    with conflict(_("This address has an account.")):
        db.session.flush()
    subject, template = _("Your address was changed"), "accounts/mails/address-changed"
    mail_link(old, subject, template, "account.restore_address", user.id, old)
    flash(_("Your address is changed."))
    return redirect(url_for(".index"), 303)


@bp.route("/address/restore", methods=["GET", "POST"])
def restore_address() -> ResponseReturnValue:
    """Follow the link in the mail to the old address: take back what somebody else has done."""
    user_id, old, _made = read_link(users.UNDO)
    user = db.session.get(User, user_id)
    if not user or user.email == old:
        stale()
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Take back the change"), _("Take back"), about=_("It will be %(email)s.", email=old))
    user.email, user.totp_secret = old, None
    users.take_back(user)
    users.sign_out_everywhere(user)
    with conflict(_("This address has an account.")):
        db.session.commit()
    flash(_("The address is yours again. Choose a new password."))
    return redirect(url_for("accounts.reset"), 303)


@bp.route("/second-factor", methods=["GET", "POST"])
@recent_sign_in_required
def add_second_factor() -> ResponseReturnValue:
    """Show a secret for an application, until a code of it is right; then recovery codes, once."""
    form = CodeForm()
    here = users.current_sign_in() or abort(401)
    if not (form.is_submitted() and here.totp_secret):
        here.totp_secret = pyotp.random_base32()
        db.session.commit()
    secret = here.totp_secret
    if form.validate_on_submit():
        user = db.session.get_one(User, current_user.id)
        user.totp_secret, user.totp_step = secret, 0
        db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
        if users.check_code(user, form.code.data):
            here.totp_secret = None
            codes = [secrets.token_hex(8) for _ in range(10)]
            db.session.add_all(RecoveryCode(id=digest(code), user_id=user.id) for code in codes)
            users.tell(user, _("A second factor was added."))
            db.session.commit()
            return render_template("accounts/recovery-codes.html", codes=codes)
        db.session.rollback()
        form.form_errors.append(_("This code is wrong. Is the clock of the device right?"))
    uri = pyotp.TOTP(secret).provisioning_uri(name=current_user.email, issuer_name=current_app.config["SITE_NAME"])
    image = segno.make(uri, error="m").svg_inline(scale=5, light="#fff")
    return show(form, _("Add a second factor"), _("Add"), "accounts/second-factor.html", image=image, secret=secret)


@bp.route("/second-factor/remove", methods=["GET", "POST"])
@recent_sign_in_required
def remove_second_factor() -> ResponseReturnValue:
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Remove the second factor"), _("Remove"))
    user = db.session.get_one(User, current_user.id)
    user.totp_secret = None
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    users.tell(user, _("The second factor was removed."))
    db.session.commit()
    flash(_("The second factor is removed."))
    return redirect(url_for(".index"), 303)
