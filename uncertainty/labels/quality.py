"""How good labels are: how far annotators agree, and which labels are likely wrong."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uncertainty.errors import InputError
from uncertainty.metrics.intervals import Interval, exact_share

Answers = Mapping[str, Mapping[str, Hashable]]
"""Label by annotator and image."""
LEAST_RIGHT = 0.8
"""How often people are taken to be right at least, for each class."""
_ROUNDS, _ENOUGH = 100, 1e-6
_START = 0.95
_EVEN = 100  # chosen on CIFAR-10 with planted errors: uniform ones lose little by it, mixed-up classes gain
_AT_ONCE = 50
_FEWEST = 100


@dataclass(frozen=True)
class Agreement:
    """How far two annotators, or all (then `pair` is None), agree beyond chance on the n images that both labelled.

    `observed` is the share of equal answers; `kappa` is 1 for the same answers, 0 for agreement by chance, and does not
    exist (NaN) where all answers are one class.
    """

    pair: tuple[str, str] | None
    n: int
    observed: float
    kappa: Interval


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return Cohen's kappa of two annotators' labels of the same n images, with a 95 % interval, of a bootstrap over
    images where 100 answers differ and 100 agree, otherwise exact for the share that differ.

    κ = (p_o − p_e) / (1 − p_e), p_o the share of equal labels, p_e the share expected from how often each annotator
    says each class. From −1 to 1, NaN where p_e is 1. Cohen 1960. Raises InputError for n differing.

    Three of four are equal; each says "cat" half of the time or three times in four: p_e = ½·¾ + ½·¼ = ½:

    >>> round(cohen_kappa(["cat", "cat", "dog", "dog"], ["cat", "cat", "cat", "dog"], resamples=1).value, 3)
    0.5
    """
    if len(a) != len(b):
        raise InputError(f"{len(a)} labels and {len(b)} labels; both annotators must have labelled the same images")
    position = {label: k for k, label in enumerate(dict.fromkeys([*a, *b]))}
    pairs = np.array([[position[x], position[y]] for x, y in zip(a, b, strict=True)], dtype=np.int64).reshape(-1, 2)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    n = len(pairs)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    # Resampling rows is drawing the counts of the cells that occur.
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    values = [_kappas(cells, every, len(position)) for every in (counts[None], draws)]
    differing, value = float(counts[cells[:, 0] != cells[:, 1]].sum()) / n, float(values[0][0])
    said = [np.bincount(pairs[:, k], minlength=len(position)) / n for k in (0, 1)]
    return _of_agreement(value, values[1], differing, 1 - float(said[0] @ said[1]), n)


def _of_agreement(
    value: float, resampled: NDArray[np.float64], differing: float, by_chance: float, images: int
) -> Interval:
    """1 - D_o / D_e by the bootstrap, or, where answers seldom differ or agree, by the exact interval of D_o.

    No resample of equal answers holds different ones, so a bootstrap of few would say that there never are any.
    """
    if np.isnan(value) or min(differing, 1 - differing) * images >= _FEWEST:
        return Interval.of(value, resampled)
    low, high = exact_share(differing * images, images)
    return Interval(max(1 - high / by_chance, -1.0), value, min(1 - low / by_chance, 1.0))


