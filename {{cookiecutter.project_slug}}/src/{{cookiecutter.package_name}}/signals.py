"""Signals: what happens in this service, for whoever wants to know.

Declare an event here, send it where it happens, connect to it where it matters: neither side
imports the other. https://blinker.readthedocs.io/
"""

from blinker import Namespace

events = Namespace()

#: Sent once by ``serve``, in the main process and before its first worker, with the application as
#: the sender and ``address`` (str) and ``workers`` (int).
serving = events.signal("serving")
