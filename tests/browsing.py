"""A browser for tests: Debian's Chromium, driven by Playwright, which downloads none."""

import os
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
#: A folder for pictures of the pages, if they are wanted.
PICTURES = os.environ.get("PICTURES", "")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: A picture in the docs, small enough for the repository.
PICTURED, LARGEST = {"width": 760, "height": 560}, 80_000
LOCALES = {"ar": "ar-SA", "en": "en-GB"}


@contextmanager
def chromium():
    """The running browser. Raises RuntimeError where there is none: nothing is left out in silence."""
    if not Path(CHROMIUM).exists():
        raise RuntimeError(f"{CHROMIUM} is not there (Debian: apt-get install chromium; elsewhere say CHROMIUM=...).")
    with sync_playwright() as playwright:
        # Root's Chromium has no sandbox of its own.
        words = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=words)
        yield browser
        browser.close()


class Visitor:
    """Somebody with a browser of their own. `faults`: what the console said of errors, and answers that failed."""

    def __init__(self, browser, site, *, language="en", size=WIDE, dark=False, bypass_csp=False):
        self.context = browser.new_context(
            base_url=site,
            locale=LOCALES[language],
            viewport=size,
            color_scheme="dark" if dark else "light",
            bypass_csp=bypass_csp,
        )
        # The switch's choice: what somebody's preferences say is another test's.
        self.context.add_cookies([{"name": "django_language", "value": language, "url": site}])
        self.faults = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", lambda said: said.type == "error" and self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "response", lambda answer: answer.status >= 400 and self.faults.append(f"{answer.status} {answer.url}")
        )

    def sign_in(self, address, password, *, then="/admin/"):
        self.page.goto(f"/admin/login/?next={then}")
        self.page.fill("#id_username", address)
        self.page.fill("#id_password", password)
        follow(self.page, "#login-form [type=submit]")
        return self

    def go(self, address):
        self.page.goto(address)
        return self.page

    def picture(self, name, *, folder=PICTURES, whole=True):
        """Of the page, or of what the window shows of it. Returns the file, if pictures are wanted."""
        if not folder:
            return None
        path = Path(folder) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=whole)
        return path

    def close(self):
        self.context.close()


CHECKS = Path(__file__).with_name("page_checks.js").read_text(encoding="utf-8")


def follow(page, selector):
    """Presses it, and waits for the page that it leads to."""
    with page.expect_navigation():
        page.click(selector)


def unfit(page):
    """What does not fit the window."""
    return page.evaluate(f"{CHECKS}\nunfit()")


def untranslated(page):
    """English texts of a page that is in Arabic."""
    return page.evaluate(f"{CHECKS}\nuntranslated()")


def violations(page):
    """What axe-core calls serious or critical: the rule, and the first places."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (one["id"], one["help"], [(node["target"], node["failureSummary"]) for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
