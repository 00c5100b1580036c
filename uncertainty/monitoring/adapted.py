"""p_wrong for a batch as it is: with its own shares of damaged and unknown images, or of the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Condition, Floats
from uncertainty.combination.tails import Tails
from uncertainty.monitoring.accuracy import MOST_DOUBT, Conditions, conditions_in
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.batch import Calibrated, declared_shares
from uncertainty.monitoring.class_shares import class_shift
from uncertainty.monitoring.drift import FEWEST

AS_LIKELY_DAMAGED = 0.5
"""What looks like nothing known is damage of an unseen kind as often as it is of no known class: nothing in a batch
tells which. So P(wrong) of it lies half way between that of a damaged image and 1."""


@dataclass(frozen=True, eq=False)
class Adapted:
    """p_wrong (n,) float32 of a batch, and what it was adapted to: "shares", "classes" or "nothing", which `why` says.

    `shares` are those of the conditions in the batch, where they were found; `foreign` looks like nothing known.
    """

    p_wrong: NDArray[np.float32]
    to: str
    shares: dict[Condition, float]
    why: str

    def told(self) -> dict[str, Any]:
        """Return what every output says of it; JSON values."""
        return {"to": self.to, "shares": {k: round(share, 6) for k, share in self.shares.items()}, "in_words": self.why}


def adapted(by: Calibrated, batch: Rows) -> Adapted:
    """Estimate the shares of a batch and give each row the p_wrong that they imply.

    Where only the shares of the classes changed, odds move with them (`class_shift`). Else the shares of clean and
    damaged images, and of those that look like nothing known, are the most likely ones (EM, `adapted_shares`), without
    regard to those declared; these look so to the gate that foreign copies taught, to distance from known-good images,
    or to both in even parts. All is computed in an order of the rows' own, so that the order they came in changes no
    bit. Nothing is adapted below 20 rows, without damaged copies in calibration, or where shares can't be told.
    """
    order = _own_order(batch)
    found = _adapted(by, batch.take(order))
    p = np.empty(len(batch), dtype=np.float32)
    p[order] = found.p_wrong
    return replace(found, p_wrong=p)


def _adapted(by: Calibrated, batch: Rows) -> Adapted:
    if min(len(batch), len(by.baseline.wrong)) < FEWEST:
        return _as_it_was(batch, f"there are fewer than {FEWEST} images")
    if (shifted := class_shift(by.baseline, batch)) is not None:
        clean = by.combiner.conditions(batch.signals)[1][:, 0]
        p = shifted.p_wrong(clean, batch.predicted).astype(np.float32)
        return Adapted(p, "classes", {}, "the shares of the classes are those of this batch; nothing else changed")
    if "damaged" not in by.combiner.gates:
        return _as_it_was(batch, "calibration has no damaged copies, and without them damage looks like unknown images")
    conditions, names = _conditions(by, batch)
    shares = conditions.shares()
    if conditions.share_error(1, shares) > MOST_DOUBT:
        return _as_it_was(batch, "these images do not tell how many are damaged")
    p = conditions.p_wrong(shares).astype(np.float32)
    found = dict(zip(names, shares.tolist(), strict=True))
    return Adapted(p, "shares", found, _in_words(found))


def _as_it_was(batch: Rows, why: str) -> Adapted:
    return Adapted(batch.p_wrong, "nothing", {}, f"p_wrong is as without it: {why}")


def _in_words(shares: dict[Condition, float]) -> str:
    """Say what was found.

    >>> _in_words({"clean": 0.7, "damaged": 0.2, "foreign": 0.1})
    'taken to be damaged are 20.0 % of these images, like nothing known, so damaged or unknown, 10.0 %'
    """
    text = f"taken to be damaged are {100 * shares['damaged']:.1f} % of these images"
    if "foreign" in shares:
        text += f", like nothing known, so damaged or unknown, {100 * shares['foreign']:.1f} %"
    return text


def _conditions(by: Calibrated, batch: Rows) -> tuple[Conditions, list[Condition]]:
    conditions, names = conditions_in(by.combiner, declared_shares(by.calibrated_on), batch.signals)
    if "foreign" not in names:
        return conditions, names
    ratios, wrong = conditions.log_ratios.copy(), conditions.wrong.copy()
    gate, far = by.combiner.gates["foreign"], [k for k, e in enumerate(by.estimators) if e.tells_far()]
    if far and not isinstance(gate, Tails):
        ratios[:, -1] = np.logaddexp(ratios[:, -1], _by_distance(by.baseline, far, batch)) - np.log(2)
    wrong[:, -1] = AS_LIKELY_DAMAGED * wrong[:, 1] + 1 - AS_LIKELY_DAMAGED
    return Conditions(ratios, wrong), names


def _by_distance(baseline: Baseline, far: list[int], batch: Rows) -> Floats:
    known = baseline.rows.scores.astype(np.float64)
    return Tails.of(known, far, np.ones(len(known)), odds=1.0)(batch.signals.scores)


def _own_order(batch: Rows) -> NDArray[np.int64]:
    """(n,) positions of the rows, sorted by all that is known of them."""
    known = [*batch.scores.T, *batch.context.T, batch.predicted, batch.p_wrong]
    return np.asarray(np.lexsort(known))
