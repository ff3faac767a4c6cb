"""Administration: staff list, search, make, change and delete rows of the database, at ``/admin``. It is yours to change.

Your next model is a line in ``init_app`` below. What is not named there is not in the administration.
"""

from typing import Any

import sqlalchemy as sa
import structlog
from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.local import LocalProxy

from ...extensions.pages import no_store
from ...extensions.pages.forms import Form
from ...extensions.sqlalchemy import db
from ...signals import events
from ..accounts.models import User
from ..accounts.users import current_user, recent_sign_in_required, staff_required
from .sections import MAX_PAGES, PAGE_SIZE, Section

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates")
bp.after_request(no_store)

#: Sent after a row was made, changed or deleted, with the application as the sender and ``user`` (the id of who did it),
#: ``action`` (create, change or delete), ``table``, ``key`` and ``fields`` (the names of those that were changed).
admin_change = events.signal("admin_change")

CONFLICT = "Somebody else has changed this since you opened it. Above is what it is now; to save or delete it, send this again."
REFUSED = "The database refuses this: a value is taken, refers to nothing, or breaks a rule of the table."
REFERRED = "The database refuses this: other rows refer to this one."
#: A broken CHECK, on MySQL and on MariaDB: their driver takes it for a failure of the server.
CHECKS = (3819, 4025)


def init_app(app: Flask) -> None:
    app.extensions["admin"] = {}
    add(app, Section(User, ["email", "staff", "created"], ["staff"], search=["email"], filters=["staff"], guarded=True))
    # Your next model goes here: add(app, Section(Order, columns=["number", "paid"], fields=["number"])).
    entries = app.extensions["navigation"]
    app.jinja_env.globals["navigation"] = LocalProxy(lambda: entries + [("Administration", "admin.index")] * is_staff())


def add(app: Flask, section: Section) -> None:
    """Add a model to the administration."""
    app.extensions["admin"][section.name] = section


def is_staff() -> bool:
    try:
        return bool(current_user and current_user.staff)
    except sa.exc.SQLAlchemyError:  # On the page that tells that the database is away.
        return False


@bp.before_request
@staff_required
def only_staff() -> None:
    """Let nobody else see any page of the administration."""


@bp.get("")
def index() -> ResponseReturnValue:
    return render_template("admin/index.html", sections=current_app.extensions["admin"].values())


@bp.get("/<name>")
def rows(name: str) -> ResponseReturnValue:
    """List rows: ``q`` searches, ``order`` is a column (after a ``-``, downwards), ``is-…`` a filter."""
    section = find_section(name)
    filters = section.filter_form(request.args)
    words, order = request.args.get("q", ""), request.args.get("order", "")
    page = min(max(request.args.get("page", 1, type=int), 1), MAX_PAGES)
    valid = filters.validate()
    found = section.rows(words, filters, order, page) if valid else []
    kept = {"q": words, "order": order} | {field.name: request.args.get(field.name, "") for field in filters}

    def link(**changes: Any) -> str:
        args = {key: value for key, value in (kept | changes).items() if value}
        return url_for(".rows", name=name, **args)

    about = {"section": section, "filters": filters, "words": words, "order": order, "page": page, "link": link}
    more = len(found) > PAGE_SIZE and page < MAX_PAGES
    return render_template("admin/rows.html", rows=found[:PAGE_SIZE], more=more, **about), 200 if valid else 422


@bp.route("/<name>/new", methods=["GET", "POST"])
def create(name: str) -> ResponseReturnValue:
    section = find_section(name)
    return guarded(section, None) if section.makes else abort(404)


@bp.route("/<name>/change", methods=["GET", "POST"])
def change(name: str) -> ResponseReturnValue:
    """Show a row, and change it. Its key is ``key`` of the query string, where any text may stand."""
    section = find_section(name)
    return guarded(section, request.args.get("key", ""))


def guarded(section: Section, key: str | None) -> ResponseReturnValue:
    return (recent_sign_in_required(edit) if section.guarded else edit)(section, key)


def edit(section: Section, key: str | None) -> ResponseReturnValue:
    row = None if key is None else section.find(key, lock=request.method == "POST")
    form = section.form(row)
    if not form.validate_on_submit():
        return page_of(section, "edit", form, row)
    if is_stale(row, form):
        return page_of(section, "edit", form, row, conflict=True)
    changes = section.changes(row, form)
    target = section.model() if row is None else row
    for name, value in changes.items():
        setattr(target, name, value)
    if changes and row and "version" in form:
        row.version += 1
    db.session.add(target)
    if (changes or row is None) and not commit(section, target, "change" if row else "create", list(changes)):
        form.form_errors.append(REFUSED)
        return page_of(section, "edit", form, row)
    flash("It is saved.")
    return redirect(url_for(".rows", name=section.name), 303)


@bp.route("/<name>/delete", methods=["GET", "POST"])
@recent_sign_in_required
def delete(name: str) -> ResponseReturnValue:
    """Ask, and then delete a row."""
    section = find_section(name)
    row = section.find(request.args.get("key", ""), lock=request.method == "POST")
    form = section.deletion(row)
    if not form.validate_on_submit():
        return page_of(section, "delete", form, row)
    if is_stale(row, form):
        return page_of(section, "delete", form, row, conflict=True)
    db.session.delete(row)
    if not commit(section, row, "delete", []):
        form.form_errors.append(REFERRED)
        return page_of(section, "delete", form, row)
    flash("It is deleted.")
    return redirect(url_for(".rows", name=name), 303)


def find_section(name: str) -> Section:
    section: Section | None = current_app.extensions["admin"].get(name)
    return section or abort(404)


def is_stale(row: Any, form: Form) -> bool:
    """Whether somebody else has changed the row since the form was shown. Who sends it once more has seen that."""
    if "version" not in form or form["version"].data == str(row.version):
        return False
    form["version"].data = row.version
    form.form_errors.append(CONFLICT)
    return True


def page_of(section: Section, page: str, form: Form, row: Any, conflict: bool = False) -> ResponseReturnValue:
    status = 409 if conflict else 422 if form.errors else 200
    template = f"admin/{page}.html"
    return render_template(template, section=section, form=form, row=row, conflict=conflict), status


def commit(section: Section, row: Any, action: str, changed: list[str]) -> bool:
    """Commit, and tell what was done, without any value; False if the database refuses it."""
    about = {"action": action, "table": section.name, "fields": sorted(changed), "user": current_user.id}
    try:
        db.session.flush()
        about["key"] = str(sa.inspect(row).identity[0])
        db.session.commit()
    # SQLAlchemy asserts that no row that belongs to this one needs it for its own key.
    except (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.OperationalError, AssertionError) as error:
        db.session.rollback()
        if isinstance(error, sa.exc.OperationalError) and (not error.orig or error.orig.args[0] not in CHECKS):
            raise
        return False
    structlog.get_logger().info("admin_change", **about)
    admin_change.send(current_app._get_current_object(), **about)  # type: ignore[attr-defined]
    return True
