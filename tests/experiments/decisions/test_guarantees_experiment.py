"""Promises hold over thousands of draws, small ones made here, and the committed ones of the experiment."""

import json

import numpy as np
import pytest

from experiments.decisions import guarantees, guarantees_page
from experiments.shared import results_file

DRAWS = pytest.mark.parametrize("draws", [100, pytest.param(400, marks=pytest.mark.simulation)])


@pytest.fixture(scope="module")
def populations():
    smooth, tied = guarantees.synthetic()
    few = np.arange(len(smooth.p_wrong)) < 40_000
    return {"smooth": smooth.part(few), "ties": tied.part(few)}


@DRAWS
@pytest.mark.parametrize("name", ["smooth", "ties"])
@pytest.mark.parametrize(("n", "target"), [(300, 0.1), (1000, 0.05)])
def test_promises_are_broken_no_more_often_than_said(populations, name, n, target, draws):
    asked = [(one, target) for one in guarantees_page.ASKED]
    for one, found in zip(asked, guarantees.resampled(populations[name], asked, n, draws, seed=1), strict=True):
        assert found["violations"] <= guarantees_page.most_violations(draws), one
        assert found["certified"] > 0, one


@DRAWS
def test_p_wrong_that_is_far_too_low_or_random_breaks_no_promise(populations, draws):
    """The start may be poor; the promise holds."""
    smooth = populations["smooth"]
    for p_wrong in (smooth.p_wrong**3, np.random.default_rng(0).random(len(smooth.p_wrong)).astype(np.float32)):
        misled = guarantees.Population(p_wrong, smooth.wrong, smooth.predicted)
        asked = [("max_error", target) for target in (0.05, 0.1, 0.2)]
        for found in guarantees.resampled(misled, asked, 500, draws, seed=2):
            assert found["violations"] <= guarantees_page.most_violations(draws)


def test_coverage_comes_close_to_that_of_one_who_knows_all(populations):
    asked = [("max_error", 0.1), ("max_error by SGR", 0.1)]
    found, sgr = guarantees.resampled(populations["smooth"], asked, 5000, 50, seed=3)
    assert found["oracle"] - found["coverage"] < 0.03
    assert found["coverage"] > sgr["coverage"]


def test_committed_promises_were_kept_and_the_page_is_what_the_numbers_give():
    folder = results_file.RESULTS
    result = json.loads((folder / "guarantees.json").read_text("utf-8"))
    assert (folder / "guarantees.md").read_text("utf-8") == guarantees_page.document(result)
    assert result["resamples"] >= 2000
    for name, population in result["populations"].items():
        for asked in guarantees_page.ASKED:
            for n, by_target in population[asked].items():
                for target, found in by_target.items():
                    assert found["violations"] <= guarantees_page.most_violations(2000), (name, asked, n, target)


def test_committed_promises_were_kept_with_the_combiner_fitted_anew():
    result = json.loads((results_file.RESULTS / "guarantees.json").read_text("utf-8"))
    for n, found in result["end_to_end"]["Synthetic"].items():
        for key, numbers in found.items():
            if key != "fits":
                assert numbers["violations"] <= guarantees_page.most_violations(found["fits"]), (n, key)


def test_fitting_anew_is_judged_on_images_that_fitted_nothing():
    rng = np.random.default_rng(0)
    rows = guarantees.made_evidence(900, rng)
    found = guarantees.refitted(rows, 300, seed=0)
    assert len(found) == 2 * 2 * len(guarantees_page.TARGETS)
    for bad, coverage in found.values():
        assert 0 <= bad <= 1
        assert 0 <= coverage <= 1
    assert guarantees.refitted(rows, 300, seed=0) == found
