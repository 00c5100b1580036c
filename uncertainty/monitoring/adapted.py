"""p_wrong for a batch as it is: with its own shares of damaged and unknown images, or of the classes or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import Condition, Floats
from uncertainty.combination.tails import Tails
from uncertainty.monitoring.accuracy import MOST_DOUBT, Conditions, conditions_in, posterior
from uncertainty.monitoring.adapted_decisions import BatchDecisions
from uncertainty.monitoring.baseline import Baseline, Rows
from uncertainty.monitoring.batch import Calibrated, declared_shares
from uncertainty.monitoring.class_shares import class_shift
from uncertainty.monitoring.drift import FEWEST
from uncertainty.monitoring.label_shares import label_shift

AS_LIKELY_DAMAGED = 0.5
"""What looks like nothing known is damage of an unseen kind as often as it is of no known class: nothing in a batch
tells which. So P(wrong) of it lies half way between that of a damaged image and of one of no known class, which is 1
where a label is said to be there."""
_TOLD, _WORTH_TELLING = 3, 0.005


@dataclass(frozen=True, eq=False)
class Adapted:
    """p_wrong (n,) float32 of a batch, and what it was adapted to: "shares", "classes", "labels" or "nothing", which
    `why` says.

    `shares` are those of the conditions in the batch, where they were found; `foreign` looks like nothing known. Of
    several labels an image `decisions` (n, c) float32 are p_wrong of each decision, at most that of the image, and
    `labels` the share of the images that carry each label, in calibration and here, where those were found.
    """

    p_wrong: NDArray[np.float32]
    to: str
    shares: dict[Condition, float]
    why: str
    decisions: NDArray[np.float32] | None = None
    labels: dict[str, tuple[float, float]] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """Return what every output says of it; JSON values."""
        pairs = {name: {"calibration": round(b, 6), "batch": round(n, 6)} for name, (b, n) in self.labels.items()}
        shares = {"shares": {k: round(share, 6) for k, share in self.shares.items()}}
        return {"to": self.to, **shares, **({"labels": pairs} if pairs else {}), "in_words": self.why}


def adapted(by: Calibrated, batch: Rows, decisions: BatchDecisions | None = None) -> Adapted:
    """Estimate the shares of a batch and give each row, and each of its decisions, the p_wrong that they imply.

    Where only the shares of the classes changed, odds move with them (`class_shift`; of several labels an image, whose
    `decisions` are given, `label_shift`). Else the shares of clean and damaged images, and of those that look like
    nothing known, are the most likely ones (EM, `adapted_shares`), without regard to those declared; these look so to
    the gate that foreign copies taught, to distance from known-good images, or to both in even parts. All is computed
    in an order of the rows' own, so that the order they came in changes no bit. Nothing is adapted below 20 rows,
    without damaged copies in calibration, or where shares can't be told.
    """
    order = _own_order(batch, decisions)
    found = _adapted(by, batch.take(order), decisions and decisions.take(order))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    each = None if found.decisions is None else found.decisions[place]
    return replace(found, p_wrong=found.p_wrong[place], decisions=each)


def _adapted(by: Calibrated, batch: Rows, decisions: BatchDecisions | None) -> Adapted:
    if min(len(batch), len(by.baseline.wrong)) < FEWEST:
        return _as_it_was(batch, decisions, f"there are fewer than {FEWEST} images")
    moved = _classes_moved(by, batch) if decisions is None else _labels_moved(by, batch, decisions)
    if moved is not None:
        return moved
    if "damaged" not in by.combiner.gates:
        why = "calibration has no damaged copies, and without them damage looks like unknown images"
        return _as_it_was(batch, decisions, why)
    conditions, names = _conditions(by, batch)
    shares = conditions.shares()
    if conditions.share_error(1, shares) > MOST_DOUBT:
        return _as_it_was(batch, decisions, "these images do not tell how many are damaged")
    p = conditions.p_wrong(shares).astype(np.float32)
    found = dict(zip(names, shares.tolist(), strict=True))
    chances = dict(zip(names, posterior(conditions.log_ratios, shares).T, strict=True))
    each = None if decisions is None else _each(decisions, chances, p)
    return Adapted(p, "shares", found, _in_words(found, declared_shares(by.calibrated_on)), each)


def _classes_moved(by: Calibrated, batch: Rows) -> Adapted | None:
    if (shifted := class_shift(by.baseline, batch)) is None:
        return None
    clean = by.combiner.conditions(batch.signals)[1][:, 0]
    p = shifted.p_wrong(clean, batch.predicted).astype(np.float32)
    moved = _moved_in_words(shifted.before, shifted.now, [*by.classes, "no known class"], "are")
    return Adapted(p, "classes", {}, f"only the shares of the classes differ from calibration: {moved}")


def _labels_moved(by: Calibrated, batch: Rows, seen: BatchDecisions) -> Adapted | None:
    if (shifted := label_shift(by.baseline, seen.by.known, batch, seen.carried)) is None:
        return None
    # What few damaged images are expected to add stays: without it p_wrong was lower than it should be, on digits.
    p, before = batch.p_wrong.astype(np.float64), seen.p_wrong.astype(np.float64)
    now = shifted.decisions(before, seen.said)
    p_wrong = shifted.images(p, (before, now)).astype(np.float32)
    each = np.minimum(now.astype(np.float32), p_wrong[:, None])
    pairs = zip(shifted.before.tolist(), shifted.now.tolist(), strict=True)
    labels = dict(zip(by.classes, pairs, strict=True))
    moved = _moved_in_words(shifted.before, shifted.now, by.classes, "carry")
    return Adapted(p_wrong, "labels", {}, f"only how many images carry each label differs: {moved}", each, labels)


def _each(decisions: BatchDecisions, chances: dict[Condition, Floats], p: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, c) p_wrong of decisions in images of each condition with these chances (n,)."""
    unlike = chances.get("foreign", np.zeros(len(p)))
    damaged = chances["damaged"] + AS_LIKELY_DAMAGED * unlike
    now = chances | {"damaged": damaged, "foreign": (1 - AS_LIKELY_DAMAGED) * unlike}
    return decisions.judged(now, p).astype(np.float32)


