"""How well a score finds the errors: pure functions of `wrong` (n,) bool and `score` (n,), higher = more likely wrong.

Rows are ranked from the lowest score (kept longest) to the highest (flagged first). Rows with tied scores enter
together: a count inside a tie is its expected value over random orders of the tie, and a threshold never splits one.
So the order of the rows never matters. A value that does not exist (AUROC without errors, anything of no rows) is NaN,
without a warning. Every function raises InputError when lengths differ, `wrong` is not true/false or a score is NaN.

Notation of the formulas: n rows, E errors, err = E/n, acc = 1 − err, e(k) = errors among the k lowest scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uncertainty.errors import InputError

NAN = float("nan")
# One confident error must not make the mean infinite; the same floor as for logits made from probabilities.
_SMALLEST_PROBABILITY = 1e-12


def auroc(wrong: ArrayLike, score: ArrayLike) -> float:
    """Probability that a random error has a higher score than a random correct row, ties ½; in [0, 1], high is good.

    NaN without errors or without correct rows.

    Of the errors, 0.2 is above one of the two correct rows and 0.4 above both, so 3 of 4 pairs are in order:

    >>> auroc([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    0.75
    """
    rows, errors = _cumulative(wrong, score)
    correct = rows - errors
    if errors[-1] == 0 or correct[-1] == 0:
        return NAN
    pairs = np.sum(np.diff(errors) * (correct[:-1] + correct[1:])) / 2
    return float(pairs / (errors[-1] * correct[-1]))


def average_precision(wrong: ArrayLike, score: ArrayLike) -> float:
    """Mean, over the errors, of the share of errors among the rows scored at least as high; in (0, 1], high is good.

    NaN without errors. Equals `sklearn.metrics.average_precision_score`.

    From the top: the first error comes first (1/1), the second is third (2/3), so (1 + 2/3) / 2:

    >>> round(average_precision([False, True, False, True], [0.1, 0.2, 0.3, 0.4]), 4)
    0.8333
    """
    rows, errors = _cumulative(wrong, score)
    if errors[-1] == 0:
        return NAN
    precision = (errors[-1] - errors[:-1]) / (rows[-1] - rows[:-1])
    return float(np.sum(np.diff(errors) * precision) / errors[-1])


def risk_coverage_curve(wrong: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage k/n and risk r(k) = e(k)/k for k = 1..n: the error rate of the k rows with the lowest scores; two (n,).

    El-Yaniv & Wiener 2010.

    >>> coverage, risk = risk_coverage_curve([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    >>> coverage.tolist(), risk.round(3).tolist()
    ([0.25, 0.5, 0.75, 1.0], [0.0, 0.5, 0.333, 0.5])
    """
    rows, errors = _cumulative(wrong, score)
    k = np.arange(1, rows[-1] + 1)
    # Linear inside a tie: the expected number of errors among the first rows of a shuffled tie.
    return k / max(rows[-1], 1), np.interp(k, rows, errors) / k


def aurc(wrong: ArrayLike, score: ArrayLike) -> float:
    """Area under the risk-coverage curve, the plain mean of r(k) over k = 1..n; in [0, 1], low is good.

    Geifman, Uziel & El-Yaniv 2019. A constant score gives err.

    (0 + 1/2 + 1/3 + 1/2) / 4:

    >>> round(aurc([False, True, False, True], [0.1, 0.2, 0.3, 0.4]), 4)
    0.3333
    """
    _, risk = risk_coverage_curve(wrong, score)
    return float(risk.mean()) if len(risk) else NAN


def optimal_aurc(wrong: ArrayLike) -> float:
    """The smallest AURC that any score can reach: all errors last, Σ max(0, k − n + E)/k / n over k = 1..n.

    The exact discrete sum; the usual err + acc·ln(acc) is its limit and 20 % off at n = 100 with 5 errors.

    Correct, correct, error, error: (0 + 0 + 1/3 + 2/4) / 4:

    >>> round(optimal_aurc([False, True, False, True]), 4)
    0.2083
    """
    flags = _checked_wrong(wrong)
    n, n_errors = len(flags), int(flags.sum())
    if n == 0:
        return NAN
    k = np.arange(n - n_errors + 1, n + 1)
    return float(np.sum((k - (n - n_errors)) / k) / n)


def e_aurc(wrong: ArrayLike, score: ArrayLike) -> float:
    """Excess AURC: `aurc` − `optimal_aurc`; 0 for a perfect ranking, low is good (Geifman, Uziel & El-Yaniv 2019).

    1/3 − 5/24:

    >>> round(e_aurc([False, True, False, True], [0.1, 0.2, 0.3, 0.4]), 4)
    0.125
    """
    return aurc(wrong, score) - optimal_aurc(wrong)


def naurc(wrong: ArrayLike, score: ArrayLike) -> float:
    """Excess AURC relative to a random ranking's: (AURC − AURC*)/(err − AURC*); 0 perfect, 1 random, low is good.

    Cattelan & Silva 2024. NaN without errors or without correct rows.

    (1/8) / (1/2 − 5/24):

    >>> round(naurc([False, True, False, True], [0.1, 0.2, 0.3, 0.4]), 4)
    0.4286
    """
    flags = _checked_wrong(wrong)
    if flags.all() or not flags.any():
        return NAN
    return e_aurc(flags, score) / (float(flags.mean()) - optimal_aurc(flags))


def augrc(wrong: ArrayLike, score: ArrayLike) -> float:
    """Area under the generalised risk e(k)/n over the coverage k/n, by trapezoid from 0; in [0, ½], low is good.

    Traub et al. 2024. Exactly (1 − AUROC)·acc·err + ½err², with ties too; perfect ½err², constant score ½err.

    The error ranked t adds (n − t + ½)/n²: (2.5 + 0.5) / 16:

    >>> augrc([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    0.1875
    """
    rows, errors = _cumulative(wrong, score)
    if rows[-1] == 0:
        return NAN
    return float(np.sum(np.diff(rows) * (errors[:-1] + errors[1:])) / 2 / rows[-1] ** 2)


def errors_accepted_at_95_correct(wrong: ArrayLike, score: ArrayLike) -> float:
    """FPR@95TPR, positive = correct: accept at least 95 % of the correct rows, report the share of errors accepted.

    The lowest threshold that does so; tied rows are accepted together. In [0, 1], low is good (fd-shifts, CRL).
    NaN without errors or without correct rows.

    Both correct rows must be accepted, so everything up to 0.3, with one of the two errors:

    >>> errors_accepted_at_95_correct([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    0.5
    """
    rows, errors = _cumulative(wrong, score)
    correct = rows - errors
    if errors[-1] == 0 or correct[-1] == 0:
        return NAN
    return float(errors[np.searchsorted(correct, _share_95(correct[-1]), side="left")] / errors[-1])


def correct_flagged_at_95_errors(wrong: ArrayLike, score: ArrayLike) -> float:
    """FPR@95TPR, positive = error: flag at least 95 % of the errors, report the share of correct rows flagged.

    The highest threshold that does so; tied rows are flagged together. In [0, 1], low is good (Rel-U, Hendrycks).
    NaN without errors or without correct rows.

    Both errors must be flagged, so everything from 0.2 up, with one of the two correct rows:

    >>> correct_flagged_at_95_errors([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    0.5
    """
    rows, errors = _cumulative(wrong, score)
    correct = rows - errors
    if errors[-1] == 0 or correct[-1] == 0:
        return NAN
    kept = np.searchsorted(errors, errors[-1] - _share_95(errors[-1]), side="right") - 1
    return float(1 - correct[kept] / correct[-1])


def errors_caught(wrong: ArrayLike, score: ArrayLike, budget: float) -> float:
    """Share of all errors among the ⌊budget·n⌋ rows with the highest scores; in [0, 1], high is good.

    NaN without errors. A tie that the budget cuts counts by expectation.

    A quarter of four rows is one row, 0.4, and it is one of the two errors:

    >>> errors_caught([False, True, False, True], [0.1, 0.2, 0.3, 0.4], budget=0.25)
    0.5
    """
    rows, errors = _cumulative(wrong, score)
    if errors[-1] == 0:
        return NAN
    return float(1 - np.interp(_kept(rows[-1], budget), rows, errors) / errors[-1])


def accuracy_of_kept(wrong: ArrayLike, score: ArrayLike, budget: float) -> float:
    """Accuracy of what is left when the ⌊budget·n⌋ rows with the highest scores are taken out; in [0, 1], high is good.

    NaN when nothing is left.

    Without 0.4 two of three rows are correct:

    >>> round(accuracy_of_kept([False, True, False, True], [0.1, 0.2, 0.3, 0.4], budget=0.25), 4)
    0.6667
    """
    rows, errors = _cumulative(wrong, score)
    kept = _kept(rows[-1], budget)
    return float(1 - np.interp(kept, rows, errors) / kept) if kept else NAN


def apfd(wrong: ArrayLike, score: ArrayLike) -> float:
    """Average percentage of faults detected when rows are looked at from the highest score down; high is good.

    1 − Σ rank(errors)/(n·E) + 1/(2n), a tie has its mean rank; between err/2 and 1 − err/2 (Rothermel et al. 2001).
    NaN without errors.

    The errors have ranks 1 and 3: 1 − 4/8 + 1/8:

    >>> apfd([False, True, False, True], [0.1, 0.2, 0.3, 0.4])
    0.625
    """
    rows, errors = _cumulative(wrong, score)
    n, n_errors = rows[-1], errors[-1]
    if n_errors == 0:
        return NAN
    ranks = n + 0.5 - (rows[:-1] + rows[1:]) / 2
    return float(1 - np.sum(np.diff(errors) * ranks) / (n * n_errors) + 1 / (2 * n))


def ece(wrong: ArrayLike, p: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error of p, the probability of being wrong: Σ over bins of |Σ wrong − Σ p| / n; low is good.

    Equal-mass bins: the rows, sorted by p, are cut into `bins` parts of the same size; a tie that is cut shares its
    errors evenly. With few rows the value is biased upwards. Also raises InputError when p leaves [0, 1].

    Two bins: no errors where 0.1 + 0.3 were predicted, 2 where 0.6 + 0.8 were; (0.4 + 0.6) / 4:

    >>> round(ece([False, False, True, True], [0.1, 0.3, 0.6, 0.8], bins=2), 4)
    0.25
    """
    if bins < 1:
        raise InputError(f"bins is {bins}; it must be 1 or more")
    probability = _checked_probability(p)
    rows, errors = _cumulative(wrong, probability)
    n = int(rows[-1])
    if n == 0:
        return NAN
    edges = np.arange(bins + 1) * n // bins
    predicted = np.append(0.0, np.cumsum(np.sort(probability)))[edges]
    return float(np.abs(np.diff(np.interp(edges, rows, errors) - predicted)).sum() / n)


def brier(wrong: ArrayLike, p: ArrayLike) -> float:
    """Mean of (p − wrong)² for p, the probability of being wrong; in [0, 1], low is good (Brier 1950).

    (0.5² + 0.5²) / 2:

    >>> brier([False, True], [0.5, 0.5])
    0.25
    """
    flags, probability = _checked(wrong, _checked_probability(p))
    return float(np.mean((probability - flags) ** 2)) if len(flags) else NAN


def log_loss(wrong: ArrayLike, p: ArrayLike) -> float:
    """Mean of −ln of the probability given to what happened, p clipped to [1e-12, 1 − 1e-12]; at least 0, low is good.

    −(ln 0.5 + ln 0.25) / 2:

    >>> round(log_loss([False, True], [0.5, 0.25]), 4)
    1.0397
    """
    flags, probability = _checked(wrong, _checked_probability(p))
    happened = np.where(flags, probability, 1 - probability).clip(_SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return float(-np.log(happened).mean()) if len(flags) else NAN


def _cumulative(wrong: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and errors with a score up to each distinct score, from the lowest; both start with 0."""
    flags, values = _checked(wrong, score)
    order = np.argsort(values, kind="stable")
    values = values[order]
    last_of_tie = np.flatnonzero(np.append(values[1:] != values[:-1], True))[: len(values)]
    errors = np.cumsum(flags[order], dtype=np.int64)[last_of_tie]
    return np.append(0, last_of_tie + 1), np.append(0, errors)


def _share_95(count: Any) -> int:
    return -(-95 * int(count) // 100)  # in integers: 0.95 * 20 must not become 20 by rounding


def _kept(n: Any, budget: float) -> int:
    if not 0 <= budget <= 1:
        raise InputError(f"budget is {budget!r}; it is a share of the rows, between 0 and 1")
    return int(n) - int(budget * n + 1e-9)  # 0.29 * 100 is 28.999999999999996


def _checked(wrong: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    flags, values = _checked_wrong(wrong), np.asarray(score, dtype=np.float64)
    if values.shape != flags.shape:
        raise InputError(f"scores have shape {values.shape} and wrong has {flags.shape}; give one score for each row")
    if missing := int(np.isnan(values).sum()):
        raise InputError(f"{missing} of {len(values)} scores are NaN; leave out rows without a score")
    return flags, values


def _checked_wrong(wrong: ArrayLike) -> NDArray[np.bool_]:
    flags = np.asarray(wrong)
    if flags.ndim != 1:
        raise InputError(f"wrong has shape {flags.shape}; it must be (n,), one true or false for each row")
    if flags.dtype != np.bool_ and not ((flags == 0) | (flags == 1)).all():
        raise InputError(f"wrong holds {flags.dtype} values other than 0 and 1; it comes first, the score second")
    return flags.astype(np.bool_, copy=False)


def _checked_probability(p: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(f"p must lie in [0, 1]; its range is [{values.min():.4g}, {values.max():.4g}]")
    return values