def _kappas(cells: NDArray[np.int64], counts: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Kappa of each row of counts (r, cells); `cells` are pairs of positions."""
    n = counts.sum(axis=1)
    first, second = (counts @ (cells[:, k, None] == np.arange(classes)) / n[:, None] for k in (0, 1))
    observed, expected = counts @ (cells[:, 0] == cells[:, 1]) / n, (first * second).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = (observed - expected) / (1 - expected)
    return np.asarray(np.where(expected < 1 - 1e-12, kappa, np.nan))


def krippendorff_alpha(units: Sequence[Sequence[Hashable]], *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Return Krippendorff's alpha of labels of images, any number of annotators each, with a 95 % interval.

    α = 1 − D_o / D_e: the share of differing pairs of labels of one image, against that of any two labels. 1 for the
    same answers, 0 by chance, NaN where all labels are one class. Images with one label say nothing. Krippendorff 2011.

    Of two images one got cat, cat and the other cat, dog: D_o = ½, and D_e = (3·1 + 1·3) / (4·3) = ½:

    >>> krippendorff_alpha([["cat", "cat"], ["cat", "dog"]], resamples=1).value
    0.0
    """
    shared = [unit for unit in units if len(unit) > 1]
    position = {label: k for k, label in enumerate(dict.fromkeys(label for unit in shared for label in unit))}
    if not shared:
        return Interval(np.nan, np.nan, np.nan)
    counts = np.zeros((len(shared), len(position)))
    for row, unit in enumerate(shared):
        np.add.at(counts[row], [position[label] for label in unit], 1)
    rng, n = np.random.default_rng(seed), len(shared)
    values = [
        _alphas(counts, np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(part)]))
        for part in [_AT_ONCE] * (resamples // _AT_ONCE) + [resamples % _AT_ONCE] * bool(resamples % _AT_ONCE)
    ]
    value, labels = float(_alphas(counts, np.ones((1, n)))[0]), counts.sum()
    by_chance = (labels**2 - (counts.sum(axis=0) ** 2).sum()) / (labels * (labels - 1))
    return _of_agreement(value, np.concatenate(values), (1 - value) * by_chance, by_chance, n)


