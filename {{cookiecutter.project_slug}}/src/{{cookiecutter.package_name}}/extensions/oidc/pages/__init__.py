"""Sign in at the provider, by a link to ``oidc.sign_in``. Whoever has signed in is ``current_identity``.

``@sign_in_required`` asks for it before a view. Where the service has accounts, those know who is signed in instead.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import structlog
from flask import Blueprint, Flask, abort, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.local import LocalProxy

from ...i18n import lazy_gettext as _l
from ...pages import next_page, no_store, wants_page
from ...pages.forms import Form
from ..provider import now

if TYPE_CHECKING:
    from ....core.settings import Env

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which somebody stays signed in: the session is a cookie, which the service cannot revoke.
LIFETIME = 12 * 3600

bp = Blueprint("oidc", __name__, url_prefix="/oidc", template_folder="templates")
bp.after_request(no_store)


@dataclass(frozen=True)
class Identity:
    """A user of the provider, identified by ``issuer`` and ``subject``: an address may pass to somebody else."""

    issuer: str
    subject: str
    #: Empty unless the provider has verified it.
    email: str = ""
    name: str = ""
    #: When they last authenticated, in seconds since 1970; 0 if the provider did not say.
    proven: int = 0


class Visitors:
    """Who is signed in, kept in the session."""

    def arrive(self, identity: Identity, target: str) -> ResponseReturnValue:
        """Go on when somebody has signed in. The session begins anew: its data may be somebody else's."""
        session.clear()
        session["oidc"] = asdict(identity), now() + LIFETIME
        structlog.get_logger().info("signed_in")
        return redirect(target or url_for("oidc.account"), 303)

    def leave(self) -> None:
        session.clear()


def config(env: "Env") -> dict[str, Any]:
    client = env.text("OIDC_CLIENT_ID", "")
    if client and client == env.text("OIDC_AUDIENCE", "") and env.text("OIDC_TOKEN_TYPE", "at+jwt") == "jwt":
        env.refuse("OIDC_AUDIENCE", "Must not be OIDC_CLIENT_ID: the API would take ID tokens for access tokens.")
    return {"OIDC_CLIENT_ID": client, "OIDC_CLIENT_SECRET": env.text("OIDC_CLIENT_SECRET", "")}


def init_app(app: Flask) -> None:
    app.jinja_env.globals["current_identity"] = current_identity
    if not app.config["OIDC_ISSUER"]:
        # Imported here, because production does not get here.
        from . import embedded

        app.register_blueprint(embedded.bp)
    if "accounts" not in app.blueprints:
        app.extensions["oidc_people"] = Visitors()
        if is_offered(app):
            app.extensions["navigation"] += [(_l("Account"), "oidc.account")]


def is_offered(app: Flask) -> bool:
    """Whether people can sign in: the provider knows this site, or it is the provider of development."""
    return bool(app.config["OIDC_CLIENT_ID"] or not app.config["OIDC_ISSUER"])


@bp.before_request
def check_that_it_is_offered() -> None:
    if not is_offered(current_app):
        abort(404)


def load() -> Identity | None:
    if "HTTP_COOKIE" not in request.environ:
        return None
    identity, until = session.get("oidc", ({}, 0))
    return Identity(**identity) if until > now() else None


#: Who is signed in: ``if current_identity:``, in templates, too. It is never None itself.
current_identity = cast(Identity, LocalProxy(load))


def sign_in_required(view: Callable[P, R]) -> Callable[P, R]:
    """Ask to sign in before this view; programs are answered 401."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if current_identity:
            return view(*args, **kwargs)
        if request.method not in ("GET", "HEAD") or not wants_page():
            abort(401)
        here = f"{request.root_path}{request.full_path.rstrip('?')}"
        return cast(R, redirect(url_for("oidc.sign_in", next=here)))

    return checked


@bp.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Go to the provider, and come back to ``next``. With ``again``, everybody has to authenticate once more."""
    if "oidc_development" in current_app.blueprints:
        return redirect(url_for("oidc_development.choose", next=next_page() or None))
    from .flow import begin  # Imported here, because it imports this module.

    return redirect(begin(next_page(), again="again" in request.args))


@bp.get("/callback")
def callback() -> ResponseReturnValue:
    """Come back from the provider."""
    from .flow import finish

    identity, target = finish()
    answer: ResponseReturnValue = current_app.extensions["oidc_people"].arrive(identity, target)
    return answer


@bp.get("/account")
@sign_in_required
def account() -> ResponseReturnValue:
    """Show who is signed in."""
    return render_template("oidc/account.html")


@bp.route("/sign-out", methods=["GET", "POST"])
def sign_out() -> ResponseReturnValue:
    """Sign out here. The policy lets no form lead to the provider: to sign out there is a link on the next page."""
    form = Form()
    if not form.validate_on_submit():
        return render_template("oidc/sign-out.html", form=form), 422 if form.errors else 200
    current_app.extensions["oidc_people"].leave()
    return redirect(url_for(".signed_out"), 303)


@bp.get("/signed-out")
def signed_out() -> ResponseReturnValue:
    from .flow import end_of_session

    return render_template("oidc/signed-out.html", link=end_of_session())
