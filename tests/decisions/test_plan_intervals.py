"""Intervals of a plan hold over many calibration sets, or there is none."""

import numpy as np
import pytest
from scipy import stats

from tests.decisions.test_decide import rows
from uncertainty.decisions.decide import decide
from uncertainty.decisions.plans import plan
from uncertainty.decisions.policies import Policy

KINDS = ("flagged", "caught", "left", "precision")
ABOUT = {"max_error": "left", "min_recall": "caught", "min_precision": "precision"}


def drawn(n, rate, rng):
    """Images whose p_wrong tells much of the errors; `rate` of them are errors."""
    wrong = rng.random(n) < rate
    score = 1 / (1 + np.exp(-(rng.normal(size=n) + 2.5 * wrong - 2)))
    return rows(score, wrong)


def share(hits):
    return hits.mean() if len(hits) else 0.0


def covered(policy, n, errors, draws):
    """Of each kind how many intervals there were, and how many held the value in a population."""
    rng = np.random.default_rng(n + errors)
    population = drawn(20_000, errors / n, rng)
    counts = {kind: [0, 0] for kind in KINDS}
    for _ in range(draws):
        held = drawn(n, errors / n, rng)
        decision = decide(policy, held)
        flags, wrong = decision.flags(population.p_wrong, population.predicted), population.wrong
        truth = {"flagged": share(flags), "caught": share(flags[wrong])}
        truth |= {"left": share(wrong[~flags]), "precision": share(wrong[flags])}
        line = plan(decision, held, ["a"]).whole
        for kind in KINDS:
            found = getattr(line, kind)
            if found.value is not None and found.low is not None:
                counts[kind][0] += 1
                counts[kind][1] += found.low - 1e-9 <= truth[kind] <= found.high + 1e-9
    return counts


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "errors"), [(40, 2), (40, 8), (200, 5), (200, 20), (1000, 100)])
@pytest.mark.parametrize(
    "policy",
    [Policy.of(budget=0.1), Policy.of(max_error=0.05), Policy.of(min_recall=0.7), Policy.of(min_precision=0.6)],
    ids=str,
)
def test_the_intervals_of_a_plan_hold(policy, n, errors):
    for kind, (there, held) in covered(policy, n, errors, draws=300).items():
        assert held >= stats.binom.ppf(0.001, there, 0.93) if there else True, f"{kind}: {held} of {there}"


@pytest.mark.parametrize("kind", ABOUT)
def test_what_a_certified_promise_is_about_has_no_interval(kind):
    held = drawn(2000, 0.1, np.random.default_rng(0))
    share = {"max_error": 0.05, "min_recall": 0.6, "min_precision": 0.5}[kind]
    decision = decide(Policy.of(**{kind: share}), held)
    assert not decision.void
    line = plan(decision, held, ["a"]).whole
    withheld = {name for name in KINDS if getattr(line, name).low is None}
    assert withheld == {ABOUT[kind]}
    assert "no interval: what is promised holds, and these images chose the threshold" in str(plan(decision, held, "a"))
