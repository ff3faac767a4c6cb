"""Servers for the tests of this template: real ones that a test may pause, kill, and start again with their data.

``with private("redis") as server`` is one of a test's own. The fixture ``shared_server`` gives the one that all tests
of a run share, for what takes seconds and hundreds of megabytes to start.
"""

from .processes import Private, listening, missing
from .stores import STORES, private

__all__ = ["STORES", "Private", "listening", "missing", "private"]
