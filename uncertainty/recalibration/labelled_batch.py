"""A batch of verdicts of which some have labels now: what a screener can learn from, and what it has learnt from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination import calibration_sets
from uncertainty.combination.unknown_answers import OpenAnswers, drawn, partly_answered
from uncertainty.decisions.decide import Decision
from uncertainty.decisions.decision_rows import DecisionRows
from uncertainty.errors import InputError
from uncertainty.labels.label_sets import resolve_sets
from uncertainty.labels.meaning import NO_KNOWN_CLASS, NO_TRUTH, resolve
from uncertainty.monitoring.baseline import Rows, rows_of_table
from uncertainty.outputs import UNKNOWN_CLASS
from uncertainty.recalibration.labelled_decisions import decisions_of
from uncertainty.screener import Screener
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH
from uncertainty.verdicts import Verdicts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Incoming:
    """N images of a batch that could be read and had not been learnt from; of m of them whether they are wrong, and
    their class, -1 for none of the model's or for several.

    Of an image of several labels with unknown answers `wrong` is drawn with the probability that these leave: `partly`.
    """

    names: NDArray[np.object_]
    rows: Rows
    flagged: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    labels: NDArray[np.int64]
    decisions: DecisionRows | None = None
    """Of all N images, where an image may have several labels."""
    partly: NDArray[np.bool_] | None = None

    @property
    def new(self) -> Rows:
        """(m,) the labelled rows."""
        return self.rows.take(self.labelled)

    @property
    def told(self) -> NDArray[np.bool_]:
        """(m,) rows of which it is known whether they are wrong."""
        return np.ones(len(self.wrong), dtype=bool) if self.partly is None else ~self.partly


def refuse_others(screener: Screener, verdicts: Verdicts) -> None:
    """Raise InputError for a cascade, and for verdicts that this screener did not make, or of several labels adapted.

    Of one label p_wrong is computed anew, whatever verdicts say; that of single decisions is learnt from as it stands.
    """
    if screener.cascade is not None:
        raise InputError("a screener with a cascade can't be updated: fit it again with the new labels in calibration")
    made_by = verdicts.provenance
    if made_by:
        same = made_by.get("calibrated_on") == json.loads(json.dumps(screener.calibrated_on))
        same &= made_by.get("model_sha256") == screener.model.sha256
    else:
        known = verdicts.table["screen_id"] if "screen_id" in verdicts.table.column_names else None
        same = known is not None and set(known.to_pylist()) == {screener.id}
    if not same:
        raise InputError(f"these verdicts are not of screener {screener.id}; give the one that made them")
    if screener.decisions is not None and ADAPTED_TO_BATCH in made_by:
        raise InputError(
            "p_wrong of single decisions is adapted to its batch in these verdicts, and lines are drawn on it as "
            "calibrated; screen these images without --adapt, and update by that"
        )


def judge(screener: Screener, verdicts: Verdicts) -> Decision:
    """Return the decision that the verdicts were flagged by; `screen` may have been told another than is saved."""
    policy = verdicts.provenance.get("policy")
    return screener.decision if policy is None else Decision.from_dict(policy)


def read_batch(screener: Screener, table: pa.Table, digests: Mapping[str, str]) -> tuple[Incoming, dict[str, int]]:
    """Read a verdict table with `label` and `correct`; count the labels that can't be used. `digests`: see `keys`."""
    scores, context = [e.name for e in screener.estimators], screener.baseline.context_names
    names = np.array(table["file_name"].to_pylist(), dtype=object)
    readable = np.array([error is None for error in table["error"].to_pylist()], dtype=bool)
    seen = calibration_sets.among(keys(screener, names, digests), screener.fitted_on)
    kept = readable & ~seen
    correct = np.array(table["correct"].to_pylist(), dtype=object)
    has = np.array([label is not None for label in table["label"].to_pylist()], dtype=bool)
    left_out = {
        "labels of images that were learnt from already": int((has & seen).sum()),
        "labels of unreadable images": int((has & ~seen & ~readable).sum()),
    }
    if not (has & kept).any():
        why = "all labelled images were learnt from already" if (has & seen).any() else "no readable image has a label"
        raise InputError(f"{why}; give labels of images that were screened with this screener")
    rows = rows_of_table(table.filter(kept).to_batches(), scores, context, screener.baseline.temperature)
    flagged = np.array(table["flagged"].to_pylist(), dtype=bool)[kept]
    wrong = correct[has & kept] == False  # noqa: E712  # an array of objects
    position = {name: k for k, name in enumerate(screener.model.classes)}
    labels = [position.get(label, UNKNOWN_CLASS) for label in np.array(table["label"].to_pylist(), object)[has & kept]]
    known = (np.asarray(wrong, dtype=bool), np.array(labels, dtype=np.int64))
    batch = Incoming(names[kept], rows, flagged, has[kept], *known)
    if screener.model.task == "multilabel":
        batch = _with_decisions(batch, decisions_of(table.filter(kept), screener.model.classes), screener.seed)
    return batch, left_out


def _with_decisions(batch: Incoming, decisions: DecisionRows, seed: int) -> Incoming:
    new, names = decisions.take(batch.labelled), batch.names[batch.labelled]
    if not (partly := partly_answered(new.wrong)).any():
        return replace(batch, decisions=decisions)
    answers = OpenAnswers(new.wrong, new.p_wrong.astype(np.float64))
    wrong = drawn(answers.chances(np.ones(len(names)), batch.new.p_wrong), [str(name) for name in names], seed)
    return replace(batch, decisions=decisions, wrong=wrong, partly=partly)


def keys(screener: Screener, names: NDArray[np.object_], digests: Mapping[str, str]) -> list[str]:
    """Return what is remembered of images: their content where it is known, names where a screener has only those."""
    return [str(name) if screener.model.sha256 is None else digests.get(name, str(name)) for name in names]


def known_truths(screener: Screener, labels: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return label by file name as class names, those of no class left out, and notes; see `labels.meaning`.

    Raises InputError where not one is a class.
    """
    classes = screener.model.classes
    if not labels:
        return {}, []
    if screener.model.task == "multilabel":
        return _known_sets(labels, classes)
    found = resolve(list(labels.values()), classes, "new")
    if not found.usable.any():
        raise InputError(
            f"not one label, e.g. {next(iter(labels.values()))!r}, is a class of the model, e.g. {classes[0]!r}; "
            "write class names as the verdicts do"
        )
    pairs = zip(labels, found.positions.tolist(), strict=True)
    known = {name: classes[k] if k >= 0 else NO_KNOWN_CLASS for name, k in pairs if k != NO_TRUTH}
    return known, list(found.notes)


def _known_sets(labels: Mapping[str, str], classes: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    found = resolve_sets(list(labels.values()), classes, "new")
    if not found.usable.any():
        raise InputError(
            f"not one label, e.g. {next(iter(labels.values()))!r}, says what an image has of the model's classes, e.g. "
            f"{classes[0]!r}; write class names with semicolons between, as the verdicts do"
        )
    texts = zip(labels, found.texts(classes), strict=True)
    return {name: text for name, text in texts if text is not None}, list(found.notes)
