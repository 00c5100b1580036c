"""Do promises about the flags hold, and what do they cost:
python -m experiments.decisions.guarantees --data FOLDER."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments.decisions.guarantees_page import ASKED, CONFIDENCE, SHARES, SIZES, TARGETS, document
from experiments.shared import results_file, splits
from experiments.shared.command_line import Options, options, say
from experiments.shared.fitted_screener import fitted
from uncertainty import ModelOutputs
from uncertainty.combination.evidence import Shares, evidence
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.mixture import Signals, expit
from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, decide
from uncertainty.decisions.policies import Policy
from uncertainty.screener.fit import learnt

RESAMPLES = 2000
FITS, REAL_FITS = {100: 100, 300: 200, 1000: 100}, {300: 40, 1000: 40}
"""Calibration sizes, and how often the combiner is fitted anew to so many images."""
_SYNTHETIC, _SCORES, _OTHERS = 200_000, 5, 20_000


@dataclass(frozen=True, eq=False)
class Population:
    """All images there are: what p_wrong says of each, whether it is wrong, and its predicted class."""

    p_wrong: np.ndarray
    wrong: np.ndarray
    predicted: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> HeldOut:
        """Draw calibration images, each independently of the others; from a sorted population they come sorted."""
        rows = np.sort(rng.integers(0, len(self.p_wrong), n))
        nothing = np.zeros((n, 0))
        return HeldOut(
            p_wrong=self.p_wrong[rows],
            weights=np.ones(n, dtype=np.float32),
            wrong=self.wrong[rows],
            condition=np.zeros(n, dtype=np.int64),
            groups=np.arange(n),
            certifying=np.zeros(n, dtype=bool),
            signals=Signals(nothing, nothing, self.predicted[rows]),
        )

    def part(self, rows: np.ndarray) -> Population:
        """Return the images of a mask, or at positions."""
        return Population(self.p_wrong[rows], self.wrong[rows], self.predicted[rows])

    def ordered(self) -> Population:
        """Return the same images in rising order of p_wrong."""
        return self.part(np.argsort(self.p_wrong, kind="stable"))


class Truth:
    """What a threshold does to a whole population, and the best that one could do."""

    def __init__(self, population: Population) -> None:
        ordered = population.ordered()
        self.p_wrong, self.wrong_below = ordered.p_wrong, np.concatenate([[0], np.cumsum(ordered.wrong)])

    def below(self, threshold: float) -> int:
        """Return how many images are not flagged."""
        return int(np.searchsorted(self.p_wrong, np.float32(threshold), side="left"))

    def bad_share(self, kind: str, threshold: float) -> float:
        """Return what the promise limits: the error rate of what is not flagged, or the share of errors missed."""
        accepted = self.below(threshold)
        whole = accepted if kind == "max_error" else self.wrong_below[-1]
        return float(self.wrong_below[accepted] / whole) if whole else 0.0

    def coverage(self, threshold: float) -> float:
        """Return the share of images that are not flagged."""
        return self.below(threshold) / len(self.p_wrong)

    def oracle(self, kind: str, target: float) -> float:
        """Return the largest coverage that keeps the target, where everything is known."""
        ends = np.append(np.flatnonzero(np.diff(self.p_wrong)) + 1, len(self.p_wrong))
        bad = self.wrong_below[ends]
        kept = ends[bad <= target * (ends if kind == "max_error" else self.wrong_below[-1])]
        return float(kept.max(initial=0) / len(self.p_wrong))


def synthetic(seed: int = 0) -> tuple[Population, Population]:
    """Make images whose p_wrong is right on average but not for each; the second has ties: two digits of p_wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-3.3, 1.9, _SYNTHETIC)
    p = expit(truth + rng.normal(0, 0.7, _SYNTHETIC)).astype(np.float32)
    predicted = rng.choice(10, _SYNTHETIC, p=np.array([30, 20, 15, 10, 8, 6, 5, 3, 2, 1]) / 100)
    smooth = Population(p, rng.random(_SYNTHETIC) < expit(truth), predicted)
    return smooth, replace(smooth, p_wrong=p.round(2))


