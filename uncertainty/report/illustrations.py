"""What needs the network again: known-good images beside the suspicious ones, and heat maps of where it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.progress import Progress, silent
from uncertainty.errors import ImageError, InputError, ModelError
from uncertainty.images.by_name import Pictures, each
from uncertainty.images.decoding import WHOLE, decode
from uncertainty.report import heat
from uncertainty.report.decisions import Decisions
from uncertainty.report.rows import Rows
from uncertainty.report.thumbnails import thumbnails
from uncertainty.screener import Screener
from uncertainty.screener.nearest_known_good import KnownGood
from uncertainty.screening.saved_screener import SavedScreener

_SMALL = 88
_BATCH = 32
_MAPS = 2  # of each image
_NO_NAMES = "The screener does not keep which known-good images it has, so none is shown; fit it again."


@dataclass(frozen=True)
class Question:
    """A class to look for in one image, and what it is there: predicted, true class or runner-up."""

    title: str
    target: int


def illustrations(
    saved: SavedScreener | None,
    reference: Path | None = None,
    *,
    cam: str | None = None,
    progress: Progress = silent,
) -> Illustrations | None:
    """Return what looks at the images again, by a saved screener; None without one, if nothing was asked of it."""
    heat.checked(cam)
    if saved is not None:
        return Illustrations(saved.load(), reference, cam, progress)
    if cam is not None or reference is not None:
        raise InputError("--cam and --reference look at the images again; give --screener DIR too")
    return None


@dataclass(frozen=True, eq=False)
class Illustrations:
    """Looks again at the flagged and the wrong images: `reference` shows known-good ones beside them, `cam` heat maps.

    `cam` is "grad" for Grad-CAM, or "guided" for Guided Grad-CAM too.
    """

    screener: Screener
    reference: Path | None = None
    cam: str | None = None
    progress: Progress = silent

    def __call__(
        self, rows: Rows, shown: Sequence[int], pictures: Pictures
    ) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
        """Return further fields of each shown record, further fields of the page, and what could not be drawn.

        Pictures among them are bytes.
        """
        if self.screener.classifier is None:
            raise ModelError("the screener has no classifier; load it with one to look at the images again")
        fields: list[dict[str, Any]] = [{} for _ in shown]
        urgent = (rows.flagged | rows.wrong) & rows.readable
        wanted = [i for i, row in enumerate(shown) if urgent[row]]
        known = self._known_good()
        notes = [_NO_NAMES] if known is None and self.reference is not None else []
        with self.progress("looking again", len(wanted)) as advance:
            for start in range(0, len(wanted), _BATCH):
                part = wanted[start : start + _BATCH]
                found, said = self._drawn(self.screener.classifier, rows, [shown[i] for i in part], pictures, known)
                for k, more in found.items():
                    fields[part[k]] = more
                notes += [one for one in said if one not in notes]
                advance(len(part))
        return fields, self._embedded(fields, known), notes

    def _known_good(self) -> KnownGood | None:
        if self.reference is None:
            return None
        if not self.reference.exists():
            raise InputError(f"{self.reference} does not exist; give the images that --reference of the fit had")
        return KnownGood.of(self.screener)

    def _drawn(
        self, classifier: Classifier, rows: Rows, part: list[int], pictures: Pictures, known: KnownGood | None
    ) -> tuple[dict[int, dict[str, Any]], list[str]]:
        """Return fields by position in `part`, for the images that are still there, and notes."""
        prepared = each(pictures, [rows.names[row] for row in part], partial(_prepared, classifier), None)
        at = [k for k, one in enumerate(prepared) if one is not None]
        if not at:
            return {}, []
        inputs = np.stack([prepared[k][0] for k in at])
        outputs = classifier.outputs_from_inputs([rows.names[part[k]] for k in at], inputs, passes=0)
        asked = self._asked(rows, [part[k] for k in at], outputs.probs)
        number = {name: k for k, name in enumerate(rows.classes)}
        found: dict[int, dict[str, Any]] = {k: {} for k in at}
        if known is not None and outputs.features is not None:
            for k, feature, questions in zip(at, outputs.features, asked, strict=True):
                found[k]["near"] = [_near(known, feature, q, number[classifier.classes[q.target]]) for q in questions]
        maps, notes = _maps(classifier, inputs, asked, self.cam)
        for k, fields, questions in zip(at, maps, asked, strict=True):
            both = [number[classifier.classes[questions[min(w, len(questions) - 1)].target]] for w in range(_MAPS)]
            found[k] |= fields | (
                {"heat_of": both, "heat_other": both[-1], "heat_box": prepared[k][1]} if fields else {}
            )
        return found, notes

    def _asked(self, rows: Rows, part: list[int], probs: NDArray[Any]) -> list[list[Question]]:
        classifier = self.screener.classifier
        if classifier is None:
            return []
        if not rows.one_class_each:
            return doubted(Decisions.of(rows), part, [rows.classes.index(name) for name in classifier.classes])
        return [_questions(classifier, rows, row, one) for row, one in zip(part, probs, strict=True)]

    def _embedded(self, fields: list[dict[str, Any]], known: KnownGood | None) -> dict[str, Any]:
        """Embed each known-good picture once; a position in the reference becomes one among those pictures."""
        if known is None:
            return {}
        groups = [group for one in fields for group in one.get("near", [])]
        used = sorted({i for group in groups for i in group["pictures"]})
        classifier = self.screener.classifier
        reading = WHOLE if classifier is None else classifier.preprocess.reading
        found = thumbnails(Pictures.at(self.reference), [known.names[i] for i in used], side=_SMALL, reading=reading)
        there = [(i, one.data) for i, one in zip(used, found, strict=True) if one.error is None]
        order = {i: k for k, (i, _) in enumerate(there)}
        for group in groups:
            kept = [pair for pair in zip(group["pictures"], group["distances"], strict=True) if pair[0] in order]
            group["pictures"] = [order[i] for i, _ in kept]
            group["distances"] = [distance for _, distance in kept]
        for one in fields:
            if "near" in one:
                one["near"] = [group for group in one["near"] if group["pictures"]]
        return {"known_good": [data for _, data in there]}


def _prepared(classifier: Classifier, data: Path | bytes) -> tuple[NDArray[np.float32], list[float]] | None:
    """Return the network's input, and which part of the image it is: left, top, width and height as shares."""
    try:
        image = decode(data, least=classifier.least, reading=classifier.preprocess.reading)
    except ImageError:
        return None
    preprocess = classifier.preprocess
    return preprocess.of(image), visible(preprocess, image.width, image.height)


