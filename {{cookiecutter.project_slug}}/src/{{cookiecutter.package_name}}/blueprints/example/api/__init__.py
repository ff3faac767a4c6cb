"""The example as a resource of the API: its types are its checks and its documentation.

What to delete: this folder, its tests, and its line in ``modules.py``; then ``make
openapi``.
"""

from typing import Annotated

from flask import Blueprint, current_app
from msgspec import Meta, Struct

from ....extensions.api.contract import PREFIX, Input, operation
from ....extensions.api.paging import Next, Page, after, page
from .. import ABSOLUTE_ZERO, HOTTEST, converted

Celsius = Annotated[float, Meta(ge=ABSOLUTE_ZERO, le=HOTTEST, description="Degrees Celsius.", examples=[20])]

bp = Blueprint("conversions", __name__, url_prefix=PREFIX)


class ConversionIn(Input):
    celsius: Celsius


class Conversion(Struct):
    celsius: Celsius
    fahrenheit: Annotated[float, Meta(description="Degrees Fahrenheit.", examples=[68])]
    kelvin: Annotated[float, Meta(ge=0, description="Kelvin.", examples=[293.15])]


class Table(Struct):
    items: list[Conversion]
    next: Next


@bp.post("/conversions")
@operation()
def convert(json: ConversionIn) -> Conversion:
    """Convert a temperature to degrees Fahrenheit and Kelvin."""
    converted.send(current_app._get_current_object())  # type: ignore[attr-defined]
    return conversion(json.celsius)


@bp.get("/conversions")
@operation(errors=[404], etag=True)
def list_conversions(query: Page) -> Table:
    """List the whole degrees from the freezing to the boiling point of water.

    In pages: `next` is the `cursor` of the page that follows.
    """
    start = after(query.cursor, int)
    first = 0 if start is None else max(start + 1, 0)
    rows = [conversion(degrees) for degrees in range(first, min(first + query.limit, 100) + 1)]
    return Table(*page(rows, query.limit, key=lambda row: int(row.celsius)))


def conversion(celsius: float) -> Conversion:
    return Conversion(celsius, round(celsius * 9 / 5 + 32, 2), round(celsius - ABSOLUTE_ZERO, 2))
