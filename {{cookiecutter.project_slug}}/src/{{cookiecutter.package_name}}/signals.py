"""Signals: what happens in this service, for whoever wants to know.

Declare an event here, send it where it happens, connect to it where it matters: neither side
imports the other. https://blinker.readthedocs.io/
"""

from blinker import Namespace

events = Namespace()

# The next signal goes here, such as: order_paid = events.signal("order_paid")
