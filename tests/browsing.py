"""Chromium, and who uses the pages of a service in it."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from databases import missing
from manifest import TREE
from running import until
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from servers.archives import ARCHIVES, fetch

#: Of whoever signs up.
PASSWORD = "correct horse battery"

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


@dataclass
class Reader:
    """Who uses the pages: each page is looked at."""

    driver: webdriver.Chrome
    site: str
    script: bool = True

    def open(self, path: str) -> None:
        self.driver.get(self.site + path)
        self.look()

    def click(self, words: str) -> None:
        """Follow a link, or press a button, and wait for the page that comes."""
        (target,) = [found for found in self.all("main a, main button") if found.text == words]
        before = self.find("html")
        target.click()
        until(lambda: self.all("html") not in ([], [before]), 20)  # Between two pages there is none.
        self.look()

    def fill(self, **values: str) -> None:
        for name, text in values.items():
            self.find(f"[name={name}]").clear()
            self.find(f"[name={name}]").send_keys(text)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        # At once: elements of a page that goes while they are read are stale.
        script = "return [...document.querySelectorAll(arguments[0])].map(found => found.innerText)"
        return list(self.driver.execute_script(script, selector))

    def look(self) -> None:
        """No finding of axe's, nothing wider than the window, nothing in the console."""
        if self.script:  # axe waits for a timer, and there is none without.
            self.driver.execute_script((fetch(ARCHIVES["axe"]) / "axe.min.js").read_text())
            script = "axe.run().then(found => arguments[0](JSON.stringify(found.violations)))"
            found: list[Any] = json.loads(self.driver.execute_async_script(script))
            told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
            assert told == [], f"{self.driver.current_url}: {told}"
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.driver.execute_script(width) <= 0, self.driver.current_url
        self.listen()

    def listen(self) -> None:
        # Chromium's own line for a form with a mistake, and for an error.
        own = r"Failed to load resource: the server responded with a status of 4\d\d"
        lines = [line for line in self.driver.get_log("browser") if not re.search(own, line["message"])]
        assert lines == [], lines


def follow(reader: Reader, subject: str, email: str) -> None:
    """Wait for a mail, which is sent after the answer of the request, and follow its link."""

    def places() -> list[int]:
        reader.driver.get(f"{reader.site}/dev/mailbox")
        told = f"{subject} to {email}, "
        return [place for place, text in enumerate(reader.texts("li")) if text.startswith(told)]

    until(places, 20, f"{subject} to {email}")
    newest, *_ = places()
    reader.driver.get(str(reader.all("li a")[newest].get_attribute("href")))
    (url,) = re.findall(r"http://localhost:\S+", reader.texts("body")[0])
    reader.driver.get(url)
    reader.look()


def sign_up(reader: Reader, email: str) -> None:
    reader.open("/accounts/sign-up")
    reader.fill(email=email)
    reader.click("Send")
    assert reader.texts(".flash") == ["A mail with a link is on its way to you."]
    follow(reader, "Finish your sign-up", email)
    reader.fill(password=PASSWORD)
    reader.click("Save")


def digest_of_pages() -> str:
    """A digest of what the pictures of pages show: templates, style sheets and translations."""
    found = sorted(path for ending in ("html", "css", "po") for path in TREE.rglob(f"*.{ending}"))
    return sha256(b"".join(path.read_bytes() for path in found)).hexdigest()
