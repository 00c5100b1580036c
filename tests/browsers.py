"""A headless Chromium, and what is asked of every page in it: nothing severe in its log, no serious violation.

Needs chromium with its driver (Debian: `apt-get install chromium chromium-driver`), `pip install '.[report-tests]'`,
and for the accessibility rules `npm install axe-core`, its file named by the environment variable AXE_CORE.
"""

import shutil
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSER, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
_ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900")
_ABSENT = "chromium or chromedriver is absent: apt-get install both"
_NO_SELENIUM = "selenium is absent: pip install '.[report-tests]'"
in_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason=_ABSENT),
    pytest.mark.skipif(find_spec("selenium") is None, reason=_NO_SELENIUM),
]

WIDER = """
const wider = (node) => node.getBoundingClientRect().right > innerWidth + 1;
// A name that ends in an ellipsis shows that too.
const hinted = (node) => node.closest('.hinted.more-after, .canvas, .unseen, .skip, .file, h2');
return [...document.querySelectorAll('main *, header *, dialog[open] *')].filter((one) => wider(one) && !hinted(one))
  .map((one) => one.outerHTML.slice(0, 200));
"""
"""What reaches beyond the right edge of the page, as HTML."""


def started():
    """Start a browser; whoever started it quits it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def waited(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "the page never got there"
        time.sleep(0.05)
    return found


def quiet(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def violations(browser, path):
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": Path(path).read_text("utf-8")})
    result = browser.execute_async_script("axe.run().then(arguments[0])")
    serious = [one for one in result["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in serious]