def policy(asked: str, target: float) -> Policy:
    """Return the policy for a limit of bad rows: the error of what is not flagged, or the errors missed."""
    per_class = asked.endswith("per class")
    if asked.startswith("min_recall"):
        return Policy.of(min_recall=1 - target, confidence=CONFIDENCE, per_class=per_class)
    method = "sgr" if asked.endswith("SGR") else "fixed-sequence"
    return Policy.of(max_error=target, confidence=CONFIDENCE, per_class=per_class, method=method)


def resampled(
    population: Population, asked: Sequence[tuple[str, float]], n: int, resamples: int, seed: int
) -> list[dict[str, float]]:
    """Draw calibration sets again and again; count how often each promise was made, and broken in the population.

    `asked` are pairs of one of ASKED and a target; all are asked of the same draws.
    """
    rng = np.random.default_rng([seed, n])
    population = population.ordered()
    parts, every = _Parts(population), tuple(np.unique(population.predicted).tolist())
    wanted = [(policy(*one), one[0].split()[0]) for one in asked]
    found = np.empty((resamples, len(asked), 3))
    for row in range(resamples):
        drawn = population.draw(n, rng)
        found[row] = [_judged(decide(policy, drawn), parts, kind, every) for policy, kind in wanted]
    return [
        {
            "violations": float((bad > target + 1e-12).mean()),
            "certified": float(certified.mean()),
            "coverage": float(coverage.mean()),
            "oracle": parts.of(every).oracle(kind, target),
        }
        for (_, target), (_, kind), (bad, coverage, certified) in zip(
            asked, wanted, found.transpose(1, 2, 0), strict=True
        )
    ]


class _Parts:
    """The truth of groups of classes, each worked out once."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.known: dict[tuple[int, ...], Truth] = {}

    def of(self, classes: tuple[int, ...]) -> Truth:
        if classes not in self.known:
            self.known[classes] = Truth(self.population.part(np.isin(self.population.predicted, classes)))
        return self.known[classes]


def _judged(decision: Decision, parts: _Parts, kind: str, every: tuple[int, ...]) -> tuple[float, float, bool]:
    """Return the worst group's bad share, the coverage of all, and whether anything was promised."""
    bad, covered = 0.0, 0.0
    for line in decision.lines:
        truth = parts.of(line.classes or every)
        bad = max(bad, truth.bad_share(kind, line.threshold))
        covered += truth.below(line.threshold)
    return bad, covered / len(parts.population.p_wrong), any(line.certified for line in decision.lines)


def made_evidence(n: int, rng: np.random.Generator) -> Evidence:
    """Make signals of n images: five scores, each with its own part of the evidence, bent and noisy."""
    hidden = rng.normal(size=(n, _SCORES))
    log_odds = -3.2 + hidden @ np.array([1.2, 0.8, 0.6, 0.3, 0.0]) + 0.3 * hidden[:, 0] * (hidden[:, 0] > 0)
    nothing, zero = np.zeros((n, 0)), np.zeros(n, dtype=np.int64)
    return Evidence(
        names=tuple(f"score_{k}" for k in range(_SCORES)),
        scales=("plain",) * _SCORES,
        start=np.array([np.inf, 0.0, 0.0, 0.0, 0.0]),
        posterior=np.zeros(_SCORES, dtype=bool),
        signals=Signals(hidden + 0.4 * rng.normal(size=hidden.shape), nothing, rng.integers(0, 10, n)),
        classes=10,
        wrong=rng.random(n) < expit(log_odds),
        condition=zero,
        weights=np.ones(n),
        groups=np.arange(n),
    )


def refitted(evidence: Evidence | None, n: int, seed: int) -> dict[str, list[float]]:
    """Fit the combiner to n rows, decide, and measure on all others: (bad share, coverage) by share and target.

    Without evidence, rows are made, and 20,000 more to measure on.
    """
    rng = np.random.default_rng([seed, n])
    rows = made_evidence(n + _OTHERS, rng) if evidence is None else evidence
    chosen = np.zeros(len(rows.wrong), dtype=bool)
    chosen[: n if evidence is None else 0] = True
    if evidence is not None:
        chosen[rng.permutation(len(rows.wrong))[:n]] = True
    known, others, found = rows.take(chosen), rows.take(~chosen), {}
    for share in SHARES:
        certifying = np.zeros(n, dtype=bool)
        certifying[rng.permutation(n)[: round(share * n)]] = True
        combination, own = learnt(known, certifying=certifying, seed=seed)
        p_wrong = combination.combiner.p_wrong(others.signals).astype(np.float32)
        truth = Truth(Population(p_wrong, others.wrong, others.signals.predicted))
        kept = HeldOut.of(known, own, certifying)
        for target in TARGETS:
            for kind in ("max_error", "min_recall"):
                threshold = decide(policy(kind, target), kept).lines[0].threshold
                found[f"{share} {kind} {target}"] = [truth.bad_share(kind, threshold), truth.coverage(threshold)]
    return found