def _as_it_was(batch: Rows, decisions: BatchDecisions | None, why: str) -> Adapted:
    each = None if decisions is None else decisions.p_wrong
    return Adapted(batch.p_wrong, "nothing", {}, f"p_wrong is as without it: {why}", each)


def _moved_in_words(before: Floats, now: Floats, names: Sequence[str], verb: str) -> str:
    """Say which shares moved most, and which way.

    >>> _moved_in_words(np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.25, 0.55]), ["cat", "dog", "eel"], "are")
    "more are 'eel' (55 %, in calibration 25 %), fewer are 'cat' (20 %, in calibration 50 %)"
    """
    up = now - before
    most = np.argsort(-np.abs(up), kind="stable")[:_TOLD]
    told = [k for k in most.tolist() if abs(up[k]) >= _WORTH_TELLING] or most[:1].tolist()
    said = {word: [k for k in told if (up[k] > 0) == more] for word, more in (("more", True), ("fewer", False))}
    shares = {k: f"{names[k]!r} ({100 * now[k]:.0f} %, in calibration {100 * before[k]:.0f} %)" for k in told}
    return ", ".join(f"{word} {verb} {', '.join(shares[k] for k in which)}" for word, which in said.items() if which)


def _in_words(found: dict[Condition, float], expected: dict[Condition, float]) -> str:
    """Say what was found, and what had been expected; what is damaged and what unknown can't be told for sure.

    >>> _in_words({"clean": 0.7, "damaged": 0.2, "foreign": 0.1}, {"clean": 0.947, "damaged": 0.05, "foreign": 0.003})
    'more of these images than expected look damaged or of no known class, 30.0 % in place of 5.3 %; 10.0 % look like \
nothing known, and the rest of these count as damaged, though images of no known class can look so'
    """
    now, before = 1 - found["clean"], 1 - expected["clean"]
    way = "more" if now > before else "fewer"
    text = f"{way} of these images than expected look damaged or of no known class, {_percent(now)} in place of "
    text += f"{_percent(before)}; "
    if (foreign := found.get("foreign", 0.0)) >= _WORTH_TELLING:
        text += f"{_percent(foreign)} look like nothing known, and the rest of these"
    else:
        text += "they"
    return f"{text} count as damaged, though images of no known class can look so"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _conditions(by: Calibrated, batch: Rows) -> tuple[Conditions, list[Condition]]:
    conditions, names = conditions_in(by.combiner, declared_shares(by.calibrated_on), batch.signals)
    if "foreign" not in names:
        return conditions, names
    ratios, wrong = conditions.log_ratios.copy(), conditions.wrong.copy()
    gate, far = by.combiner.gates["foreign"], [k for k, e in enumerate(by.estimators) if e.tells_far()]
    if far and not isinstance(gate, Tails):
        ratios[:, -1] = np.logaddexp(ratios[:, -1], _by_distance(by.baseline, far, batch)) - np.log(2)
    wrong[:, -1] = AS_LIKELY_DAMAGED * wrong[:, 1] + (1 - AS_LIKELY_DAMAGED) * wrong[:, -1]
    return Conditions(ratios, wrong), names


def _by_distance(baseline: Baseline, far: list[int], batch: Rows) -> Floats:
    known = baseline.rows.scores.astype(np.float64)
    return Tails.of(known, far, np.ones(len(known)), odds=1.0)(batch.signals.scores)


def _own_order(batch: Rows, decisions: BatchDecisions | None) -> NDArray[np.int64]:
    """(n,) positions of the rows, sorted by all that is known of them."""
    of_decisions = () if decisions is None else decisions.log_odds.T
    known = [*of_decisions, *batch.scores.T, *batch.context.T, batch.predicted, batch.p_wrong]
    return np.asarray(np.lexsort(known))
