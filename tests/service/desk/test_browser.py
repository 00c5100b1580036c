"""The desk in a real browser, by its keys: two people at once, from the first image to the updated screener."""

import json
import os
from contextlib import contextmanager
from dataclasses import replace
from urllib.request import urlopen

import numpy as np
import pytest

from tests.browsers import WIDER, in_chromium, quiet, started, violations, waited
from tests.report.reports import verdict_table, write_screening
from tests.service.desk.served import listening, press, served, settled, sign_in, text
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.app import create_app
from uncertainty.service.desk.answers import Kind
from uncertainty.service.desk.desk import DeskSettings
from uncertainty.service.desk.plan import Plan
from uncertainty.service.settings import ServiceSettings
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.evaluate import evaluate_folder

pytestmark = in_chromium
CLASSES = ("cat", "dog", "eel")
MANY = [f"kind {k} <b>" for k in range(998)] + ["Köter", "<script>bad(1)</script>"]
HOSTILE = ["<img src=x onerror=bad(2)>.png", "new\nline.png", "\u202egnp.exe.png", "{{7*7}}.png"]


@pytest.fixture(scope="module")
def browsers():
    """Two browsers that know nothing of each other."""
    both = [started(), started()]
    yield both
    for one in both:
        one.quit()


@pytest.fixture
def browser(browsers):
    one = browsers[0]
    one.get("about:blank")
    quiet(one)
    one.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return one


@pytest.fixture
def made(tmp_path):
    """Settings of a review of made-up verdicts with real pictures."""

    def made(names, classes, **plan):
        names = [f"{i:03}.png" for i in range(names)] if isinstance(names, int) else names
        write_screening(tmp_path / "out", verdict_table(names, classes), tmp_path / "images")
        return DeskSettings(tmp_path / "out", plan=Plan(**({"explore": 0.0} | plan)))

    return made


OPTIONS = "return [...document.querySelectorAll('#class-list li')].map((li) => li.textContent)"
MARKED = "return document.activeElement.getAttribute('aria-activedescendant')"
FINISHED = "return document.getElementById('desk').hidden"
RUN = "const s = document.createElement('script'); s.textContent = 'window.slipped = 1'; document.body.append(s);"


def done(browser):
    return int(text(browser, "#headline").split(" ")[0].replace(",", "") or 0)


def keyed(browser, *keys):
    """Press keys, and wait until one more image is done."""
    before = done(browser)
    press(browser, *keys)
    waited(lambda: done(browser) == before + 1)


def clicked(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)


def goes_on(browser, before):
    return shown(browser) != before or browser.execute_script(FINISHED)


def named(browser, truth):
    """Say what the image at hand is, and wait for the next one, or the end."""
    from selenium.webdriver.common.keys import Keys

    before = shown(browser)
    press(browser, "c", truth[before], Keys.ENTER)
    waited(
        lambda: text(browser, "#saving") == "saved" and (shown(browser) != before or browser.execute_script(FINISHED))
    )


def shown(browser):
    return text(browser, "#file")


def test_every_answer_by_key(browser, made):
    from selenium.webdriver.common.keys import Keys

    with served(made(12, CLASSES)) as (address, desk):
        sign_in(browser, address, "Ann")
        said = []
        for keys in ((Keys.ENTER,), ("2",), ("c", "ee", Keys.ENTER), ("n",), ("x",)):
            said.append(shown(browser))
            keyed(browser, *keys)
        assert len({*said, shown(browser)}) == 6
        press(browser, "s")
        waited(lambda: shown(browser) not in said and desk.turns.skipped_by("Ann") == 1)
        found = {desk.screened.names[one.item]: one for one in desk.store.standing()}
        predicted = dict(zip(desk.screened.names, desk.screened.predicted, strict=True))
        assert found[said[0]].answer.label == predicted[said[0]] != found[said[1]].answer.label
        assert [found[name].answer.kind for name in said[2:]] == [Kind.CLASS, Kind.UNKNOWN, Kind.UNUSABLE]
        assert found[said[2]].answer.label == "eel"
        assert all(one.seconds is not None for one in found.values())
        press(browser, "u")
        waited(lambda: text(browser, "#saving") == "taken back: skip")
        press(browser, "u")
        waited(lambda: text(browser, "#saving") == "taken back: unusable")
        assert shown(browser) == said[4]
        assert done(browser) == 4
        assert quiet(browser) == []