def end_to_end(evidence: Evidence | None, n: int, resamples: int) -> dict[str, dict[str, float]]:
    """Repeat `refitted` and count broken promises."""
    runs = [refitted(evidence, n, seed) for seed in range(resamples)]
    counted = {}
    for key in runs[0]:
        bad, coverage = np.array([run[key] for run in runs]).T
        target = float(key.split()[-1])
        counted[key] = {"violations": float((bad > target).mean()), "coverage": float(coverage.mean())}
    return counted


def real_populations(chosen: Options) -> tuple[dict[str, Population], dict[str, Evidence]]:
    """Read the real images: what screeners say of images they have not seen, and the signals of all labelled rows."""
    makers: dict[str, tuple[Any, range]] = {"Digits": (splits.digits_split, range(4))}
    if chosen.data is not None:
        makers["CIFAR-10"] = (splits.cifar10_maker(chosen.data, chosen.cache), range(1))
    backbone = splits.solar_backbone(chosen.cache, chosen.data)
    makers["Solar cells"] = (lambda seed: splits.solar_split(backbone, seed), range(3))
    populations, labelled = {}, {}
    for name, (make, seeds) in makers.items():
        cuts = [make(seed) for seed in seeds]
        screeners = [fitted(cut) for cut in cuts]
        tests = [cut.test_clean for cut in cuts]
        populations[name] = Population(
            p_wrong=np.concatenate([s.p_wrong(test) for s, test in zip(screeners, tests, strict=True)]),
            wrong=np.concatenate([test.wrong for test in tests]),
            predicted=np.concatenate([test.predictions for test in tests]),
        )
        every = ModelOutputs.concatenate([cuts[0].calibration, cuts[0].test_clean])
        labelled[name] = evidence(screeners[0].estimators, every, (None, None), Shares(0.0, 0.0))
        say(f"{name}: {len(populations[name].p_wrong)} images, {populations[name].wrong.mean():.1%} wrong")
    return populations, labelled


def measured(population: Population, resamples: int) -> dict[str, Any]:
    """Make promises from many calibration sets of a population; JSON values, by what is asked, size and target."""
    found: dict[str, Any] = {"images": len(population.p_wrong), "error_rate": float(population.wrong.mean())}
    for n in SIZES:
        say(f"guarantees: {n} calibration images")
        asked = [(one, target) for one in ASKED for target in TARGETS if n in ASKED[one] and target in ASKED[one][n]]
        for (one, target), numbers in zip(asked, resampled(population, asked, n, resamples, seed=0), strict=True):
            found.setdefault(one, {}).setdefault(str(n), {})[str(target)] = numbers
    return found


def measured_end_to_end(labelled: dict[str, Evidence], resamples: int) -> dict[str, Any]:
    """Fit the combiner to many calibration sets; JSON values."""
    found: dict[str, Any] = {}
    for name, rows in {"Synthetic": None, **labelled}.items():
        sizes = FITS if rows is None else {n: times for n, times in REAL_FITS.items() if 2 * n <= len(rows.wrong)}
        found[name] = {}
        for n, most in sizes.items():
            say(f"guarantees, combiner fitted anew: {name}, {n} images")
            times = min(most, resamples)
            found[name][str(n)] = {"fits": times, **end_to_end(rows, n, times)}
    return found


def main(chosen: Options, resamples: int = RESAMPLES) -> None:
    """Measure, write numbers and page, print the page."""
    real, labelled = real_populations(chosen)
    populations = {"Synthetic": synthetic()[0], **real}
    result = {
        "resamples": resamples,
        "confidence": CONFIDENCE,
        "populations": {name: measured(population, resamples) for name, population in populations.items()},
        "end_to_end": measured_end_to_end(labelled, resamples),
    }
    results_file.publish(chosen.out, "guarantees", result, document)


if __name__ == "__main__":
    main(options(__doc__))
