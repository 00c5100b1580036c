"""What there is to say about one image: over the line or not, by how much, and what the line rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncertainty.decisions.calibration_rows import HeldOut
from uncertainty.decisions.decide import Decision, Line
from uncertainty.decisions.plans import Share
from uncertainty.figures import probability
from uncertainty.outputs import ModelOutputs

_NEAREST = 100
INSUFFICIENT = "insufficient support"


@dataclass(frozen=True)
class Answer:
    """One image's p_wrong and the line that it is held against.

    `distance` is p_wrong - threshold: 0 or above is flagged. `support` are the calibration rows that decided the line
    (errors, for min_recall). `wrong_like_it` are the errors among the `rows_like_it` calibration images of the nearest
    p_wrong, 100 where there are as many. `certified` is None where the policy promises nothing. `insufficient` says why
    calibration can't support an answer; such an image is flagged, but where nothing could be certified as worth a
    look (min_precision). "" where it can.
    """

    file_name: str
    predicted: str
    p_wrong: float
    threshold: float
    flagged: bool
    distance: float
    policy: str
    certified: bool | None
    support: int
    wrong_like_it: int
    rows_like_it: int
    insufficient: str

    @property
    def like_it(self) -> Share:
        """The share of errors among the calibration images most like it, with its interval."""
        return Share.of(np.arange(self.rows_like_it) < self.wrong_like_it)

    def __str__(self) -> str:
        side = "flagged" if self.flagged else "not flagged"
        text = (
            f"{self.file_name}: {side}, p_wrong {probability(self.p_wrong)}, {abs(self.distance):.3f} "
            f"{'above' if self.flagged else 'below'} the line at {self.threshold:.3f} ({self.policy}; decided on "
            f"{self.support} calibration rows); of the {self.rows_like_it} calibration images most like it in p_wrong "
            f"{self.wrong_like_it} were wrong"
        )
        return f"{text}; {self.insufficient}" if self.insufficient else text


def answers(
    outputs: ModelOutputs, p_wrong: NDArray[np.float32], decision: Decision, rows: HeldOut, classes: Sequence[str]
) -> list[Answer]:
    """Answer for each row of outputs; `rows` are the calibration rows, `classes` the names."""
    multilabel = outputs.task == "multilabel"
    predicted = np.full(len(outputs), -1) if multilabel else outputs.predictions
    return _answers(outputs, (p_wrong, predicted, _names(outputs, classes)), decision, rows)


def answers_of_decisions(
    outputs: ModelOutputs, p_wrong: NDArray[np.float32], decision: Decision, rows: HeldOut, classes: Sequence[str]
) -> list[Answer]:
    """Answer for that decision of each row which is farthest above its line, or least below.

    `p_wrong` (n, c) is of decisions, and `rows` are those of calibration; `predicted` then says which decision it is.
    """
    thresholds = decision.thresholds(np.arange(p_wrong.shape[1]))
    nearest = (p_wrong - thresholds).argmax(axis=1)
    of = np.arange(len(outputs)), nearest
    said = outputs.predictions[of] == 1
    names = [f"{classes[k]}" if yes else f"not {classes[k]}" for k, yes in zip(nearest.tolist(), said, strict=True)]
    return _answers(outputs, (p_wrong[of], nearest, names), decision, rows)


def _answers(
    outputs: ModelOutputs,
    told: tuple[NDArray[np.float32], NDArray[np.int64], list[str]],
    decision: Decision,
    rows: HeldOut,
) -> list[Answer]:
    exact = rows.take(rows.exact)
    p_wrong, predicted, names = told
    there = set(np.unique(exact.predicted).tolist())
    thresholds, near = decision.thresholds(predicted), _Nearest(exact)
    found = []
    for row, (p, k, threshold) in enumerate(zip(p_wrong, predicted.tolist(), thresholds, strict=True)):
        line = decision.line(k)
        name = names[row]
        alike = near(p)
        found.append(
            Answer(
                file_name=str(outputs.ids[row]),
                predicted=name,
                p_wrong=float(p),
                threshold=float(threshold),
                flagged=bool(p >= threshold),
                distance=float(p) - float(threshold),
                policy=str(decision.policy),
                certified=None if line is None else line.certified,
                support=0 if line is None else line.support,
                wrong_like_it=int(alike.sum()),
                rows_like_it=len(alike),
                insufficient=_lacking(line, k in there, name, exact),
            )
        )
    return found


def _names(outputs: ModelOutputs, classes: Sequence[str]) -> list[str]:
    if outputs.task == "multiclass":
        return [classes[k] for k in outputs.predictions.tolist()]
    return [";".join(name for name, on in zip(classes, row, strict=True) if on) for row in outputs.predictions]


class _Nearest:
    """Says which of the rows of nearest p_wrong are errors."""

    def __init__(self, rows: HeldOut) -> None:
        order = np.argsort(rows.p_wrong, kind="stable")
        self.p_wrong, self.wrong = rows.p_wrong[order], rows.wrong[order]

    def __call__(self, p: np.float32) -> NDArray[np.bool_]:
        return self.wrong[np.argsort(np.abs(self.p_wrong - p), kind="stable")[:_NEAREST]]


def _lacking(line: Line | None, class_is_there: bool, name: str, rows: HeldOut) -> str:
    if not class_is_there:
        return f"{INSUFFICIENT}: no calibration image was predicted to be {name}"
    if not rows.wrong.any():
        return f"{INSUFFICIENT}: calibration has no errors, only the mean of p_wrong is calibrated"
    if line is not None and line.certified is False:
        return line.why if line.why.startswith(INSUFFICIENT) else f"{INSUFFICIENT}: {line.why}"
    return ""
