"""The example with pages: notes to list, search, read, write and delete."""

from uuid import UUID

from flask import Blueprint, Flask, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import delete as delete_from
from sqlalchemy import or_, select, update
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from .....extensions.i18n import gettext as _
from .....extensions.i18n import lazy_gettext as _l
from .....extensions.pages.forms import Form
from .....extensions.sqlalchemy import db
from .. import NoteRow, changed

bp = Blueprint("note_pages", __name__, url_prefix="/notes", template_folder="templates")

#: Notes on a page of the list.
PAGE_SIZE = 20
CONFLICT = _l(
    "Somebody else has changed this note since you opened it. Below is what you wrote; above, what it is now."
)


class NoteForm(Form):
    title = StringField(_l("Title"), [InputRequired(), Length(max=80)])
    text = TextAreaField(_l("Text"), [Length(max=10_000)])
    version = HiddenField()  # of the note that was shown


class Deletion(Form):
    version = HiddenField()


def init_app(app: Flask) -> None:
    app.extensions["navigation"] += [(_l("Notes"), "note_pages.index")]


@bp.get("")
def index() -> ResponseReturnValue:
    """List the notes, the newest first; ``q`` searches, ``before`` is the last one of the page before."""
    words, before = request.args.get("q", "").replace("\0", ""), request.args.get("before", type=UUID)
    notes = select(NoteRow).order_by(NoteRow.id.desc()).limit(PAGE_SIZE + 1)
    for word in words.split()[:10]:
        notes = notes.where(
            or_(*(field.icontains(word[:80], autoescape=True) for field in (NoteRow.title, NoteRow.text)))
        )
    if before:
        notes = notes.where(NoteRow.id < before)
    found = db.session.scalars(notes).all()
    more = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
    return render_template("notes/index.html", notes=found[:PAGE_SIZE], words=words, before=before, more=more)


@bp.get("/<uuid:note_id>")
def read(note_id: UUID) -> ResponseReturnValue:
    """Show a note."""
    return render_template("notes/note.html", note=find(note_id))


@bp.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """Write a note."""
    form = NoteForm()
    if form.validate_on_submit():
        note = NoteRow(title=form.title.data, text=form.text.data)
        db.session.add(note)
        db.session.flush()
        target = url_for(".read", note_id=note.id)
        db.session.commit()
        flash(_("The note is saved."))
        return redirect(target, 303)
    return render_template("notes/edit.html", form=form, note=None), 422 if form.errors else 200


@bp.route("/<uuid:note_id>/edit", methods=["GET", "POST"])
def edit(note_id: UUID) -> ResponseReturnValue:
    """Change a note, unless somebody else has changed it in the meantime: then show both."""
    note = find(note_id)
    form = NoteForm(obj=note)
    if not form.validate_on_submit():
        return render_template("notes/edit.html", form=form, note=None), 422 if form.errors else 200
    values = {"title": form.title.data, "text": form.text.data, "version": note.version + 1}
    if form.version.data == str(note.version) and changed(update(NoteRow).values(values), note_id, note.version):
        flash(_("The note is saved."))
        return redirect(url_for(".read", note_id=note_id), 303)
    return conflict(form, note_id, "notes/edit.html")


@bp.route("/<uuid:note_id>/delete", methods=["GET", "POST"])
def delete(note_id: UUID) -> ResponseReturnValue:
    """Ask, and then delete a note."""
    note = find(note_id)
    form = Deletion(obj=note)
    if not form.validate_on_submit():
        return render_template("notes/delete.html", form=form, note=note), 422 if form.errors else 200
    if form.version.data == str(note.version) and changed(delete_from(NoteRow), note_id, note.version):
        flash(_("The note is deleted."))
        return redirect(url_for(".index"), 303)
    return conflict(form, note_id, "notes/delete.html")


def find(note_id: UUID) -> NoteRow:
    return db.session.get(NoteRow, note_id) or abort(404)


def conflict(form: Form, note_id: UUID, template: str) -> ResponseReturnValue:
    """Show the form again, with the note as it is now: who sends it once more has seen that."""
    note = find(note_id)
    form.version.data = note.version
    form.form_errors.append(CONFLICT)
    return render_template(template, form=form, note=note), 409
