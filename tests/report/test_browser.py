"""The page in a real browser: nothing fails, everything can be reached, nothing hostile runs.

Needs chromium with its driver (Debian: `apt-get install chromium chromium-driver`), `pip install '.[report-tests]'`,
and for the accessibility rules `npm install axe-core`, its file named by the environment variable AXE_CORE.
"""

import base64
import io
import json
import os

import pytest
from PIL import Image

from tests.browsers import WIDER, in_chromium, quiet, started, violations, waited
from tests.report.reports import (
    label_sets_for,
    labels_for,
    several_table,
    verdict_table,
    write_labels,
    write_screening,
)
from uncertainty.report.build import write_report
from uncertainty.report.decisions import Decisions
from uncertainty.report.illustrations import doubted

pytestmark = in_chromium

CLASSES = ("cat", "dog", "eel")
HOSTILE_CLASSES = (
    '<script>bad("class")</script>',
    "\u202eright to left",
    "a\"b'c&amp;",
    "</script><img src=x onerror=bad(1)>",
)
HOSTILE_NAMES = [
    "<script>bad('name')</script>.png",
    '"><img src=x onerror=bad(2)>.png',
    "new\nline.png",
    "\u202egnp.exe.png",
    "\u2028\u2029.png",
    "</script><!--<script>.png",
    "{{7*7}}${bad(3)}.png",
    "x" * 200 + ".png",
]


