"""The example as a resource of the API: its types are its checks and its documentation.

What to delete: this folder, its tests, and its line in ``modules.py``; then ``make
openapi``.
"""

from typing import Annotated

from flask import Blueprint, current_app
from msgspec import Meta

from ....extensions.api.contract import Input, Output, operation
from .. import ABSOLUTE_ZERO, HOTTEST, converted

bp = Blueprint("conversions", __name__, url_prefix="/api/v1")

Celsius = Annotated[float, Meta(ge=ABSOLUTE_ZERO, le=HOTTEST, description="Degrees Celsius.", examples=[20])]


class ConversionIn(Input):
    celsius: Celsius


class Conversion(Output):
    celsius: Celsius
    fahrenheit: Annotated[float, Meta(description="Degrees Fahrenheit.", examples=[68])]
    kelvin: Annotated[float, Meta(ge=0, description="Kelvin.", examples=[293.15])]


@bp.post("/conversions")
@operation()
def convert(json: ConversionIn) -> Conversion:
    """Convert a temperature to degrees Fahrenheit and Kelvin."""
    converted.send(current_app._get_current_object())  # type: ignore[attr-defined]
    celsius = json.celsius
    return Conversion(
        celsius=celsius, fahrenheit=round(celsius * 9 / 5 + 32, 2), kelvin=round(celsius - ABSOLUTE_ZERO, 2)
    )
