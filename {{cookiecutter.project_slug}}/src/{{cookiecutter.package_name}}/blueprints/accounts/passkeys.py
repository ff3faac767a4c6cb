"""Passkeys: to sign in by a key that the device keeps, and a finger or a face unlocks. They need no second factor.

https://www.w3.org/TR/webauthn-3/, https://duo-labs.github.io/py_webauthn/
"""

from flask import Blueprint, Response, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ...extensions.accounts.challenges import answered, new_challenge, site
from ...extensions.accounts.throttle import digest
from ...extensions.i18n import gettext as _
from ...extensions.pages import next_page
from ...extensions.sqlalchemy import conflict, db
from . import show, signed_in, users
from .forms import ButtonForm
from .models import Passkey, User
from .users import current_user, recent_sign_in_required

bp = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")


@bp.post("/new")
@recent_sign_in_required
def offer() -> ResponseReturnValue:
    """Say what a new passkey has to be."""
    # Imported here, because it takes longer than everything else.
    import webauthn
    from webauthn.helpers import structs

    choice = structs.AuthenticatorSelectionCriteria(
        resident_key=structs.ResidentKeyRequirement.REQUIRED,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    options = webauthn.generate_registration_options(
        rp_id=site()["expected_rp_id"],
        rp_name=current_app.config["SITE_NAME"],
        user_id=str(current_user.id).encode(),
        user_name=current_user.email,
        challenge=new_challenge(),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=key.credential) for key in current_user.passkeys],
        authenticator_selection=choice,
    )
    return Response(webauthn.options_to_json(options), mimetype="application/json")


@bp.post("")
@recent_sign_in_required
def add() -> ResponseReturnValue:
    import webauthn

    made = answered(webauthn.verify_registration_response)
    key = Passkey(id=digest(made.credential_id), credential=made.credential_id, key=made.credential_public_key)
    key.user_id, key.count = current_user.id, made.sign_count
    db.session.add(key)
    with conflict(_("This passkey is known.")):
        db.session.flush()
    users.tell(current_user, _("A passkey was added."))
    db.session.commit()
    flash(_("The passkey is added."))
    return {"next": url_for("account.index")}, 201


@bp.route("/<key_id>/remove", methods=["GET", "POST"])
@recent_sign_in_required
def remove(key_id: str) -> ResponseReturnValue:
    key = next((key for key in current_user.passkeys if key.id == key_id), None) or abort(404)
    form = ButtonForm()
    if not form.validate_on_submit():
        return show(form, _("Remove the passkey"), _("Remove"))
    db.session.delete(key)
    users.tell(current_user, _("A passkey was removed."))
    db.session.commit()
    flash(_("The passkey is removed."))
    return redirect(url_for("account.index"), 303)


@bp.post("/challenge")
def challenge() -> ResponseReturnValue:
    """Begin to sign in."""
    import webauthn
    from webauthn.helpers.structs import UserVerificationRequirement

    options = webauthn.generate_authentication_options(
        rp_id=site()["expected_rp_id"],
        challenge=new_challenge(),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Response(webauthn.options_to_json(options), mimetype="application/json")


@bp.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    import webauthn

    given = request.get_json()
    try:
        raw = webauthn.base64url_to_bytes(given["rawId"])
    except (KeyError, TypeError, ValueError, AttributeError):
        abort(400)
    key = db.session.get(Passkey, digest(raw)) or abort(422, _("This passkey is unknown."))
    done = answered(
        webauthn.verify_authentication_response,
        credential_public_key=key.key,
        credential_current_sign_count=key.count,
    )
    key.count = done.new_sign_count
    signed_in(db.session.get_one(User, key.user_id), proven=True)
    return {"next": next_page("account.index")}
