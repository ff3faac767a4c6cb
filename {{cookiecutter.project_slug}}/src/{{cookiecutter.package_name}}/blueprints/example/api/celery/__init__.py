"""The example with jobs. What to delete: this folder, its tests, and its lines in ``modules.py``. Then ``make openapi``."""
