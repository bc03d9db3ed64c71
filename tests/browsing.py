"""A browser for tests: Debian's Chromium, driven by Playwright, which downloads none; and what is asked of a page."""

import os
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.servers import PROJECT

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
#: Where `make test-browser` puts axe-core.
AXE = PROJECT / ".moeen" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
#: A folder for pictures of the pages, if they are wanted.
PICTURES = os.environ.get("PICTURES", "")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOCALES = {"ar": "ar-SA", "en": "en-GB"}

#: What is cut off at the edge of the page, or can only be reached by scrolling sideways.
CLIPPED = """() => {
  const width = document.documentElement.clientWidth, found = [];
  // What is meant to be out of sight; inline tables, which scroll, and look-ups, which end in an ellipsis.
  const spared = "svg, select, .visually-hidden, .skip-to-content-link, .toggle-nav-sidebar, .inline-group, " +
    ".select2-selection";
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") +
    (typeof e.className === "string" && e.className ? "." + e.className.trim().replace(/\\s+/g, ".") : "");
  if (document.documentElement.scrollWidth > width)
    found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest(spared)) continue;
    const sideways = element.scrollWidth - element.clientWidth;
    if (sideways > 1 && element.clientWidth > 1 && style.overflowX !== "visible" && !element.matches("input, textarea"))
      found.push(`${name(element)} holds ${sideways} more than it shows`);
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const box = element.getBoundingClientRect();
    if (isText && box.width > 0 && (box.right > width + 1 || box.left < -1))
      found.push(`${name(element)} from ${Math.round(box.left)} to ${Math.round(box.right)} of ${width}`);
  }
  return found.slice(0, 4);
}"""

#: English words on a page in Arabic. What is an id, an address, SQL or an operator's English says so: `dir` or `lang`.
ENGLISH = """() => {
  const found = new Set();
  const said = "[dir=ltr], [lang]:not(html), code, pre, script, style, noscript, textarea, svg.chart";
  const look = (text) => {
    for (const word of text.split(/[\\s,;:()«»“”"!?،؛…|›\\[\\]]+/))
      if (/[A-Za-z]{2,}/.test(word) && !/[@_\\/.0-9]/.test(word)) found.add(word);
  };
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(said)) look(walker.currentNode.data);
  for (const element of document.querySelectorAll("[title], [placeholder], [aria-label], [alt], [type=submit]"))
    if (!element.closest("[dir=ltr]:not(input), [lang]:not(html), svg.chart"))
      for (const attribute of ["title", "placeholder", "aria-label", "alt"])
        look(element.getAttribute(attribute) || "");
  return [...found];
}"""


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
        self.page.click("#login-form [type=submit]")
        return self

    def go(self, address):
        self.page.goto(address)
        return self.page

    def picture(self, name):
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)

    def close(self):
        self.context.close()


def axe_findings(page):
    """What axe-core calls serious or critical: rule, and the first elements that it is about."""
    page.evaluate(AXE.read_text(encoding="utf-8") + "; null")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: " + "; ".join(node["html"][:120] for node in one["nodes"][:3])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
