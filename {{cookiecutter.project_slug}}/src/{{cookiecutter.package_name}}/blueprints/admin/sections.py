"""A section of the administration: what is shown of a model, and what may be changed."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from flask import abort
from sqlalchemy import orm
from werkzeug.datastructures import MultiDict
from wtforms import HiddenField

from ...extensions.pages.forms import Form
from ...extensions.sqlalchemy import Base, db
from .fields import field as field_of
from .fields import name_of

#: Rows on a page, and how many pages of them one may turn: who looks for more had better search.
PAGE_SIZE, MAX_PAGES = 50, 1000


class Section:
    """A model in the administration. What is not named here is neither shown nor changed: no secret is there by default.

    :param columns: of the list, in this order. The first one says which row it is.
    :param fields: of the form. Without those that a new row needs, there is no form for new rows.
    :param search: columns with texts, in which the search looks.
    :param filters: columns by whose values the list can be cut down.
    :param form: a form with rules, or fields, of your own.
    :param guarded: whether a change needs a recent sign-in, as each deletion does.
    """

    def __init__(
        self,
        model: type[Base],
        columns: Sequence[str],
        fields: Sequence[str] = (),
        search: Sequence[str] = (),
        filters: Sequence[str] = (),
        form: type[Form] = Form,
        guarded: bool = False,
    ) -> None:
        self.model, self.mapper, self.name = model, sa.inspect(model), model.__tablename__
        self.columns, self.fields, self.search, self.filters = columns, fields, search, filters
        self.base, self.guarded = form, guarded
        self.title = self.name.replace("_", " ").capitalize()
        all_columns = self.mapper.columns
        for name in (*columns, *fields, *search, *filters):
            kind = all_columns[name].type if name in all_columns else None
            unfit = kind is None or isinstance(kind, sa.LargeBinary) or (name in filters and isinstance(kind, sa.JSON))
            if unfit or (name in search and (isinstance(kind, sa.Enum) or not isinstance(kind, sa.String))):
                raise ValueError(f"{model.__name__} has no column {name}, or none that can be shown or searched so.")
        key, *others = self.mapper.primary_key
        if others:
            raise ValueError(f"The key of {model.__name__} has more than one column.")
        self.key = self.mapper.get_property_by_column(key).key
        for name in (self.key, *fields, *filters):
            field_of(name, all_columns[name], optional=True)  # It raises for a type that has no field.
        #: By its column, a relation to one row of another table.
        self.relations = {
            self.mapper.get_property_by_column(column).key: relation
            for relation in self.mapper.relationships
            if relation.direction is orm.RelationshipDirection.MANYTOONE and len(relation.local_columns) == 1
            for column in relation.local_columns
        }
        needed = {name for name, column in all_columns.items() if not (column.nullable or self.fills(name))}
        self.makes = needed <= {*fields}
        self.sortable = [name for name in columns if not isinstance(all_columns[name].type, sa.JSON)]

    def fills(self, name: str) -> bool:
        """Whether a new row gets a value for this column if it is given none."""
        column = self.mapper.columns[name]
        numbered = column is self.mapper.local_table.autoincrement_column  # type: ignore[attr-defined]
        return bool(column.default or column.server_default or numbered)

    # The list

    def rows(self, words: str, filters: Form, order: str, page: int) -> Sequence[Any]:
        """The rows of a page, and one more if there is a next page."""
        shown = {*self.columns, self.key}
        statement = sa.select(self.model).options(orm.load_only(*(getattr(self.model, name) for name in shown)))
        related = [getattr(self.model, self.relations[name].key) for name in shown & self.relations.keys()]
        statement = statement.options(*map(orm.selectinload, related))
        for word in words.replace("\0", "").split()[:10]:
            texts = [getattr(self.model, name).icontains(word[:80], autoescape=True) for name in self.search]
            statement = statement.where(sa.or_(*texts))
        for name in self.filters:
            if (value := filters[attribute(name)].data) not in (None, ""):
                statement = statement.where(getattr(self.model, name) == value)
        name, key = order.removeprefix("-"), getattr(self.model, self.key)
        column = getattr(self.model, name) if name in self.sortable else key
        # The key at the end: rows that are equal keep their order from page to page.
        statement = statement.order_by(*((column.desc(), key.desc()) if order.startswith("-") else (column, key)))
        return db.session.scalars(statement.limit(PAGE_SIZE + 1).offset((page - 1) * PAGE_SIZE)).all()

    def filter_form(self, values: MultiDict[str, str]) -> Form:
        made = {attribute(name): self.field(name, optional=True) for name in self.filters}
        return form_of(Form, made)(values, prefix="is", meta={"csrf": False})

    def show(self, row: Any, name: str) -> str:
        """The value of a column, as people read it."""
        value = getattr(row, name)
        if value is not None and name in self.relations and (related := getattr(row, self.relations[name].key)):
            return name_of(related)
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M:%S") + (" UTC" if value.tzinfo else "")
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "" if value is None else value.name if isinstance(value, Enum) else str(value)

    def label(self, row: Any) -> str:
        """Which row it is."""
        return self.show(row, self.columns[0]) or str(getattr(row, self.key))

    # One row

    def find(self, key: str, lock: bool) -> Any:
        """Return a row, which nobody else changes until the transaction ends.

        :raises NotFound: if there is none.
        """
        form = form_of(Form, {"key": self.field(self.key)})(MultiDict({"key": key}), meta={"csrf": False})
        row = db.session.get(self.model, form["key"].data, with_for_update=lock) if form.validate() else None
        return row or abort(404)

    def form(self, row: Any | None, **formdata: None) -> Form:
        """A form for a row, or for a new one. It is made anew each time, as what may be chosen is.

        :param formdata: ``formdata=None`` makes it as it was shown.
        """
        made: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name in self.form_fields(row):
            column, default = self.mapper.columns[name], self.mapper.columns[name].default
            text, check = isinstance(column.type, sa.String), isinstance(column.type, sa.Boolean)
            optional = column.nullable or (self.fills(name) and (row is None or text) and not check)
            made[attribute(name)] = self.field(name, bool(optional))
            first = default.arg if isinstance(default, sa.ColumnDefault) and default.is_scalar else None
            values[attribute(name)] = getattr(row, name) if row else first
        if row and "version" in self.mapper.columns:
            made["version"], values["version"] = HiddenField(), row.version
        return form_of(self.base, made)(data=values, **formdata)

    def deletion(self, row: Any) -> Form:
        versioned = "version" in self.mapper.columns
        made = {"version": HiddenField()} if versioned else {}
        return form_of(Form, made)(data={"version": row.version} if versioned else {})

    def form_fields(self, row: Any | None) -> list[str]:
        """The fields of the form. The key of a row that exists stays as it is."""
        return [name for name in self.fields if row is None or name != self.key]

    def changes(self, row: Any | None, form: Form) -> dict[str, Any]:
        """What the form has that is new: other values than it was shown with."""
        shown = self.form(row, formdata=None)
        changes = {}
        for name in self.form_fields(row):
            column, new, old = self.mapper.columns[name], form[attribute(name)].data, shown[attribute(name)].data
            if new == "" and (column.nullable or (row is None and self.fills(name))):
                new = None
            if new != (None if row is None or (old == "" and column.nullable) else old):
                # A column with JSON has two kinds of nothing; this is that of the database.
                nothing = new is None and column.nullable and isinstance(column.type, sa.JSON)
                changes[name] = sa.null() if nothing else new
        return changes

    def field(self, name: str, optional: bool = False) -> Any:
        return field_of(name, self.mapper.columns[name], optional, self.relations.get(name))


def attribute(name: str) -> str:
    """What the field of a column is called: ``data_`` where forms have a ``data`` of their own."""
    return f"{name}_" if name in ("meta", "form_errors", "version") or hasattr(Form, name) else name


def form_of(base: type[Form], made: dict[str, Any]) -> type[Form]:
    """A form with these fields, but for those that the base has."""
    return type("RowForm", (base,), {name: field for name, field in made.items() if not hasattr(base, name)})