def visible(preprocess: Preprocess, width: int, height: int) -> list[float]:
    """Return the part of an image that the network sees, as left, top, width, height in a square around the image.

    The page shows images whole, in the middle of a square. Of 4 x 2 pixels a centre crop sees the middle 2 x 2:

    >>> visible(Preprocess(size=2), 4, 2), visible(Preprocess(size=2, resize="exact"), 4, 2)
    ([0.25, 0.25, 0.5, 0.5], [0.0, 0.25, 1.0, 0.5])
    """
    longest = max(width, height)
    tall, wide = preprocess.sides
    if preprocess.resize in ("exact", "squash", "border"):
        kept = 1.0 if preprocess.resize != "squash" else preprocess.crop_pct
        seen = (kept * width / longest, kept * height / longest)
    else:
        share = preprocess.crop_pct * min(width / wide, height / tall) / longest
        seen = (share * wide, share * tall)
    return [round(share, 4) for share in ((1 - seen[0]) / 2, (1 - seen[1]) / 2, *seen)]


def _questions(classifier: Classifier, rows: Rows, row: int, probs: NDArray[Any]) -> list[Question]:
    """Ask for the predicted class, the true one where it is known and another, and the runner-up."""
    first, *others = np.argsort(-probs, kind="stable")[:2].tolist()
    questions = [Question("predicted", first)]
    truth = classifier.label_index(rows.label[row]) if rows.wrong[row] else -1
    if truth >= 0:
        questions.append(Question("true class", truth))
    questions += [Question("runner-up", k) for k in others if k != truth]
    return questions


def doubted(decisions: Decisions, rows: Sequence[int], columns: Sequence[int]) -> list[list[Question]]:
    """Ask of several labels for two of each image: those of wrong decisions, then the most doubtful ones.

    `columns` are the classes of the classifier among those of the decisions.
    """
    place = {column: k for k, column in enumerate(columns)}
    found = []
    for row in rows:
        order = sorted(decisions.doubts(row), key=lambda k: not decisions.wrong[row, k])
        asked = [k for k in order if k in place][:_MAPS]
        found.append([Question(_role(decisions, row, k), place[k]) for k in asked])
    return found


def _role(decisions: Decisions, row: int, k: int) -> str:
    if not decisions.wrong[row, k]:
        return "in doubt"
    return "wrongly given" if decisions.said[row, k] else "not recognised"


def _near(known: KnownGood, feature: NDArray[Any], question: Question, number: int) -> dict[str, Any]:
    positions, distances = known.nearest(feature, question.target)
    return {"title": question.title, "class": number, "pictures": positions, "distances": distances}


def _maps(
    classifier: Classifier, inputs: NDArray[np.float32], asked: list[list[Question]], cam: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return maps of each image for its first two questions, or twice for the only one; and what can't be drawn."""
    if cam is None:
        return [{} for _ in asked], []
    both = [[questions[min(which, len(questions) - 1)].target for questions in asked] for which in range(_MAPS)]
    drawn: dict[str, list[Any]] = {"heat": [heat.coarse(classifier, inputs, targets) for targets in both]}
    why = heat.why_not_fine(classifier, inputs) if cam == "guided" else None
    if cam == "guided" and why is None:
        drawn["guided"] = [heat.fine(classifier, inputs, targets) for targets in both]
    fields = [{name: [maps[0][i], maps[1][i]] for name, maps in drawn.items()} for i in range(len(asked))]
    return fields, [] if why is None else [why]
