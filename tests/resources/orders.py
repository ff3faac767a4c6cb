"""Orders of customers, with lines."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from flask import Blueprint, abort, url_for
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import ForeignKey, String, select, tuple_
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from ..extensions.api.contract import PRINTABLE, Created, Id, Input, Output, changed_fields, check_if_match, operation
from ..extensions.api.paging import Items, Page, decode_cursor, paginate
from ..extensions.api.validation import Invalid
from ..extensions.sqlalchemy import Base, UTCDateTime, db
from ..extensions.sqlalchemy.api import commit
from .customers import Customer

bp = Blueprint("orders", __name__, url_prefix="/api/v1")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    state: Mapped[str] = mapped_column(String(10), default="open")
    placed: Mapped[datetime] = mapped_column(UTCDateTime, default=lambda: datetime.now(UTC))
    lines: Mapped[list["Line"]] = relationship(cascade="all, delete-orphan", order_by="Line.id")


class Line(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    sku: Mapped[str] = mapped_column(String(40))
    count: Mapped[int]


State = Literal["open", "paid", "sent"]
Sku = Annotated[str, Meta(min_length=1, max_length=40, pattern=PRINTABLE)]
Count = Annotated[int, Meta(ge=1, le=1000)]


class LineIn(Input):
    sku: Sku
    count: Count = 1


class OrderIn(Input):
    customer_id: Id
    lines: Annotated[list[LineIn], Meta(min_length=1, max_length=100)]


class OrderPatch(Input):
    state: State | UnsetType = UNSET


class LineOut(Output):
    sku: Sku
    count: Count


class OrderOut(Output):
    id: Id
    customer_id: Id
    state: State
    placed: Annotated[datetime, Meta(tz=True)]
    lines: list[LineOut]


class OrderPage(Page):
    customer_id: Id | UnsetType = UNSET
    state: tuple[State, ...] = ()


@bp.get("/orders")
@operation(etag=True)
def list_orders(query: OrderPage) -> Items[OrderOut]:
    """List orders, the newest first, in pages."""
    found = select(Order).options(selectinload(Order.lines)).order_by(Order.placed.desc(), Order.id.desc())
    if last := decode_cursor(query.cursor, tuple[datetime, int]):
        found = found.where(tuple_(Order.placed, Order.id) < last)
    if query.customer_id is not UNSET:
        found = found.where(Order.customer_id == query.customer_id)
    if query.state:
        found = found.where(Order.state.in_(query.state))
    rows = db.session.scalars(found.limit(query.limit + 1))
    return paginate([OrderOut.of(row) for row in rows], query.limit, key=lambda order: (order.placed, order.id))


@bp.post("/orders")
@operation(etag=True)
def create_order(json: OrderIn) -> Created[OrderOut]:
    """Place an order."""
    if db.session.get(Customer, json.customer_id) is None:
        raise Invalid("There is no such customer.", pointer="#/customer_id")
    order = Order(customer_id=json.customer_id, lines=[Line(sku=line.sku, count=line.count) for line in json.lines])
    db.session.add(order)
    stored = commit(order, OrderOut)
    return Created(stored, url_for("orders.read_order", order_id=stored.id))


@bp.get("/orders/<int:order_id>")
@operation(etag=True)
def read_order(order_id: Id) -> OrderOut:
    """Read an order."""
    return OrderOut.of(db.session.get(Order, order_id) or abort(404))


@bp.patch("/orders/<int:order_id>")
@operation(errors=[409], etag=True)
def change_order(order_id: Id, json: OrderPatch) -> OrderOut:
    """Change the state of an order that was not sent."""
    order = locked(order_id)
    if order.state == "sent":
        abort(409, "The order was sent.")
    for name, value in changed_fields(json).items():
        setattr(order, name, value)
    return commit(order, OrderOut)


@bp.delete("/orders/<int:order_id>")
@operation(204, etag=True)
def delete_order(order_id: Id) -> None:
    """Delete an order."""
    db.session.delete(locked(order_id))
    db.session.commit()


def locked(order_id: int) -> Order:
    """The order, locked until the transaction ends, if it is still what the client has read."""
    order = db.session.get(Order, order_id, with_for_update=True) or abort(404)
    check_if_match(OrderOut.of(order))
    return order
