"""Slices: a real cause is found, a hard class is not taken for one, and luck is called a cause at most at the level."""

import json

import numpy as np
import pyarrow as pa
import pytest

from uncertainty.errors import InputError
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.slices import QUALITY_SLICES, slice_report
from uncertainty.images.quality import QUALITY_NAMES

USUAL = {name: [0.2, 0.8] for name in QUALITY_NAMES}


def outcomes(n, seed, extra=None, rate=None, quality=True, camera=None):
    """n images of four classes, the fourth hard; `extra` (n,) is added to the probability of an error."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    chance = np.array([0.05, 0.05, 0.1, 0.4])[truth] if rate is None else np.full(n, rate)
    wrong = rng.random(n) < chance + (0 if extra is None else extra)
    predicted = np.where(wrong, (truth + rng.integers(1, 4, n)) % 4, truth)
    found = Outcomes.from_arrays(truth, predicted, classes=list("abcd"))
    columns = {"flagged": rng.random(n) < 0.2}
    if quality:
        columns |= {f"quality_{name}": pa.array(rng.random(n), pa.float32()) for name in QUALITY_NAMES}
    if camera is not None:
        columns["meta_camera"] = camera
    object.__setattr__(found, "table", pa.table(columns))
    return found


def named(report):
    return {one.name: one for one in report.slices}


def with_column(found, name, values):
    table = found.table.drop_columns([name]) if name in found.table.column_names else found.table
    object.__setattr__(found, "table", table.append_column(name, pa.array(values)))
    return found


def test_dark_images_are_found_and_nothing_else():
    brightness = np.random.default_rng(1).random(2000).astype(np.float32)
    found = with_column(outcomes(2000, 2, extra=0.2 * (brightness < 0.2)), "quality_brightness", brightness)
    report = slice_report(found, usual=USUAL)
    assert report.tests == len(report.slices) == len(QUALITY_SLICES)
    dark = report.slices[0]
    assert (dark.name, dark.by, dark.conclusion) == ("dark", "quality_brightness", "more errors")
    assert {one.conclusion for one in report.slices[1:]} == {"no evidence"}
    inside = brightness < 0.2
    assert (dark.n, dark.n_rest) == (inside.sum(), (~inside).sum())
    assert dark.n_errors == (found.wrong & inside).sum()
    assert dark.error_rate_rest == pytest.approx(found.wrong[~inside].mean())
    assert dark.low < dark.error_rate < dark.high
    assert dark.odds_ratio > 1.5
    assert dark.flagged_share == pytest.approx(np.array(found.table["flagged"])[inside].mean())
    assert "brightness below 0.2" in dark.definition
    assert dark.macro.recall is not None
    assert dark.confused_pairs[0].count >= dark.confused_pairs[-1].count


def test_slices_that_come_together_say_so():
    rng = np.random.default_rng(1)
    dark = rng.random(2000) < 0.3
    found = outcomes(2000, 2, extra=0.3 * dark)
    with_column(found, "quality_brightness", np.where(dark, 0.1, 0.5).astype(np.float32))
    with_column(found, "quality_contrast", np.where(dark & (rng.random(2000) < 0.8), 0.1, 0.5).astype(np.float32))
    slices = named(slice_report(found, usual=USUAL))
    assert slices["low_contrast"].overlaps == (("dark", 1.0),)
    ((name, share),) = slices["dark"].overlaps
    assert (name, share) == ("low_contrast", pytest.approx(0.8, abs=0.05))
    assert slices["light" if "light" in slices else "noisy"].overlaps == ()


def test_dark_images_of_a_hard_class_are_no_cause():
    found = outcomes(3000, 3)
    rng = np.random.default_rng(4)
    dark = rng.random(3000) < np.where(found.truth == 3, 0.6, 0.1)
    with_column(found, "quality_brightness", np.where(dark, 0.1, 0.5).astype(np.float32))
    report = slice_report(found, usual=USUAL, by=["dark"])
    (one,) = report.slices
    assert one.p_holm < 1e-6
    assert one.conclusion == "explained by class"
    assert one.error_rate_expected == pytest.approx(one.error_rate, abs=0.04)


def test_a_camera_with_fewer_errors():
    camera = np.array(["roof", "door", "gate"])[np.arange(1500) % 3]
    found = outcomes(1500, 5, extra=0.2 * (camera != "gate"), camera=camera)
    slices = named(slice_report(found, by=["camera"]))
    assert set(slices) == {"camera = roof", "camera = door", "camera = gate"}
    assert slices["camera = gate"].conclusion == "fewer errors"


@pytest.mark.parametrize("repeats", [50, pytest.param(200, marks=pytest.mark.simulation)])
def test_luck_is_called_a_cause_at_most_at_the_level(repeats):
    """Data sets of nothing, each with 12 slices by quality and 3 cameras: one in twenty may cry wolf, and 3 sigmas."""
    alarms = 0
    for seed in range(repeats):
        camera = np.random.default_rng(seed).choice(["roof", "door", "gate"], 250)
        report = slice_report(outcomes(250, 10_000 + seed, camera=camera), usual=USUAL)
        alarms += any(one.conclusion in ("more errors", "fewer errors") for one in report.slices)
    assert alarms <= 0.05 * repeats + 3 * np.sqrt(0.05 * 0.95 * repeats)


def test_without_known_good_images_the_tenths_of_the_batch():
    report = slice_report(outcomes(400, 6))
    dark = named(report)["dark"]
    assert dark.n == 40
    assert "the lowest tenth of these images" in dark.definition


def test_what_cannot_be_compared_is_said():
    camera = [f"camera {i}" for i in range(200)]
    found = with_column(outcomes(200, 7, quality=False, camera=camera), "meta_site", ["one"] * 200)
    with_column(found, "meta_person", ["Ann"] * 5 + ["Bo"] * 195)
    report = slice_report(found)
    assert report.slices == ()
    why = {one.by: one.why for one in report.skipped}
    assert why["camera"].startswith("200 different values")
    assert why["site"] == "the same in all images"
    assert why["person = Ann"].startswith("5 images and 195 others")
    json.dumps(report.to_json(), allow_nan=False)


def test_numbers_are_cut_into_quarters_and_gaps_left_out():
    ages = [None, *map(str, range(199))]
    report = slice_report(with_column(outcomes(200, 8, quality=False), "meta_age", ages))
    names = {one.name: one.n for one in report.slices}
    assert names == {
        "age up to 49.5": 50,
        "age above 49.5 up to 99": 50,
        "age above 99 up to 148.5": 49,
        "age above 148.5": 50,
    }
    assert {one.n + one.n_rest for one in report.slices} == {199}


def test_all_images_dark_can_be_no_contrast():
    found = with_column(outcomes(100, 9), "quality_brightness", np.full(100, 0.1, np.float32))
    report = slice_report(found, usual=USUAL, by=["brightness"])
    assert report.slices == ()
    assert [one.why.split(" (")[0] for one in report.skipped] == ["100 images and 0 others", "0 images and 100 others"]


def test_nothing_wrong_and_no_columns():
    right = Outcomes.from_arrays([0] * 50, [0] * 50)
    assert slice_report(right).slices == ()
    with_column(right, "meta_camera", ["a", "b"] * 25)
    report = slice_report(right)
    assert {one.p for one in report.slices} == {1.0}
    assert {one.odds_ratio for one in report.slices} == {None}


def test_multilabel_slices():
    rng = np.random.default_rng(1)
    truth = rng.random((400, 3)) < 0.4
    dark = rng.random(400) < 0.3
    said = truth ^ (rng.random((400, 3)) < np.where(dark, 0.3, 0.05)[:, None])
    found = Outcomes.from_arrays(truth, said, task="multilabel")
    with_column(found, "quality_brightness", np.where(dark, 0.1, 0.5).astype(np.float32))
    (one,) = slice_report(found, usual=USUAL, by=["dark"]).slices
    assert one.conclusion == "more errors"


def test_an_unknown_slice_names_what_there_is():
    with pytest.raises(InputError, match=r"nothing to slice by 'dusky'; there is dark, light, .*brightness.*, camera"):
        slice_report(outcomes(20, 1, camera=["a"] * 20), by=["dusky"])
    with pytest.raises(InputError, match="there is nothing"):
        slice_report(outcomes(20, 1, quality=False), by=["dark"])
