"""Which version of this package runs."""

import re
from functools import cache


@cache
def installed_version() -> str | None:
    """The installed version; None if the package runs without being installed."""
    # Imported here, because the import is slow and not every service asks for the version.
    from importlib.metadata import distributions

    # Found by its files, since it may have another name. An editable one has a file with the path instead of modules.
    files = re.compile(rf"^{__name__.partition('.')[0]}(/__init__\.py|\.pth),", re.MULTILINE)
    return next((found.version for found in distributions() if files.search(found.read_text("RECORD") or "")), None)
