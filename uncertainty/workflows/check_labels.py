"""From verdicts and labels to what is to be said of the labels: agreement, and likely errors by name."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncertainty.combination.mixture import expit
from uncertainty.evaluation.labelled_folder import Labelled, labelled
from uncertainty.evaluation.matching import Returned, meaning
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.figures import number_of
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.likely_errors import LIKELY, TRUST, Seen, likely_errors
from uncertainty.labels.likely_set_errors import likely_set_errors
from uncertainty.labels.quality import Agreement, Answers, agreement
from uncertainty.labels.tables import table_decisions, task_of
from uncertainty.labels.unlike_calibration import more_errors
from uncertainty.notebook.tabular import Tabular
from uncertainty.recalibration.sampling_weights import chosen_by_score, upper_part
from uncertainty.screening.second_pass import MONITORING
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import SUGGESTED, folder_of, write_table
from uncertainty.written import written

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_ERRORS = "label_errors.csv"
_POSTERIOR, _TINY = "est_fused_posterior", 1e-12
_FEW = 5  # labels, below which all of the highest p_wrong may be so by chance
_PICKED = (
    "these labels are of images with {} p_wrong than the others, so they were picked by p_wrong and not drawn: how "
    "many are wrong says nothing of all labels, and of images that are probably misjudged little can be said; to judge "
    "labels, have a random draw of them labelled (`uncertainty rank --explore`)"
)
_SOONER = (
    "{}, so the given labels are believed sooner: right at least {:.0%} of the time, not {:.0%}, as if p_wrong were "
    "too low, which it may be"
)


@dataclass(frozen=True, eq=False, repr=False)
class LabelCheck(Tabular):
    """What labels are like: agreement of annotators, every judged label with the likeliest errors first, and the rest.

    `table` has file_name, label, suggested (what the image more likely is), label_wrong (0..1), likely, p_wrong,
    confidence.
    """

    agreement: list[Agreement]
    table: pa.Table
    returned: Returned
    picked: str = ""
    """Whether the labelled images have "higher" or "lower" p_wrong than the others; "" where they could be a draw."""
    unlike: str = ""
    """What says that the images are not like calibration, by which the labels are believed sooner; "" for nothing."""
    spared: int = 0
    """How many labels more would be likely wrong if the images were taken to be like calibration."""

    @property
    def likely(self) -> int:
        """How many labels are likely wrong."""
        return int(np.sum(self.table["likely"].to_numpy(zero_copy_only=False)))


@at_urls("folder")
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
    agreed = agreement(told, resamples=resamples, seed=seed)
    alarm, unlike = _unlike(folder, found)
    score, suggested, accused = judged(found.outcomes, alarm)
    table = _listed(found.outcomes, score, suggested, accused)
    spared = int((judged(found.outcomes, False)[2] & ~accused).sum()) if unlike else 0
    check = LabelCheck(agreed, table, found.returned, _picked(found.table), unlike, spared)
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


def _unlike(folder: Path, found: Labelled) -> tuple[bool | None, str]:
    """Whether the images are not like calibration, None where nothing tells, and what says so.

    `screen` and `monitor` leave word beside the verdicts; without, p_wrong of all that was screened is looked at.
    """
    alarm = _alarm(folder)
    if alarm is not None:
        return alarm, "the screening raised a drift alarm" * alarm
    p = found.table["p_wrong"].filter(found.table["error"].is_null()).to_numpy()
    more = more_errors(p, found.provenance.get("calibrated_on") or {})
    if more is None:
        return None, ""
    expected, before = (f"{share:.1%}" for share in more)
    return True, f"p_wrong expects {expected} errors of these images, where calibration had {before}"


def _alarm(folder: Path) -> bool | None:
    """What the file of monitoring says; None where there is none, or where the images were too few for an alarm."""
    try:
        drift = json.loads((folder_of(folder) / MONITORING).read_text("utf-8"))["drift"]
        return bool(drift["alarm"]) if drift["alarm"] or drift.get("p_value", 1) is not None else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _listed(
    outcomes: Outcomes, score: NDArray[np.float64], suggested: list[str], accused: NDArray[np.bool_]
) -> pa.Table:
    """List every label, the likeliest error first."""
    import pyarrow as pa

    order = np.lexsort((np.arange(len(score)), -score))
    part = outcomes.take(order)
    columns = {
        "file_name": pa.array(part.names.tolist(), pa.string()),
        "label": pa.array(part.labels, pa.string()),
        "suggested": pa.array([suggested[k] for k in order], pa.string()),
        "label_wrong": pa.array(score[order], pa.float32()),
        "likely": pa.array(accused[order], pa.bool_()),
        "p_wrong": part.table["p_wrong"],
        "confidence": part.table["confidence"],
    }
    return pa.table(columns)


def judged(outcomes: Outcomes, alarm: bool | None = None) -> tuple[NDArray[np.float64], list[str], NDArray[np.bool_]]:
    """Return how probably each label is wrong, what the image more likely is, and which labels are accused.

    `alarm` says whether the images are not like calibration. Multiclass: `likely_errors`; a label of no known class is
    wrong as far as p_wrong is low. Multilabel: `likely_set_errors`, of which the likeliest of an image counts; it more
    likely has the labels that were given, but for those accused, and those whose absence is.
    """
    p_wrong = np.asarray(outcomes.table["p_wrong"].to_numpy(), dtype=np.float64)
    if outcomes.task == "multilabel":
        return _judged_sets(outcomes, alarm)
    n, c = len(outcomes), outcomes.n_known
    probs = np.full((n, c), 1 / max(c, 1)) if outcomes.probs is None else outcomes.probs.astype(np.float64)
    given = np.where(outcomes.truth < c, outcomes.truth, -1)
    seen = Seen(p_wrong, np.asarray(outcomes.predicted, dtype=np.int64), probs, *_suggestions(outcomes))
    score, suggested, accused = likely_errors(given, seen, alarm)
    names, of_none = np.asarray(outcomes.classes, dtype=object), given < 0
    score = np.where(of_none, 1 - p_wrong, score)
    return score, list(names[suggested]), np.where(of_none, score >= LIKELY, accused)


def _suggestions(outcomes: Outcomes) -> tuple[NDArray[np.int64], NDArray[np.float64]] | tuple[()]:
    """The class that all evidence names, -1 for none, and its share of the chance of an error; () without columns."""
    table = outcomes.table
    if not {*SUGGESTED, _POSTERIOR} <= set(table.column_names):
        return ()
    position = {name: k for k, name in enumerate(outcomes.classes[: outcomes.n_known])}
    named = np.array([position.get(name, -1) for name in table[SUGGESTED[0]].to_pylist()], dtype=np.int64)
    probability, log_odds = (
        np.nan_to_num(np.asarray(table[name].cast("float64").to_numpy(), dtype=np.float64))
        for name in (SUGGESTED[1], _POSTERIOR)
    )
    return named, np.clip(probability / np.maximum(expit(log_odds), _TINY), 0, 1)


def _picked(table: pa.Table) -> str:
    """Say whether labelled images have a higher or lower p_wrong than others that were read, by more than chance."""
    import pyarrow.compute as pc

    read = table.filter(table["error"].is_null())
    p = np.asarray(read["p_wrong"].to_numpy(), dtype=np.float64)
    labelled = np.asarray(pc.is_valid(read["label"]).to_numpy(), dtype=np.bool_)
    if labelled.all() or not labelled.any():
        return ""
    top = labelled.sum() >= _FEW and upper_part(p, labelled) is not None
    if not top and chosen_by_score(p, np.ones(len(p), dtype=bool), labelled) is None:
        return ""
    return "higher" if p[labelled].mean() > p[~labelled].mean() else "lower"


def _judged_sets(outcomes: Outcomes, alarm: bool | None) -> tuple[NDArray[np.float64], list[str], NDArray[np.bool_]]:
    k = outcomes.n_known
    said, known = outcomes.predicted[:, :k], outcomes.known[:, :k]
    p_wrong = table_decisions(outcomes.table, outcomes.classes[:k])
    if p_wrong is None:
        probs = np.full(said.shape, 0.5) if outcomes.probs is None else outcomes.probs
        p_wrong = np.where(said, 1 - probs, probs)
    score, accused = likely_set_errors(
        np.where(known, outcomes.truth[:, :k], -1), said, p_wrong.astype(np.float64), alarm
    )
    better = outcomes.truth.copy()
    better[:, :k] ^= accused
    return (
        np.nan_to_num(score).max(axis=1, initial=0),
        replace(outcomes, truth=better).labels,
        np.asarray(accused.any(axis=1)),
    )


def words(check: LabelCheck) -> list[str]:
    """Return agreement and the likeliest errors as sentences."""
    lines = [f"{number_of(len(check.table), 'label')} judged, {check.likely} of them likely wrong"]
    lines += [_PICKED.format(f"a {check.picked}")] * bool(check.picked)
    if check.unlike:
        spared = f"; {check.spared} more would else be called likely wrong" if check.spared else ""
        lines.append(_SOONER.format(check.unlike, TRUST[True].least_right, TRUST[False].least_right) + spared)
    lines += [agreement_in_words(one) for one in check.agreement]
    people = Counter(one.annotator for one in check.returned.answers)
    if len(people) > 1 and not check.agreement:
        lines.append(f"{len(people)} annotators share no image, so nothing can be said of their agreement")
    return [*lines, *check.returned.words()]


def agreement_in_words(one: Agreement) -> str:
    """Say how far two annotators, or all, agree."""
    who = "all annotators" if one.pair is None else " and ".join(name or "(no name)" for name in one.pair)
    name = "Krippendorff's alpha" if one.pair is None else "Cohen's kappa"
    same = f"{who}: {one.observed:.1%} equal on {number_of(one.n, 'shared image')}"
    if np.isnan(one.kappa.value):
        return f"{same}; {name} does not exist, since all answers are one class"
    between = "" if np.isnan(one.kappa.low) else f" (95 % interval {one.kappa.low:.3f} to {one.kappa.high:.3f})"
    return f"{same}, {name} {one.kappa.value:.3f}{between}"
