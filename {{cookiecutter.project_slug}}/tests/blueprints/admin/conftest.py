"""Tables of these tests: a column of each type, and what it refers to."""

import enum
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import orm


class Scratch(orm.DeclarativeBase):
    """Models of these tests; those of the service subclass its own ``Base``."""


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Shelf(Scratch):
    __tablename__ = "scratch_shelves"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True)

    sign: orm.Mapped["Sign | None"] = orm.relationship()

    def __str__(self) -> str:
        return self.name


class Sign(Scratch):
    """It has the key of the shelf that it belongs to."""

    __tablename__ = "scratch_signs"

    shelf_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("scratch_shelves.id"), primary_key=True)


class Thing(Scratch):
    __tablename__ = "scratch_things"

    id: orm.Mapped[UUID] = orm.mapped_column(primary_key=True, default=uuid4)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(40), unique=True)
    about: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    small: orm.Mapped[int | None] = orm.mapped_column(sa.SmallInteger, sa.CheckConstraint("small <> 13"))
    count: orm.Mapped[int | None]
    large: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    weight: orm.Mapped[float | None] = orm.mapped_column(sa.Double)
    price: orm.Mapped[Decimal | None] = orm.mapped_column(sa.Numeric(12, 2))
    sold: orm.Mapped[bool] = orm.mapped_column(default=False)
    checked: orm.Mapped[bool | None]
    colour: orm.Mapped[Colour | None] = orm.mapped_column(sa.Enum(Colour, native_enum=False, length=10))
    size: orm.Mapped[Literal["small", "large"]] = orm.mapped_column(default="small")
    day: orm.Mapped[date | None]
    at: orm.Mapped[time | None]
    moment: orm.Mapped[datetime | None] = orm.mapped_column(sa.DateTime(timezone=True))
    code: orm.Mapped[UUID | None]
    data: orm.Mapped[Any | None] = orm.mapped_column(sa.JSON)
    lasts: orm.Mapped[timedelta | None] = orm.mapped_column(sa.Interval)
    shelf_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("scratch_shelves.id"))
    secret: orm.Mapped[str] = orm.mapped_column(sa.String(40), default="kept")
    picture: orm.Mapped[bytes | None]
    version: orm.Mapped[int] = orm.mapped_column(default=1)

    shelf: orm.Mapped[Shelf | None] = orm.relationship()


class Elsewhere(orm.DeclarativeBase):
    """A base of its own, so that no database has to have the table."""


class Tags(Elsewhere):
    __tablename__ = "scratch_tags"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    tags: orm.Mapped[Any] = orm.mapped_column(sa.ARRAY(sa.Integer))


HIDDEN = {"id", "secret", "picture", "version"}
SHOWN = [column.key for column in sa.inspect(Thing).column_attrs if column.key not in HIDDEN]


@pytest.fixture(scope="module")
def tables(engine_of_tests: sa.Engine) -> Iterator[SimpleNamespace]:
    Scratch.metadata.drop_all(engine_of_tests)
    Scratch.metadata.create_all(engine_of_tests)
    yield SimpleNamespace(Thing=Thing, Shelf=Shelf, Sign=Sign, Odd=Tags)
    Scratch.metadata.drop_all(engine_of_tests)


@pytest.fixture
def admin(package: ModuleType) -> ModuleType:
    return import_module(".blueprints.admin", package.__name__)


@pytest.fixture
def things(tables: SimpleNamespace, app: Flask, admin: ModuleType) -> Any:
    """The model ``Thing``, which ``app`` administrates, and ``Shelf``."""
    admin.add(app, admin.Section(Shelf, ["name"], ["name"], search=["name"]))
    filters = ["sold", "checked", "colour", "shelf_id", "count", "code"]
    admin.add(app, admin.Section(Thing, SHOWN, SHOWN, search=["name", "about"], filters=filters))
    return tables


@pytest.fixture
def thing(things: Any, create: Callable[..., Any]) -> Any:
    return create(Thing, name="Lamp")


@pytest.fixture
def changes(admin: ModuleType) -> Iterator[list[dict[str, Any]]]:
    """What the signal has told."""
    found: list[dict[str, Any]] = []

    def note(sender: object, **about: Any) -> None:
        found.append(about)

    with admin.admin_change.connected_to(note):
        yield found
