"""What extra evidence is worth, in errors caught."""

import re
from dataclasses import replace

import numpy as np

from combination.test_fit import evidence
from uncertainty.combination.fit import combine
from uncertainty.combination.worth import gain
from uncertainty.metrics import auroc, errors_caught


def test_what_costs_extra_must_say_whether_it_earned_it():
    rows = evidence(n=1500, m=4, signal=1.5)
    first, noise = np.array([True, False, False, False]), np.array([False, False, False, True])
    without, with_it = (combine(part).out_of_fold for part in (rows.only(~first), rows))
    caught = [errors_caught(rows.wrong, p, 0.1) for p in (with_it, without)]
    assert gain(rows, combine(rows), first) == (
        f"gains: flagging 10% of calibration catches {caught[0]:.1%} of its errors with it and {caught[1]:.1%} without "
        f"(AUROC of errors {auroc(rows.wrong, with_it):.3f} and {auroc(rows.wrong, without):.3f})"
    )
    assert caught[0] > caught[1]
    assert gain(rows, combine(rows), ~noise | noise) == gain(rows, combine(rows), noise & ~noise) == ""


def test_noise_earns_nothing_or_next_to_nothing():
    rows = evidence(n=1500, m=4, signal=1.5)
    noise = np.array([False, False, False, True])
    scores = np.where(noise, rows.signals.scores[::-1], rows.signals.scores)
    noisy = replace(rows, signals=replace(rows.signals, scores=scores))
    told = gain(noisy, combine(noisy), noise)
    with_it, without = map(float, re.search(r"AUROC of errors ([\d.]+) and ([\d.]+)", told).groups())
    assert told.startswith("gains nothing") or with_it - without < 0.01
    assert not told.startswith("gains: ") or with_it > without


def test_without_errors_nothing_is_said():
    rows = evidence(n=100, errors=0)
    assert gain(rows, combine(rows), np.array([True, False, False, False])) == ""
