"""From single images to what a screener says of each: the verdict, why, and which known-good images are like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uncertainty.classifiers.base import Batch
from uncertainty.decisions.single_image import Answer, answers
from uncertainty.errors import InputError
from uncertainty.figures import number_of, percent, probability
from uncertainty.images.image_set import ImageSet
from uncertainty.images.sources import find_images
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.output_tables.spec import is_table
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener
from uncertainty.screener.nearest_known_good import KnownGood
from uncertainty.screener.verdict_rows import OTHERWISE
from uncertainty.screener.voices import voices
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.verdicts import FLAGGED_LABELS, SUGGESTED


@dataclass(frozen=True)
class Near:
    """A known-good image: its name, its class or labels ("" where it has none), and how far it is (0..2)."""

    name: str
    label: str
    distance: float

    def __str__(self) -> str:
        return f"{self.name} ({f'{self.label}, ' if self.label else ''}distance {self.distance:.3f})"


@dataclass(frozen=True)
class Explanation:
    """What there is to say of one image.

    Parameters
    ----------
    file_name : the image.
    error : why it could not be read; then nothing else is known, and it is flagged. None where it could.
    answer : class, p_wrong and the line that it is held against; where single decisions are flagged, of the decision
        that is farthest above its line, or least below.
    image : where single decisions are flagged, the labels that the classifier gives the image, and its p_wrong.
    confidence : the classifier's own, 0..1.
    reasons : what raised p_wrong most, of an image that is not flagged too.
    suggested : the class that all evidence finds likelier, and its probability; None where that is the predicted one.
    voices : which evidence speaks for another class than the predicted one, and for which, in words.
    nearest : up to three known-good images, the nearest first; none where the screener keeps no names.
    seen : whether the image, by content, fitted the screener, so that its p_wrong is too low.

    """

    file_name: str
    error: str | None
    answer: Answer | None = None
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    suggested: tuple[str, float] | None = None
    voices: tuple[str, ...] = ()
    nearest: tuple[Near, ...] = ()
    seen: bool = False
    image: tuple[str, float] | None = None

    def called(self, name: str) -> Explanation:
        """Return the same of an image that has another name, as one that came in a request."""
        answer = self.answer and replace(self.answer, file_name=name)
        return replace(self, file_name=name, answer=answer)

    def words(self) -> list[str]:
        """Return it as lines, the first with the name."""
        a = self.answer
        if a is None:
            return [f"{self.file_name}: can't be read ({self.error}), so it is flagged"]
        side, where = ("flagged", "above") if a.flagged else ("not flagged", "below")
        rows = number_of(a.rows_like_it, "calibration image" if self.image is None else "calibration decision")
        labels, own = self.image or (a.predicted, a.p_wrong)
        decision = "" if self.image is None else f"; of the decision {a.predicted!r} {probability(a.p_wrong)}"
        lines = [
            f"{self.file_name}: predicted {labels or 'no class'}, confidence {percent(self.confidence)}",
            f"p_wrong {probability(own)}{decision}, {side}: {abs(a.distance):.3f} {where} the line "
            f"at {a.threshold:.3f} ({a.policy})",
            f"{'reasons' if a.flagged else 'what speaks against it most'}: {', '.join(self.reasons) or 'none'}",
        ]
        if self.voices:
            lines.append("; ".join(self.voices))
        if self.suggested is not None:
            lines.append(f"more likely {self.suggested[0]}, by all evidence (probability {self.suggested[1]:.2f})")
        if self.nearest:
            lines.append(f"nearest known-good images: {'; '.join(map(str, self.nearest))}")
        lines.append(
            f"of the {rows} most like it in p_wrong {a.wrong_like_it} were wrong"
            f"{f'; {a.insufficient}' if a.insufficient else ''}"
        )
        if self.seen:
            lines.append("this image fitted the screener, so its p_wrong is too low to be trusted")
        return lines


def loaded_for(saved: SavedScreener, images: Sequence[str | Path]) -> Screener:
    """Load a screener with its classifier, which tables of outputs alone do without."""
    return saved.load_alone() if images and all(map(is_table, images)) else saved.load()


def explain_images(screener: Screener, images: Sequence[str | Path]) -> list[Explanation]:
    """Explain images, or all of a folder, in the order given; the screener must have its classifier.

    Or the rows of `table:FILE`, by a screener that was fitted on such tables. Raises InputError where there is nothing
    at a path; an image that can't be read is an explanation.
    """
    found: list[Explanation] = []
    for path in images:
        there = OutputTable.open(str(path)) if is_table(path) else find_images(str(path))
        if not len(there):
            raise InputError(f"{path} holds no images")
        found += explain_set(screener, there)
    return found


def explain_set(screener: Screener, images: ImageSet | OutputTable) -> list[Explanation]:
    """Explain images that were found already, in their order."""
    good = KnownGood.of(screener)
    return [one for batch in screener.stream(images) for one in explained(screener, batch, good)]


def explained(screener: Screener, batch: Batch, good: KnownGood | None) -> Iterator[Explanation]:
    """Explain the images of a batch, in their order; `good` is `KnownGood.of(screener)`."""
    rows = screener.verdict_rows(batch, otherwise=True).to_pylist()
    readable = [row for row in rows if row["error"] is None]
    told: Iterator[Explanation] = iter(())
    if batch.outputs is not None:
        said = _answers(screener, batch.outputs, readable)
        features = batch.outputs.features
        near = [_near(screener, good, None if features is None else features[k]) for k in range(len(readable))]
        heard = voices(screener, batch.outputs if batch.deeper is None else batch.deeper)
        told = iter(
            replace(_explanation(*one), voices=heard.get(one[1].file_name, ()))
            for one in zip(readable, said, near, strict=True)
        )
    for row, seen in zip(rows, screener.seen(batch), strict=True):
        if row["error"] is not None:
            yield Explanation(row["file_name"], row["error"])
        else:
            one = next(told)
            yield replace(one, seen=bool(seen))


def _answers(screener: Screener, outputs: ModelOutputs, readable: list[dict[str, Any]]) -> list[Answer]:
    if screener.decision.policy.per_decision:
        return screener.explain(outputs)
    p_wrong = np.array([row["p_wrong"] for row in readable], dtype=np.float32)
    return answers(outputs, p_wrong, screener.decision, screener.calibration, screener.model.classes)


def _explanation(row: dict[str, Any], said: Answer, near: tuple[Near, ...]) -> Explanation:
    label, sure = SUGGESTED
    by_decision = FLAGGED_LABELS in row
    return Explanation(
        row["file_name"],
        None,
        said,
        confidence=row["confidence"],
        reasons=tuple(row["reasons"] if row["flagged"] else row[OTHERWISE]),
        suggested=(row[label], row[sure]) if row.get(label) is not None else None,
        nearest=near,
        image=(row["predicted_label"], row["p_wrong"]) if by_decision else None,
    )


def _near(screener: Screener, good: KnownGood | None, feature: Any) -> tuple[Near, ...]:
    if good is None or feature is None:
        return ()
    near, classes = zip(*good.nearest(feature), strict=True), screener.model.classes
    return tuple(Near(good.names[k], good.label(k, classes), distance) for k, distance in near)
