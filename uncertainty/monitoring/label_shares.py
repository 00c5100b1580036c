"""Several labels an image: have only the shares of the images that carry each label changed? Then decisions follow.

What is assumed is that images of the same labels stayed as they were, and that there are exp(Σ_c l_c y_c) times as many
of those with labels y, but for a factor: one number a label. Given an image its labels are taken to be independent, q_c
the chance that it carries c. Then f(x) = Π_c (1 + q_c (exp l_c - 1)) over its mean on calibration is how much more
frequent such an image is, l the most likely one (KLIEP, Sugiyama et al. 2008), and the odds of q_c move by exp l_c.
Damage moves q too, and would be taken for other shares; so what is found counts only where calibration rows, drawn in
these shares, look like the batch in every score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Floats, expit, logit
from uncertainty.estimators.fused_decisions import some_wrong
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.drift import FALSE_ALARMS, FEWEST, looks_alike

_RIDGE = 5.0
"""How firmly l is held to 0: odds of a label that are 1.6 times as high are one standard deviation away."""
_MOST = 20_000  # images of a batch that shares are learnt from
_SURE = 1e-6


@dataclass(frozen=True, eq=False)
class KnownLabels:
    """Of m calibration rows: the chance (m, c) that each label is carried, judged without the row, and whether it is,
    1, 0 or -1, unknown.
    """

    carried: Floats
    truth: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class LabelShift:
    """Other shares of the labels, which explain how a batch differs from calibration.

    Parameters
    ----------
    before, now : (c,) share of the images that carry each label, in calibration and in the batch.
    moved : (c,) what is added to the log-odds that a label is carried.

    """

    before: Floats
    now: Floats
    moved: Floats

    def decisions(self, p: Floats, said: NDArray[np.bool_]) -> Floats:
        """Return (n, c) p_wrong of decisions with the shares as they are now, from those of calibration.

        Half as many images carry the one label: odds of 1 that it is there are 1/2, and it is said to be there.

        >>> shift = LabelShift(np.array([0.5]), np.array([0.25]), np.array([-np.log(2)]))
        >>> shift.decisions(np.array([[0.5], [0.5]]), np.array([[True], [False]])).round(3).tolist()
        [[0.667], [0.333]]
        """
        return expit(logit(p) + np.where(said, -self.moved, self.moved))

    def images(self, p: Floats, decisions: tuple[Floats, Floats]) -> Floats:
        """Return (n,) p_wrong of images, from that before and p_wrong (n, c) of their decisions before and now.

        Log-odds move as far as those of one wrong decision at least would, were decisions independent.
        """
        before, now = (some_wrong(logit(one)) for one in decisions)
        return expit(logit(p) + now - before)


def label_shift(
    baseline: Baseline, known: KnownLabels, batch: Rows, carried: Floats, seed: int = 0, level: float = FALSE_ALARMS
) -> LabelShift | None:
    """Return how the shares of labels changed; None where they did not, or where that is not all that changed.

    `carried` (n, c) is the chance that each label is carried, as calibrated. Asked are both: shares as in calibration
    are too unlikely (likelihood ratio, at `level`), and calibration rows drawn in the new shares can't be told from the
    batch (`looks_alike`, at `level`). Also None where fewer than 20 calibration rows have such labels.
    """
    from scipy.stats import chi2

    if min(len(batch), len(baseline.wrong)) < FEWEST:
        return None
    seen = np.random.default_rng(seed).permutation(carried)[:_MOST]
    moved, gain = _most_likely(seen, known.carried)
    # Calibration is a draw too, so its own shares are off as those of so many rows are.
    ratio = 2 * gain * len(known.carried) / (len(known.carried) + len(seen))
    if ratio <= chi2.ppf(1 - level, max(int((known.carried.std(axis=0) > _SURE).sum()), 1)):
        return None
    truth = np.where(known.truth >= 0, known.truth, known.carried)
    weights = _more_frequent(truth, moved)[0]
    kept = np.random.default_rng(seed).random(len(weights)) < np.exp(weights - weights.max())
    if kept.sum() < FEWEST or not _alike(baseline.take(kept), batch, level, seed):
        return None
    return LabelShift(known.carried.mean(axis=0), _more_frequent(carried, moved)[1].mean(axis=0), moved)


def _alike(known: Baseline, batch: Rows, level: float, seed: int) -> bool:
    return looks_alike(known.rows, batch, level=level, seed=seed, groups=(known.clusters, None))


def _more_frequent(carried: Floats, moved: Floats) -> tuple[Floats, Floats]:
    """Return (n,) log f of each row, and the chance (n, c) that it carries each label in the new shares."""
    factor = 1 + carried * np.expm1(moved)
    return np.log(factor).sum(axis=1), carried * np.exp(moved) / factor


def _most_likely(seen: Floats, known: Floats) -> tuple[Floats, float]:
    """Return (c,) l, and by how much it is likelier than 0: Σ log f - n log mean f over calibration, less 5/2 ‖l‖²."""
    from scipy.optimize import minimize

    seen, known = (np.clip(rows, _SURE, 1 - _SURE) for rows in (seen, known))

    def loss(moved: Floats) -> tuple[float, Floats]:
        (logs, now), (others, usual) = _more_frequent(seen, moved), _more_frequent(known, moved)
        share = np.exp(others - others.max())
        mean = np.log(share.mean()) + others.max()
        slope = now.sum(axis=0) - len(seen) * (share @ usual) / share.sum()
        value = float(logs.sum() - len(seen) * mean)
        return _RIDGE / 2 * float(moved @ moved) - value, _RIDGE * moved - slope

    bounds = [(-10.0, 10.0)] * seen.shape[1]
    found = minimize(loss, np.zeros(seen.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x), -float(found.fun)
