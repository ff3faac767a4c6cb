"""Form fields for the columns of a model, by their types."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from json import dumps, loads
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import wtforms
from sqlalchemy.orm import RelationshipProperty
from wtforms import validators, widgets

from ...extensions.pages.forms import Form
from ...extensions.sqlalchemy import db

#: Rows of another table that are offered to choose from. Of a larger table, the key is asked for.
CHOICES = 200


class Choice(wtforms.SelectField):  # type: ignore[misc]
    """One of some values, each by its name in the form: ``{"yes": True, "no": False}``."""

    def __init__(self, label: str, checks: list[Any], values: dict[str, Any], names: Any = (), **more: Any) -> None:
        choices = [wtforms.SelectChoice(key, dict(names).get(key, key)) for key in values]
        super().__init__(label, checks, coerce=lambda value: values.get(value, value), choices=choices, **more)


class Moment(wtforms.DateTimeLocalField):  # type: ignore[misc]
    """To the second: a part of it that the form does not show is kept unless the moment is changed."""

    def process_data(self, value: datetime | None) -> None:
        value = value and value.replace(microsecond=0)
        self.data = value.replace(tzinfo=self.tz) if value and self.tz and not value.tzinfo else value


class Time(wtforms.TimeField):  # type: ignore[misc]
    def process_data(self, value: time | None) -> None:
        self.data = value and value.replace(microsecond=0)


class Text(wtforms.Field):  # type: ignore[misc]
    """A value that is written as a text: ``write`` makes the text, and ``read`` raises if there is no such value."""

    widget = widgets.TextInput()
    wrong = ""

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else "" if self.data is None else self.write(self.data)

    def process_formdata(self, texts: list[str]) -> None:
        if texts:
            self.data = None
            try:
                self.data = self.read(texts[0].strip()) if texts[0].strip() else None
            except (ValueError, OverflowError, RecursionError):
                raise ValueError(self.wrong) from None


class UUIDText(Text):
    wrong = "This is no UUID."
    read, write = UUID, str


class Seconds(Text):
    """An interval. Databases without a type for it keep a moment, so it has an end."""

    wrong = "This is no number of seconds, or too many."

    def read(self, text: str) -> timedelta:
        if not abs(seconds := float(text)) <= 10**9:
            raise ValueError
        return timedelta(seconds=seconds)

    def write(self, value: timedelta) -> str:
        return f"{value.total_seconds():f}".rstrip("0").rstrip(".")


class JSON(Text):
    widget = widgets.TextArea()
    wrong = "This is no JSON."

    def read(self, text: str) -> Any:
        value = loads(text)
        dumps(value, allow_nan=False, ensure_ascii=False).encode()  # Python reads some that no database takes.
        return value

    def write(self, value: Any) -> str:
        return dumps(value, indent=2, ensure_ascii=False)


def between(least: Any, most: Any, decimals: int | None = None) -> Callable[[Form, wtforms.Field], None]:
    """Refuse a number that the column does not take."""

    def check(form: Form, field: wtforms.Field) -> None:
        number = field.data
        if number is None:
            return
        if (isinstance(number, Decimal) and not number.is_finite()) or not least <= number <= most:
            raise wtforms.ValidationError("This number is too large, too small, or none.")
        if decimals is not None and number != round(number, decimals):
            raise wtforms.ValidationError(f"This has more than {decimals} decimals.")

    return check


def field(name: str, column: sa.Column[Any], optional: bool, relation: RelationshipProperty[Any] | None = None) -> Any:
    """A field for a column.

    :param optional: whether it may be left empty.
    :param relation: that to the row of another table which the column refers to.
    """
    label = (relation.key if relation else name).replace("_", " ").capitalize()
    checks: list[Any] = [validators.Optional() if optional else validators.InputRequired()]
    empty = {"": None} if optional else {}
    kind: Any = column.type
    if isinstance(kind, sa.TypeDecorator) and not isinstance(kind, sa.Interval):
        kind = kind.impl_instance
    if relation and (rows := offered(relation)) is not None:
        names = {str(key): text for key, text in rows.items()}
        return Choice(label, checks, empty | {str(key): key for key in rows}, names)
    about = {"description": f"The key of one of {relation.target.description}."} if relation else {}
    if isinstance(kind, sa.Enum):
        members = kind.enum_class or kind.enums
        return Choice(label, checks, empty | dict(zip(kind.enums, members, strict=True)))
    if isinstance(kind, sa.JSON):
        return JSON(label, checks)
    python = kind.python_type
    if python is bool:
        yes_or_no = {"yes": True, "no": False}
        return Choice(label, checks, empty | yes_or_no) if optional else wtforms.BooleanField(label)
    if python is int:
        bits = 15 if isinstance(kind, sa.SmallInteger) else 63 if isinstance(kind, sa.BigInteger) else 31
        return wtforms.IntegerField(label, [*checks, between(-(2**bits), 2**bits - 1)], **about)
    if python is float:
        return wtforms.FloatField(label, [*checks, between(-sys.float_info.max, sys.float_info.max)])
    if python is Decimal:
        digits, decimals = kind.precision or 30, kind.scale or 0 if kind.precision else 10
        most = Decimal(10) ** (digits - decimals) - Decimal(10) ** -decimals
        return wtforms.DecimalField(label, [*checks, between(-most, most, decimals)], places=None)
    if python is datetime:
        formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        zone = UTC if kind.timezone else None
        return Moment(f"{label} (UTC)" if zone else label, checks, format=formats, tz=zone, render_kw={"step": 1})
    if python is time:
        return Time(label, checks, format=["%H:%M:%S", "%H:%M"], render_kw={"step": 1})
    if python is date:
        return wtforms.DateField(label, checks)
    if python is timedelta:
        return Seconds(label, checks, description="In seconds.")
    if python is UUID:
        return UUIDText(label, checks, **about)
    if python is not str:
        raise TypeError(f"There is no field for the type of {name}: {column.type!r}.")
    if length := getattr(kind, "length", None):
        checks.append(validators.Length(max=length))
    return (wtforms.TextAreaField if isinstance(kind, sa.Text) else wtforms.StringField)(label, checks, **about)


def offered(relation: RelationshipProperty[Any]) -> dict[Any, str] | None:
    """The rows of another table to choose from, by their keys; None if there are too many."""
    (remote,) = relation.remote_side
    key = relation.mapper.get_property_by_column(remote).key
    rows = db.session.scalars(sa.select(relation.mapper).order_by(remote).limit(CHOICES + 1)).all()
    return {getattr(row, key): name_of(row)[:80] for row in rows} if len(rows) <= CHOICES else None


def name_of(row: Any) -> str:
    """What a row is called: its model says it by ``__str__``."""
    key = ", ".join(map(str, sa.inspect(row).identity))
    return f"{type(row).__name__} {key}" if f"{row}" == object.__repr__(row) else f"{row}"