def test_a_class_among_a_thousand_is_found_by_a_part_of_its_name(browser, made):
    from selenium.webdriver.common.keys import Keys

    with served(made(6, MANY)) as (address, desk):
        sign_in(browser, address, "Ann")
        press(browser, "/", "koter")
        assert text(browser, "#class-list") == "Köter"
        press(browser, Keys.ESCAPE, "c", Keys.ENTER)
        assert browser.execute_script(MARKED) is None  # with nothing typed Enter takes nothing
        press(browser, "99 kind")
        assert browser.execute_script(OPTIONS)[:2] == ["kind 99 <b>", "kind 990 <b>"]
        press(browser, Keys.ESCAPE, "c", "koter")
        assert browser.execute_script(MARKED) == "option-0"
        keyed(browser, Keys.ENTER)
        press(browser, "c", "kind 99")
        names = browser.execute_script(OPTIONS)
        assert names[:3] == ["kind 99 <b>", "kind 990 <b>", "kind 991 <b>"]
        press(browser, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
        keyed(browser, Keys.ENTER)
        press(browser, "c", "bad(", Keys.ESCAPE)
        assert done(browser) == 2
        assert [one.answer.label for one in desk.store.standing()] == ["Köter", "kind 990 <b>"]
        assert quiet(browser) == []


def test_nothing_hostile_runs_or_becomes_an_element(browser, made):
    with served(made(HOSTILE, ("</script><img src=x onerror=bad(3)>", "a\"b'c&amp;"))) as (address, _):
        sign_in(browser, address, "<i>Ann</i>")
        names = set()
        for _ in HOSTILE:
            names.add(shown(browser))
            assert browser.execute_script("return document.querySelectorAll('main img').length") == 1
            keyed(browser, "n")
        assert names == {HOSTILE[0], "new\\u000aline.png", "\\u202egnp.exe.png", HOSTILE[3]}
        assert browser.execute_script("return typeof bad") == "undefined"
        assert quiet(browser) == []
        assert browser.execute_script(RUN + "return window.slipped ?? 'nothing'") == "nothing"
        quiet(browser)


def test_answers_wait_while_the_server_is_away_and_none_is_lost(browser, made, monkeypatch):
    from uncertainty.service.problems import Refused

    def away(given):
        raise Refused(507, "store_full", "the disk is full")

    with served(made(8, CLASSES)) as (address, desk):
        sign_in(browser, address, "Ann")
        with monkeypatch.context() as patch:
            patch.setattr(desk.store, "add", away)
            press(browser, "n", "n")
            waited(lambda: "not saved yet: 2 answers wait" in text(browser, "#saving"))
            assert text(browser, "#saving").endswith("will be sent again (the disk is full)")
        waited(lambda: done(browser) == 2)
        assert text(browser, "#saving") == "saved"
        assert len(desk.store.standing()) == 2


@contextmanager
def served_too(review):
    """Yield what tells which screener a service has that serves the one of a review."""
    settings = ServiceSettings({"stripes": review.saved}, port=0, reload_every=0.1)
    with listening(create_app(settings), settings) as address:

        def told():
            with urlopen(f"{address}/v1/info") as answer:
                return json.load(answer)["screeners"][0]["screen_id"]

        yield told


def test_two_people_from_the_first_image_to_the_updated_screener(browsers, review):
    truth = {f"{i:03}.png": CLASSES[i % 3] for i in range(40)}
    old = Screener.load(review.saved.folder, None).id
    with served(replace(review, plan=Plan(explore=0.25, second=0.2))) as (address, desk), served_too(review) as told:
        for browser, name in zip(browsers, ("Ann", "Ben"), strict=True):
            quiet(browser)  # of tests before
            browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
            sign_in(browser, address, name)
        assert shown(browsers[0]) != shown(browsers[1])
        press(browsers[0], "h")
        waited(lambda: "where the classifier looks for" in text(browsers[0], "#heat-words"))
        press(browsers[0], "e")
        waited(lambda: "most like it in p_wrong" in text(browsers[0], "#why"))
        waited(lambda: "Nearest known-good images" in text(browsers[0], "#near"))
        left = list(browsers)
        while left:
            for browser in list(left):
                if browser.execute_script(FINISHED):
                    left.remove(browser)
                else:
                    named(browser, truth)
        answers = desk.store.standing()
        twice = len(answers) - len({one.item for one in answers})
        assert len({one.item for one in answers}) == 40
        assert 0 < twice <= len(desk.settings.plan.second_look(40))
        first = browsers[0]
        first.get(f"{address}/desk/progress")
        assert "100.0% equal" in text(first, "#people + .panel")
        assert "each of which has an answer" in text(first, "#all + .panel")
        assert "Every image of the ranking has an answer." in text(first, ".lead")
        clicked(first, ".chip.main")
        waited(lambda: "Nothing has been changed yet" in text(first, ".lead"))
        assert "log loss on the new labels" in text(first, ".panel")
        assert Screener.load(review.saved.folder, None).id == old == told()
        clicked(first, ".chip.main")
        waited(lambda: "has learnt from these labels" in text(first, ".lead"))
        assert f"kept in screener.{old}" in text(first, ".panel")
        waited(lambda: told() == Screener.load(review.saved.folder, None).id)  # whoever serves it has the new one
        assert [one for browser in browsers for one in quiet(browser)] == []
    assert Screener.load(review.saved.folder, None).id != old
    assert (review.out / "review_labels.csv").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(browser, review, scheme):
    if (path := os.environ.get("AXE_CORE")) is None:
        pytest.skip("AXE_CORE does not name axe.min.js: npm install axe-core")
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    with served(review) as (address, _):
        browser.get(f"{address}/desk")
        found = violations(browser, path)
        browser.get(f"{address}/session")
        found += violations(browser, path)
        sign_in(browser, address, "Ann")
        press(browser, "n", "c")
        found += violations(browser, path)
        press(browser, "\ue00c", "?")  # escape
        found += violations(browser, path)
        browser.get(f"{address}/desk/progress")
        found += violations(browser, path)
        clicked(browser, ".chip.main")
        waited(lambda: "Nothing" in text(browser, ".lead"))
        found += violations(browser, path)
    assert found == []


BOTTOM = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"


@contextmanager
def phone(browser):
    small = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", small)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_phone_shows_all_of_it_and_takes_a_thumb(browser, made):
    with phone(browser):
        with served(made(["a" * 180 + ".png", *HOSTILE], MANY)) as (address, desk):
            sign_in(browser, address, "Ann of a very long name that goes on and on")
            assert browser.execute_script(WIDER) == []
            assert browser.execute_script(BOTTOM, "#choices button") < 740
            assert browser.execute_script(BOTTOM, ".desk [data-key=u]") <= 740
            browser.execute_script("document.getElementById('class-name').focus()")
            # The lower half is where the phone's keyboard comes.
            top = "return document.getElementById('class-list').getBoundingClientRect().top"
            waited(lambda: browser.execute_script(top) < 370)
            browser.execute_script("document.activeElement.blur(); scrollTo(0, 9999)")
            clicked(browser, "#choices button")
            waited(lambda: done(browser) == 1)
            whole = "return document.getElementById('stage').getBoundingClientRect().top"
            waited(lambda: browser.execute_script(whole) >= 40)  # below the bar, however far one had scrolled
            clicked(browser, "[data-key=u]")
            waited(lambda: desk.store.standing() == [])
            browser.get(f"{address}/desk/progress")
            assert browser.execute_script(WIDER) == []


def test_zoom_moves_by_keys_and_clicks_and_ends(browser, made):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    with served(made(4, CLASSES)) as (address, desk):
        sign_in(browser, address, "Ann")
        wide = "return document.getElementById('frame').clientWidth / document.getElementById('stage').clientWidth"
        at = "return document.getElementById('stage').scrollLeft"
        for times in (2, 4, 1):
            press(browser, "z")
            assert browser.execute_script(wide) == pytest.approx(times, rel=0.05)
            if times == 4:
                before = browser.execute_script(at)
                press(browser, Keys.ARROW_RIGHT)
                waited(lambda before=before: browser.execute_script(at) > before)
        assert desk.store.standing() == []
        before = browser.execute_script(at)
        side = browser.execute_script("return document.getElementById('stage').clientWidth")
        stage = browser.find_element("id", "stage")
        for _ in range(2):
            ActionChains(browser).move_to_element_with_offset(stage, side // 3, 0).click().perform()
        assert browser.execute_script(wide) == pytest.approx(4, rel=0.05)
        assert browser.execute_script(at) > 1.6 * side  # to the right of the middle, where it was clicked
        browser.find_element("id", "zoom").click()
        keyed(browser, Keys.ENTER)


# ---- several labels


def outputs_of_several(n, seed):
    """N images of three labels, of which about one decision in twelve is wrong."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3)) * 3 + [0, -1, 1]
    truth = (latent + rng.logistic(size=(n, 3)) > 0).astype(int)
    ids = [f"{seed}-{i:03}.png" for i in range(n)]
    return ModelOutputs(ids=ids, logits=latent.astype(np.float32), labels=truth, task="multilabel")


@pytest.fixture
def several(tmp_path):
    """Settings of a review of images of several labels, and what they truly are."""
    known, seen = outputs_of_several(200, 0), outputs_of_several(40, 2)
    good = ModelOutputs(ids=known.ids, logits=known.logits, labels=known.predictions, task="multilabel")
    screener = Screener.fit_outputs(good, outputs_of_several(500, 1), classes=CLASSES)
    screener.save(tmp_path / "screener")
    write_screening(tmp_path / "out", screener.screen_outputs(seen).table, tmp_path / "images")
    truth = {name: {CLASSES[k] for k in np.flatnonzero(row)} for name, row in zip(seen.ids, seen.labels, strict=True)}
    return DeskSettings(tmp_path / "out", SavedScreener(tmp_path / "screener"), plan=Plan(explore=0.2)), truth


def chosen(browser):
    chips = browser.execute_script(
        "return [...document.querySelectorAll('#chosen .chip')].map((one) => one.textContent)"
    )
    return {one.removesuffix(" ✕") for one in chips}


def labelled(browser, truth):
    """Put labels on and off until they are those that an image has, and confirm them."""
    from selenium.webdriver.common.keys import Keys

    name = shown(browser)
    for label in sorted(chosen(browser) ^ truth[name]):
        press(browser, "c", label, Keys.ENTER)
    assert chosen(browser) == truth[name]
    press(browser, Keys.ENTER)
    waited(lambda: text(browser, "#saving") == "saved" and goes_on(browser, name))


def test_several_labels_from_the_first_image_to_the_updated_screener(browser, several):
    from selenium.webdriver.common.keys import Keys

    settings, truth = several
    old = Screener.load(settings.saved.folder, None).id
    with served(settings) as (address, desk):
        sign_in(browser, address, "Ann")
        assert "no heat maps and explanations: " in text(browser, ".note")  # it was fitted without a network
        assert browser.execute_script("return document.getElementById('heat')") is None
        name, said = shown(browser), chosen(browser)
        with phone(browser):
            assert browser.execute_script(BOTTOM, "#confirm") <= 740  # in sight, however many labels there are
            assert browser.execute_script(WIDER) == []
        if (path := os.environ.get("AXE_CORE")) is not None:
            assert violations(browser, path) == []
        other = said ^ {"cat"}
        press(browser, "c", "cat", Keys.ENTER)
        assert text(browser, "#how-many") == {0: ": none", 1: ", 1 label"}.get(len(other), f", {len(other)} labels")
        press(browser, Keys.ENTER)
        waited(lambda: shown(browser) != name)
        settled(browser)
        press(browser, "u")
        waited(lambda: shown(browser) == name)
        waited(lambda: chosen(browser) == other)  # what was chosen need not be chosen again
        browser.execute_script("document.querySelector('#choices button').focus()")
        press(browser, Keys.SPACE, Keys.SPACE)
        assert browser.execute_script("return document.activeElement === document.querySelector('#choices button')")
        assert chosen(browser) == other
        press(browser, "x")
        waited(lambda: shown(browser) != name)
        while not browser.execute_script(FINISHED):
            labelled(browser, truth)
        assert {one.answer.kind for one in desk.store.standing()} == {Kind.CLASS, Kind.UNUSABLE}
        browser.get(f"{address}/desk/progress")
        wrong = sum(truth[one] != answered(said) for one, said in predictions(settings).items() if one != name)
        assert text(browser, ".tile.caught .value") == str(wrong)
        clicked(browser, ".chip.main")
        waited(lambda: "Nothing has been changed yet" in text(browser, ".lead"))
        assert Screener.load(settings.saved.folder, None).id == old
        clicked(browser, ".chip.main")
        waited(lambda: "has learnt from these labels" in text(browser, ".lead"))
        assert quiet(browser) == []
    assert Screener.load(settings.saved.folder, None).id != old
    found = evaluate_folder(settings.out, settings.out / "review_labels.csv")
    assert (found.evaluation.n, found.evaluation.n_errors) == (39, wrong)


def predictions(settings):
    table = Verdicts.read(settings.out).table
    return dict(zip(table["file_name"].to_pylist(), table["predicted_label"].to_pylist(), strict=True))


def answered(text):
    return set(text.split(";")) - {"(no label)", ""}