@pytest.fixture(scope="module")
def browser():
    driver = started()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Make pages once; each test opens the one it needs."""
    made = {}

    def make(kind):
        if kind not in made:
            made[kind] = MAKERS[kind](tmp_path_factory.mktemp(kind))
        return made[kind]

    return make


def page_of(root, names, classes, labelled=1.0, images=True, **options):
    table = verdict_table(names, classes, **options)
    out = write_screening(root / "out", table, root / "images" if images else None)
    labels = dict(list(labels_for(table, classes).items())[: round(labelled * len(names))])
    given = write_labels(root / "labels.csv", labels) if labels else None
    return write_report(out, labels=given).path


def told_page(root):
    """All that `evaluate` and other commands may tell besides, in a screening with a drift alarm and a policy."""
    names = [f"{i:03}.png" for i in range(30)]
    table = verdict_table(names, CLASSES)
    out, labels = write_screening(root / "out", table), write_labels(root / "labels.csv", labels_for(table, CLASSES))
    write_report(out, labels=labels)
    told = json.loads((out / "evaluation.json").read_text("utf-8"))
    told["per_class"] = [
        {"class": "<b>cat</b>", "support": 10, "precision": None, "recall": 0.5, "f1": None, "roc_auc": 0.75}
        | {"false_positives": 3, "false_positives_flagged": 2, "false_negatives": 0, "false_negatives_flagged": 0}
    ]
    told["slices"] = {
        "slices": [
            {"by": "quality_brightness", "name": "dark <i>", "n": 9, "error_rate": 0.4, "low": 0.2, "high": 0.7}
            | {
                "error_rate_rest": 0.1,
                "errors_caught": None,
                "p_within_class_holm": 0.0001,
                "conclusion": "more errors",
            }
        ]
    }
    (out / "evaluation.json").write_text(json.dumps(told), "utf-8")
    drift = {
        "in_words": ["drift: <u>darker</u>"],
        "accuracy": {"doc": {"low": 0.71, "value": 0.8, "high": 0.92}},
        "drift": {
            "alarm": True,
            "changes": [{"column": {"kind": "image", "name": "<b>dark"}, "p": 0.001}],
            "earlier": [{"column": "blur", "p": 0.5}],
        },
    }
    (out / "monitoring.json").write_text(json.dumps(drift), "utf-8")
    summary = json.loads((out / "summary.json").read_text("utf-8")) | {"policy": "at most 2% wrong"}
    (out / "summary.json").write_text(json.dumps(summary), "utf-8")
    return write_report(out, labels=labels).path


def drawn_page(root):
    """Heat maps at the upper left, details as a grey picture, and known-good images of two classes."""
    table = verdict_table([f"{i:03}.png" for i in range(12)], CLASSES, budget=1.0)
    out = write_screening(root / "out", table, root / "images")

    def drawn(rows, shown, pictures):
        heat = base64.b64encode(bytes(255 * (i // 16 < 4 and i % 16 < 4) for i in range(256))).decode()
        grey = io.BytesIO()
        Image.new("L", (8, 8), 200).save(grey, "WEBP")
        records = []
        for row in shown:
            first = CLASSES.index(rows.predicted[row])
            near = [
                {"title": title, "class": k, "pictures": [0, 1], "distances": [0.1, 0.2]}
                for title, k in (("predicted", first), ("runner-up", (first + 1) % 3))
            ]
            maps = {"heat": [heat, heat], "guided": [grey.getvalue()] * 2, "heat_box": [0, 0, 1, 1]}
            records.append(maps | {"near": near, "heat_other": (first + 1) % 3})
        return records, {"known_good": [grey.getvalue()] * 2}, ["Guided Grad-CAM is <left> out"]

    return write_report(out, illustrate=drawn).path


def several_page(root, count=5, n=60):
    """Predictions and labels of several classes an image, some of them without an answer, and heat maps of two."""
    classes = [f"kind <{k}>" for k in range(count)]
    table = several_table([f"{i:03}.png" for i in range(n)], classes, flags=count < 9)
    out = write_screening(root / "out", table, root / "images")
    rate = 0.25 / count
    labels = write_labels(root / "labels.csv", label_sets_for(table, classes, wrong=rate, unanswered=rate))

    def drawn(rows, shown, pictures):
        grey, heat = io.BytesIO(), base64.b64encode(bytes(256)).decode()
        Image.new("L", (8, 8), 200).save(grey, "WEBP")
        asked = doubted(Decisions.of(rows), shown, range(count))
        records = [
            {
                "near": [{"title": q.title, "class": q.target, "pictures": [0], "distances": [0.1]} for q in both],
                "heat": [heat, heat],
                "heat_of": [q.target for q in both],
                "heat_box": [0, 0, 1, 1],
            }
            for both in asked
        ]
        return records, {"known_good": [grey.getvalue()]}, []

    return write_report(out, labels=labels, illustrate=drawn).path


MAKERS = {
    "several labels": several_page,
    "200 labels": lambda root: several_page(root, 200),
    "drawn": drawn_page,
    "told": told_page,
    "labelled": lambda root: page_of(root, [f"{i:03}.png" for i in range(90)], CLASSES, unreadable=2),
    "unlabelled": lambda root: page_of(root, [f"{i:03}.png" for i in range(40)], CLASSES, labelled=0),
    "half": lambda root: page_of(root, [f"{i:03}.png" for i in range(40)], CLASSES, labelled=0.5),
    "one class": lambda root: page_of(root, [f"{i:03}.png" for i in range(40)], ("only",)),
    "many classes": lambda root: page_of(
        root, [f"{i}.png" for i in range(300)], [f"kind {k}" for k in range(1000)], images=False
    ),
    "unreadable": lambda root: page_of(root, ["a.png", "b.png"], CLASSES, labelled=0, images=False, unreadable=2),
    "hostile": lambda root: page_of(root, HOSTILE_NAMES, HOSTILE_CLASSES, images=False, budget=0.5),
    "large": lambda root: page_of(root, [f"{i:05}.png" for i in range(2000)], CLASSES),
}


def opened(browser, page):
    browser.get_log("browser")
    browser.get(page.as_uri())
    waited(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "true")
    return browser


def shown_count(browser):
    return int(text(browser, "#found").split(" ")[0].replace(",", "") or 0)


def cards(browser):
    return browser.execute_script("return document.querySelectorAll('#cards > li').length")


def text(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def press(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def keys(browser, *names):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(browser).send_keys(*(getattr(Keys, name) for name in names)).perform()


@pytest.mark.parametrize("kind", MAKERS)
def test_every_page_opens_without_an_error(browser, pages, kind):
    opened(browser, pages(kind))
    assert quiet(browser) == []
    assert "undefined" not in text(browser, "main")
    assert "NaN" not in text(browser, "main")
    assert "null" not in text(browser, "main")


def test_pictures_beside_the_page_are_shown(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("uncertainty.report.pictures.LARGEST_INSIDE", 100)
    page = page_of(tmp_path, [f"{i:03}.png" for i in range(12)], CLASSES)
    assert (page.parent / "report_thumbs").is_dir()
    opened(browser, page)
    browser.execute_script("document.getElementById('cards').scrollIntoView({ behavior: 'instant' })")
    widths = "return [...document.querySelectorAll('.shot img')].slice(0, 6).map((one) => one.naturalWidth)"
    waited(lambda: browser.execute_script(widths) == [16] * 6)
    assert quiet(browser) == []


def test_what_other_commands_tell_is_shown(browser, pages):
    opened(browser, pages("told"))
    assert "<b>cat</b>" in text(browser, "#classes-panel")
    assert "3 (2 flagged)" in text(browser, "#classes-panel")
    assert "more errors" in text(browser, "#slices-panel")
    assert "<0.001" in text(browser, "#slices-panel")
    assert "drift: <u>darker</u>" in text(browser, "#drift-panel .alarmed")
    browser.execute_script("document.querySelector('#drift-panel details').open = true")
    assert "0.8 (0.71 to 0.92)" in text(browser, "#drift-panel")
    assert "image · <b>dark" in text(browser, "#drift-panel")
    labels = "return [...document.querySelectorAll('#drift-panel .scrolling')].map((one) => one.ariaLabel)"
    assert browser.execute_script(labels) == ["Table of drift, changes", "Table of drift, earlier"]
    assert "see Drift below" in text(browser, "#alarm")
    assert text(browser, "#policy-panel") == "at most 2% wrong"
    assert "Drift" in text(browser, "#nav")


def test_nothing_hostile_runs_or_becomes_an_element(browser, pages):
    opened(browser, pages("hostile"))
    assert browser.execute_script("return typeof bad") == "undefined"
    assert browser.execute_script("return document.scripts.length") == 2
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    files = browser.execute_script("return [...document.querySelectorAll('.file')].map((one) => one.textContent)")
    assert "<script>bad('name')</script>.png" in files
    assert "new\\u000aline.png" in files
    assert "\\u202egnp.exe.png" in files
    press(browser, ".shot")
    assert browser.execute_script("return document.querySelector('dialog').open")
    assert quiet(browser) == []


def test_the_policy_forbids_what_the_page_does_not_need(browser, pages):
    opened(browser, pages("labelled"))
    ran = browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.slipped = 1'; document.body.append(s);"
        "return window.slipped ?? 'nothing'"
    )
    assert ran == "nothing"
    browser.get_log("browser")


def test_the_slider_recomputes_and_the_images_follow(browser, pages):
    from tests.report.reports import data_of

    page = pages("labelled")
    budget = data_of(page)["budget"]
    opened(browser, page)
    caught = "[data-outcome=caught] .count"
    before = int(text(browser, caught))
    assert before == budget["caught"][budget["k"].index(data_of(page)["counts"]["flagged_readable"])]
    browser.execute_script("document.getElementById('slider').focus()")
    keys(browser, "END")
    waited(lambda: int(text(browser, caught)) == budget["caught"][-1])
    assert "100.0%" in text(browser, "#standing")
    assert "88 images" in browser.execute_script(
        "return document.getElementById('slider').getAttribute('aria-valuetext')"
    )
    keys(browser, "HOME", "ARROW_RIGHT")
    waited(lambda: int(text(browser, caught)) == budget["caught"][1])
    press(browser, "#reset")
    waited(lambda: int(text(browser, caught)) == before)


def test_filters_show_what_they_say(browser, pages):
    opened(browser, pages("labelled"))
    press(browser, "[data-outcome=missed]")
    waited(lambda: shown_count(browser) == cards(browser) == int(text(browser, "[data-outcome=missed] .count")))
    assert browser.execute_script("return document.querySelectorAll('#cards > li:not(.missed)').length") == 0
    press(browser, "[data-outcome=missed]")
    for selector, value in (("#class", "1"), ("#reason", "low_margin"), ("#text", "00")):
        browser.execute_script(
            "const one = document.querySelector(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event(one.tagName === 'INPUT' ? 'input' : 'change'))",
            selector,
            value,
        )
        waited(lambda: cards(browser) == min(48, shown_count(browser)))
        assert 0 < shown_count(browser) < 90 or selector == "#text"
    assert all(
        "00" in name
        for name in browser.execute_script("return [...document.querySelectorAll('.file')].map((f) => f.textContent)")
    )


def names_shown(browser):
    return browser.execute_script("return [...document.querySelectorAll('.file')].map((one) => one.textContent)")


def test_the_gallery_has_pages_and_only_one_is_in_the_document(browser, pages):
    opened(browser, pages("large"))
    elements = browser.execute_script("return document.querySelectorAll('*').length")
    assert cards(browser) == 48
    assert elements < 3000
    assert text(browser, "#found") == "2,000 images, page 1 of 42"
    seen = names_shown(browser)
    press(browser, "#pager button:last-child")
    assert text(browser, "#found") == "2,000 images, page 2 of 42"
    seen += names_shown(browser)
    assert browser.execute_script("return document.activeElement.id") == "gallery"
    browser.execute_script(
        "const s = document.getElementById('page'); s.value = 41; s.dispatchEvent(new Event('change'))"
    )
    assert cards(browser) == 2000 - 41 * 48
    assert browser.execute_script("return document.querySelector('#pager button:last-child').disabled")
    assert len(set(seen + names_shown(browser))) == 48 + 48 + 32
    press(browser, "[data-outcome=caught]")
    assert "page 1 of" in text(browser, "#found")
    assert quiet(browser) == []


def test_previous_and_next_of_the_details_go_on_over_pages(browser, pages):
    opened(browser, pages("labelled"))
    press(browser, "#cards > li:last-child .shot")
    assert text(browser, "dialog footer span") == "48 of 90"
    press(browser, "dialog footer button:last-child")
    name = text(browser, "#details-name")
    keys(browser, "ESCAPE")
    waited(lambda: "page 2 of 2" in text(browser, "#found"))
    assert names_shown(browser)[0] == name
    assert name in browser.execute_script("return document.activeElement.getAttribute('aria-label')")


def test_the_worst_stand_under_the_headline(browser, pages):
    from tests.report.reports import data_of

    opened(browser, pages("labelled"))
    order = "return [...document.querySelectorAll('main > section')].filter((s) => !s.hidden).map((s) => s.id)"
    assert browser.execute_script(order)[:2] == ["summary", "budget"]
    assert "could not be read" in text(browser, ".lead")
    worst = sorted((one for one in data_of(pages("labelled"))["images"] if "p" in one), key=lambda one: -one["p"])[:12]
    labels = "return [...document.querySelectorAll('.worst .shot')].map((one) => one.getAttribute('aria-label'))"
    assert browser.execute_script(labels) == [f"{one['name']}: details" for one in worst]
    press(browser, ".worst .shot")
    assert text(browser, "dialog footer span") == "1 of 12"
    keys(browser, "ARROW_RIGHT", "ESCAPE")
    focused = "return document.activeElement.getAttribute('aria-label')"
    waited(lambda: browser.execute_script(focused) == f"{worst[1]['name']}: details")


def test_the_details_begin_with_the_reasons(browser, pages):
    opened(browser, pages("drawn"))
    browser.execute_script(
        "const reason = document.getElementById('reason'); reason.value = 'low_margin';"
        "reason.dispatchEvent(new Event('change'))"
    )
    press(browser, "#cards .shot")
    assert text(browser, "dialog .body h3") == "Why it is suspected"
    assert "low margin: another class is nearly as probable" in text(browser, "dialog .reasons")
    titles = browser.execute_script(
        "return [...document.querySelectorAll('.frame figcaption')].map((t) => t.textContent)"
    )
    assert [title.split(":")[0].split(" ")[0] for title in titles] == ["Known-good", "Taken", "Known-good"]
    cells = "return [...document.querySelectorAll('.frame .near:nth-child(2) small')].map((one) => one.textContent)"
    assert browser.execute_script(cells) == ["the image", "where it looks", "which details"]
    assert "mostly at the upper left" in text(browser, "dialog figcaption.says")
    assert browser.execute_script("return document.querySelectorAll('.views input').length") == 5
    browser.execute_script("document.querySelectorAll('.views input')[3].click()")
    assert "Guided Grad-CAM: the edges and spots" in text(browser, "dialog figcaption.says")
    waited(lambda: browser.execute_script("return document.querySelector('.large .fine img').naturalWidth") == 8)
    assert quiet(browser) == []


def test_a_cell_of_the_matrix_opens_its_images(browser, pages):
    opened(browser, pages("labelled"))
    count = int(text(browser, ".matrix .slip"))
    press(browser, ".matrix .slip")
    waited(lambda: cards(browser) == count == shown_count(browser))
    assert browser.execute_script("return document.querySelectorAll('#cards .right, #cards .alarm').length") == 0


@pytest.mark.parametrize("kind", ["several labels", "200 labels"])
def test_a_class_shows_its_curve_and_what_it_was_wrongly_given_to(browser, pages, kind):
    from tests.report.reports import data_of

    page = pages(kind)
    opened(browser, page)
    worst = max(data_of(page)["several"]["by_class"], key=lambda one: one.get("wrongly_given", 0))
    k, wrongly = worst["class"], worst["wrongly_given"]
    value = "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('%s'))"
    browser.execute_script(value % "change", "shown-class", k)
    assert f"{wrongly} wrongly given" in text(browser, "#one-class .tiles")
    assert f"Known-good kind <{k}>" in text(browser, "#one-class")
    strip = "return document.querySelectorAll('#one-class .beside-class')[0].querySelectorAll('.shot .heat').length"
    assert browser.execute_script(strip) == min(8, wrongly)
    browser.execute_script(value % "input", "threshold", 0)
    assert f"Say kind <{k}> never" in text(browser, "#one-class label")
    assert "0.0%" in text(browser, "#one-class .tiles")
    press(browser, "#one-class .beside-class .pair")
    assert shown_count(browser) == wrongly
    assert browser.execute_script("return document.getElementById('decision').value") == "wrong"
    assert quiet(browser) == []


def test_images_are_filtered_by_the_doubt_about_a_label_and_by_pairs(browser, pages):
    from tests.report.reports import data_of

    page = pages("several labels")
    data = data_of(page)
    opened(browser, page)
    for selector, value in (("class", "1"), ("doubt", "0.25"), ("order", "doubt")):
        browser.execute_script(
            "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
            "s.dispatchEvent(new Event('change'))",
            selector,
            value,
        )
    doubts = {one["name"]: dict((k, p) for k, p, _ in one["doubts"])[1] for one in data["images"]}
    expected = sorted((name for name, p in doubts.items() if p >= 0.25), key=lambda name: -doubts[name])
    assert names_shown(browser) == expected[:48]
    i, j, count = next(cell for cell in data["several"]["together"]["said"] if cell[0] != cell[1])
    press(browser, f"#together .matrix tbody tr:nth-child({i + 1}) td:nth-child({j + 2}) button")
    assert shown_count(browser) == count
    assert f"said to be kind <{i}> and kind <{j}>" in text(browser, "#found")
    press(browser, "#together .chip:last-child")
    pressed = "return document.querySelector('#together .chip:last-child').getAttribute('aria-pressed')"
    assert browser.execute_script(pressed) == "true"
    assert quiet(browser) == []


def test_everything_can_be_reached_by_keyboard(browser, pages):
    opened(browser, pages("labelled"))
    reached = set()
    for _ in range(70):
        keys(browser, "TAB")
        reached.add(browser.execute_script("const e = document.activeElement; return e.id || e.className || e.tagName"))
    assert {"theme", "slider", "class", "reason", "order", "text", "shot"} <= reached
    keys(browser, "ENTER")
    waited(lambda: browser.execute_script("return document.querySelector('dialog').open"))
    first = text(browser, "#details-name")
    keys(browser, "ARROW_RIGHT")
    waited(lambda: text(browser, "#details-name") != first)
    keys(browser, "ESCAPE")
    waited(lambda: not browser.execute_script("return document.querySelector('dialog').open"))


def test_the_theme_can_be_chosen(browser, pages):
    opened(browser, pages("labelled"))
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    seen = set()
    for _ in range(3):
        press(browser, "#theme")
        seen.add((text(browser, "#theme"), browser.execute_script(ground)))
    assert {label for label, _ in seen} == {"Theme: auto", "Theme: light", "Theme: dark"}
    assert len({colour for _, colour in seen}) == 2


@pytest.mark.parametrize("kind", ["labelled", "unlabelled", "told", "drawn", "several labels", "200 labels"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility_rules(browser, pages, kind, scheme):
    path = os.environ.get("AXE_CORE")
    if not path:
        pytest.skip("AXE_CORE does not name axe.min.js: npm install axe-core")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    opened(browser, pages(kind))
    found = violations(browser, path)
    press(browser, ".shot")
    found += violations(browser, path)
    assert found == []


def test_a_phone_shows_what_scrolls_and_nothing_else_is_wider(browser, pages):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        for kind in ("labelled", "hostile", "told", "many classes", "drawn", "several labels", "200 labels"):
            opened(browser, pages(kind))
            browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
            waited(lambda: browser.execute_script(WIDER) == [], 5)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
            press(browser, ".shot")
            waited(lambda: browser.execute_script(WIDER) == [])
            body = "const b = document.querySelector('dialog .body'); return b.scrollWidth - b.clientWidth"
            assert browser.execute_script(body) == 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_prints(browser, pages):
    opened(browser, pages("labelled"))
    assert len(browser.print_page()) > 20_000


@pytest.mark.slow
def test_a_page_of_two_thousand_images_scrolls(browser, pages):
    """Two thirds of a screen a frame, drawn without a graphics card; the limit is loose, in processor time."""
    opened(browser, pages("large"))
    press(browser, "#pager button:last-child")
    browser.execute_cdp_cmd("Performance.enable", {})
    before = processor_seconds(browser)
    browser.set_script_timeout(120)
    browser.execute_async_script(
        "const done = arguments[0]; let frames = 0;"
        "const step = () => { scrollBy({ top: 600, behavior: 'instant' });"
        "++frames < 20 ? requestAnimationFrame(step) : done(); }; requestAnimationFrame(step);"
    )
    assert (processor_seconds(browser) - before) / 20 < 0.3
    assert quiet(browser) == []


def processor_seconds(browser):
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "ThreadTime")
