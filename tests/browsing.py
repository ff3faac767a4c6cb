"""Chromium, for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from databases import missing
from manifest import TREE
from selenium import webdriver

QUIET = ["no-first-run", "disable-background-networking", "disable-component-update", "disable-sync", "disable-quic"]


@contextmanager
def browser(script: bool = True, phone: bool = False, language: str = "en") -> Iterator[webdriver.Chrome]:
    """Chromium, without a window and without the wish to call home.

    :param script: whether pages may have JavaScript.
    :param phone: whether the window is that of a phone, whose owner likes it dark.
    :param language: what its user reads.
    """
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        missing("a browser", "apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.accept_insecure_certs = True
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,1000", *QUIET):
        options.add_argument(f"--{word}")
    prefs: dict[str, object] = {"intl.accept_languages": language}
    if not script:
        prefs["profile.managed_default_content_settings.javascript"] = 2
    options.add_experimental_option("prefs", prefs)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        if phone:
            size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
        yield driver
    finally:
        driver.quit()


def digest_of_pages() -> str:
    """A digest of what the pictures of pages show: templates, style sheets and translations."""
    found = sorted(path for ending in ("html", "css", "po") for path in TREE.rglob(f"*.{ending}"))
    return sha256(b"".join(path.read_bytes() for path in found)).hexdigest()