def _alphas(counts: NDArray[np.float64], times: NDArray[np.floating]) -> NDArray[np.float64]:
    """Alpha of images (u, c) that occur `times` (r, u)."""
    m = counts.sum(axis=1)
    differing = (m**2 - (counts**2).sum(axis=1)) / (m - 1)
    labels, said = times @ m, times @ counts
    expected = (labels**2 - (said**2).sum(axis=1)) / (labels - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = 1 - times @ differing / expected
    return np.asarray(np.where(expected > 0, alpha, np.nan))


def agreement(answers: Answers, *, resamples: int = 1000, seed: int = 0) -> list[Agreement]:
    """Return Cohen's kappa for each two annotators who share images, and for three or more Krippendorff's alpha of all.

    >>> told = {"ann": {"1": "cat", "2": "dog"}, "ben": {"1": "cat", "2": "dog", "3": "dog"}}
    >>> [(one.pair, one.n, one.observed) for one in agreement(told, resamples=10)]
    [(('ann', 'ben'), 2, 1.0)]
    """
    found = []
    for a, b in combinations(sorted(answers), 2):
        both = sorted(answers[a].keys() & answers[b].keys())
        if both:
            x, y = ([answers[who][name] for name in both] for who in (a, b))
            same = sum(p == q for p, q in zip(x, y, strict=True)) / len(both)
            found.append(Agreement((a, b), len(both), same, cohen_kappa(x, y, resamples=resamples, seed=seed)))
    if len(answers) > 2 and found:
        images = sorted({name for labels in answers.values() for name in labels})
        units = [[labels[name] for labels in answers.values() if name in labels] for name in images]
        shared = [unit for unit in units if len(unit) > 1]
        same = sum(len(set(unit)) == 1 for unit in shared) / len(shared)
        found.append(Agreement(None, len(shared), same, krippendorff_alpha(units, resamples=resamples, seed=seed)))
    return found


def class_beliefs(p_wrong: ArrayLike, predicted: ArrayLike, probs: ArrayLike) -> NDArray[np.float64]:
    """Return (n, c) how probable each class is by classifier and screener together, before any label is looked at.

    q(predicted) = 1 − p_wrong, and p_wrong is shared out among the others as the classifier's probabilities are.

    >>> class_beliefs([0.4], [0], [[0.9, 0.08, 0.02]]).round(2).tolist()
    [[0.6, 0.32, 0.08]]
    """
    q = np.array(probs, dtype=np.float64)
    rows, said = np.arange(len(q)), np.asarray(predicted, dtype=np.int64)
    wrong = np.asarray(p_wrong, dtype=np.float64)
    q[rows, said] = 0
    rest = q.sum(axis=1, keepdims=True)
    even = np.full_like(q, 1 / max(q.shape[1] - 1, 1))
    even[rows, said] = 0
    q = np.where(rest > 0, q / np.where(rest > 0, rest, 1), even) * wrong[:, None]
    q[rows, said] = 1 - wrong
    return q


def label_wrong(labels: ArrayLike, beliefs: ArrayLike) -> NDArray[np.float64]:
    """Return (n,) the probability that each label is wrong, 0..1, from (n, c) `beliefs` that no label entered.

    P(truth k | label l) ∝ q(k) · T(k, l); T(k, l), how often people say l for k, is learnt from these very rows by
    expectation maximisation; the score is 1 − P(l | l). So a label that differs from the prediction scores high where
    p_wrong is low, and higher where the same two classes are mixed up often. Each row of T is drawn towards errors that
    fall on all other classes alike, as if by 100 labels more, and people are right four times in five at least: what
    looks worse is beliefs that are too sure. A label of -1, of no class, is not judged: NaN. After Dawid and Skene
    1979, with the beliefs in place of other annotators.

    Two certain beliefs and one label against them:

    >>> q = np.repeat([[0.9, 0.1], [0.1, 0.9]], 50, axis=0)
    >>> said = np.repeat([0, 1], 50)
    >>> said[0] = 1
    >>> p = label_wrong(said, q)
    >>> int(p.argmax()), bool(p[0] > 10 * p[1:].max())
    (0, True)
    """
    return label_wrong_and_fit(labels, beliefs)[0]


def label_wrong_and_fit(
    labels: ArrayLike, beliefs: ArrayLike, least_right: float = LEAST_RIGHT
) -> tuple[NDArray[np.float64], float]:
    """Return `label_wrong` and the log-likelihood of the labels, Σ log Σ_k q(k) T(k, l): what beliefs foretell of them.

    `least_right` is how often people are right at least, for each class.
    """
    given, q = np.asarray(labels, dtype=np.int64), np.asarray(beliefs, dtype=np.float64)
    known, c = given >= 0, q.shape[1]
    score = np.full(len(given), np.nan)
    said, believed = given[known], q[known]
    truth, says = believed, _spread(_START, c)
    likelihood = np.ones(len(said))
    for _ in range(_ROUNDS):
        truth = believed * says[:, said].T
        likelihood = np.maximum(truth.sum(axis=1), np.finfo(np.float64).tiny)
        truth /= likelihood[:, None]
        counts = np.zeros((c, c))
        np.add.at(counts.T, said, truth)
        right = max((np.trace(counts) + c * _START) / (counts.sum() + c), least_right)
        new = _at_least(counts + _EVEN * _spread(right, c), least_right)
        change, says = np.abs(new - says).max(initial=0), new
        if change < _ENOUGH:
            break
    score[known] = np.clip(1 - truth[np.arange(len(said)), said], 0, 1)
    return score, float(np.log(likelihood).sum())


def _at_least(counts: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """(c, c) shares of each row of counts, with no less than `least` on the diagonal.

    >>> _at_least(np.array([[60.0, 20.0, 20.0], [0.0, 9.0, 1.0], [0.0, 0.0, 5.0]]), 0.8).round(2).tolist()
    [[0.8, 0.1, 0.1], [0.0, 0.9, 0.1], [0.0, 0.0, 1.0]]
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    right = shares.diagonal().copy()
    raised = np.maximum(right, least)
    shares *= np.divide(1 - raised, 1 - right, out=np.ones_like(right), where=right < least)[:, None]
    np.fill_diagonal(shares, raised)
    return np.asarray(shares)


def _spread(right: float, classes: int) -> NDArray[np.float64]:
    """Return (c, c) how often people say each class for each, where errors fall on all other classes alike.

    >>> _spread(0.8, 3).round(2).tolist()
    [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    """
    says = np.full((classes, classes), (1 - right) / max(classes - 1, 1))
    np.fill_diagonal(says, right)
    return says
