"""Signals: events of this service, for every module that wants to know of them.

Declare an event here, send it where it happens, and connect to it where it matters: neither of the two modules imports
the other. https://blinker.readthedocs.io/
"""

from blinker import Namespace

events = Namespace()

# Your next signal goes here: order_paid = events.signal("order_paid")
