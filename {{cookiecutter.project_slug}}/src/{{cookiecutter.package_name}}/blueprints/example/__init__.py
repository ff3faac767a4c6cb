"""An example: temperatures, converted. Read it, then delete this folder: README.md, "The example", says how."""

from flask import Blueprint, abort, current_app, request
from flask.typing import ResponseReturnValue

from ...signals import events

# Degrees Celsius. The second is the Planck temperature, the highest that physics can describe.
ABSOLUTE_ZERO = -273.15
HOTTEST = 1.4e32

bp = Blueprint("example", __name__)

#: Sent when a temperature was converted, with the application as the sender.
converted = events.signal("converted")


@bp.post("/conversions")
def convert() -> ResponseReturnValue:
    """Convert ``{"celsius": 20}`` to degrees Fahrenheit."""
    match request.get_json():
        case {"celsius": int() | float() as value} if ABSOLUTE_ZERO <= value <= HOTTEST and not isinstance(value, bool):
            converted.send(current_app._get_current_object())  # type: ignore[attr-defined]
            return {"celsius": value, "fahrenheit": round(value * 9 / 5 + 32, 2)}
        case _:
            abort(422, f"Send an object with a number, celsius, from {ABSOLUTE_ZERO} to {HOTTEST}.")
