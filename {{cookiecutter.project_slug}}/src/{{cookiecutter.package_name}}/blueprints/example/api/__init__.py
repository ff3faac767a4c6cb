"""The example as a resource of the API: its types are its checks and its documentation."""

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


@bp.post("/conversions")
@operation(scopes=["conversions:write"])
def convert(json: ConversionIn) -> Conversion:
    """Convert a temperature to degrees Fahrenheit."""
    converted.send(current_app._get_current_object())  # type: ignore[attr-defined]
    return Conversion(celsius=json.celsius, fahrenheit=round(json.celsius * 9 / 5 + 32, 2))
