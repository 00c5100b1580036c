"""From verdicts and labels to what is to be said of the labels: agreement, and likely errors by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.evaluation.labelled_folder import Labelled, labelled
from uncertainty.evaluation.matching import Returned, meaning
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.figures import number_of
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.quality import Agreement, Answers, agreement, class_beliefs, label_wrong
from uncertainty.labels.tables import task_of
from uncertainty.verdicts import folder_of, write_table
from uncertainty.written import written

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_ERRORS = "label_errors.csv"
LIKELY = 0.5
"""From this probability on a label is called likely wrong."""


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """What labels are like: agreement of annotators, every judged label with the likeliest errors first, and the rest.

    `table` has file_name, label, suggested (what the image more likely is), label_wrong (0..1), likely, p_wrong,
    confidence.
    """

    agreement: list[Agreement]
    table: pa.Table
    returned: Returned

    @property
    def likely(self) -> int:
        """How many labels are likely wrong."""
        return int(np.sum(self.table["likely"].to_numpy(zero_copy_only=False)))


def check_labels(
    folder: Path,
    labels: Path,
    columns: Columns = USUAL,
    *,
    seed: int = 0,
    resamples: int = 1000,
    overwrite: bool = False,
) -> LabelCheck:
    """Join labels to the verdicts of a folder, judge them, and write `label_errors.csv` beside the verdicts.

    The classifier must not have been trained on these labels. Labels that are kept apart are not judged; agreement
    is of all answers for screened images. A `label_errors.csv` that holds something else, such as notes, is an
    InputError unless `overwrite`.
    """
    found = labelled(folder, labels, columns)
    told = by_annotator(found)
    check = LabelCheck(agreement(told, resamples=resamples, seed=seed), _judged(found.outcomes), found.returned)
    with written(folder_of(folder), [LABEL_ERRORS], found.of, overwrite=overwrite) as where:
        write_table(check.table, where / LABEL_ERRORS)
    return check


def by_annotator(found: Labelled) -> Answers:
    """Return label by annotator and image; where one person gave one image different labels, neither counts."""
    several = task_of(found.table) == "multilabel"
    known = None if found.classes is None else frozenset(found.classes)
    told: dict[str, dict[str, set[object]]] = {}
    for one in found.returned.answers:
        said = meaning(one.label, known, several)
        told.setdefault(one.annotator, {}).setdefault(one.file_name, set()).add(said)
    return {
        who: {name: next(iter(said)) for name, said in given.items() if len(said) == 1} for who, given in told.items()
    }


def _judged(outcomes: Outcomes) -> pa.Table:
    """List every label, the likeliest error first."""
    import pyarrow as pa

    score, suggested = judged(outcomes)
    order = np.lexsort((np.arange(len(score)), -score))
    part = outcomes.take(order)
    columns = {
        "file_name": pa.array(part.names.tolist(), pa.string()),
        "label": pa.array(part.texts(part.truth), pa.string()),
        "suggested": pa.array([suggested[k] for k in order], pa.string()),
        "label_wrong": pa.array(score[order], pa.float32()),
        "likely": pa.array(score[order] >= LIKELY, pa.bool_()),
        "p_wrong": part.table["p_wrong"],
        "confidence": part.table["confidence"],
    }
    return pa.table(columns)


def judged(outcomes: Outcomes) -> tuple[NDArray[np.float64], list[str]]:
    """Return how probably each label is wrong, and what the image more likely is.

    Multiclass: `label_wrong`; a label of no known class is wrong as far as p_wrong is low. Multilabel: p_wrong where
    all labels are the predicted ones, else 1 − p_wrong times the least probability of a label that differs.
    """
    p_wrong = np.asarray(outcomes.table["p_wrong"].to_numpy(), dtype=np.float64)
    if outcomes.task == "multilabel":
        return _judged_sets(outcomes, p_wrong), outcomes.texts(outcomes.predicted)
    n, c = len(outcomes), outcomes.n_known
    probs = outcomes.probs if outcomes.probs is not None else np.full((n, c), 1 / max(c, 1))
    beliefs = class_beliefs(p_wrong, outcomes.predicted, probs)
    given = np.where(outcomes.truth < c, outcomes.truth, -1)
    score = label_wrong(given, beliefs)
    others = beliefs.copy()
    rows = np.flatnonzero(given >= 0)
    others[rows, given[rows]] = -1
    names = np.asarray(outcomes.classes, dtype=object)
    return np.where(given < 0, 1 - p_wrong, score), list(names[others.argmax(axis=1)])


def _judged_sets(outcomes: Outcomes, p_wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    k = outcomes.n_known
    differs = outcomes.truth[:, :k] != outcomes.predicted[:, :k]
    probs = np.full(differs.shape, 0.5) if outcomes.probs is None else np.asarray(outcomes.probs, dtype=np.float64)
    of_label = np.where(outcomes.truth[:, :k], probs, 1 - probs)
    least = np.where(differs, of_label, 1).min(axis=1, initial=1)
    return np.where(outcomes.wrong, 1 - p_wrong * least, p_wrong)


def words(check: LabelCheck) -> list[str]:
    """Return agreement and the likeliest errors as sentences."""
    lines = [f"{number_of(len(check.table), 'label')} judged, {check.likely} of them likely wrong"]
    lines += [_agreement(one) for one in check.agreement]
    people = Counter(one.annotator for one in check.returned.answers)
    if len(people) > 1 and not check.agreement:
        lines.append(f"{len(people)} annotators share no image, so nothing can be said of their agreement")
    return [*lines, *check.returned.words()]


def _agreement(one: Agreement) -> str:
    who = "all annotators" if one.pair is None else " and ".join(name or "(no name)" for name in one.pair)
    name = "Krippendorff's alpha" if one.pair is None else "Cohen's kappa"
    same = f"{who}: {one.observed:.1%} equal on {number_of(one.n, 'shared image')}"
    if np.isnan(one.kappa.value):
        return f"{same}; {name} does not exist, since all answers are one class"
    between = "" if np.isnan(one.kappa.low) else f" (95 % interval {one.kappa.low:.3f} to {one.kappa.high:.3f})"
    return f"{same}, {name} {one.kappa.value:.3f}{between}"
