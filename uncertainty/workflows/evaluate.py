"""From verdicts and labels to files: how good it was, who was wrong, class by class and slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from uncertainty.brief import Brief
from uncertainty.checks.class_columns import WIDE_CLASSES
from uncertainty.evaluation.confusion import ClassReport, class_report
from uncertainty.evaluation.decision_quality import DecisionReport, decision_report
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.matching import Returned
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.plots import Plots
from uncertainty.evaluation.screening_quality import Evaluation, Match, evaluate
from uncertainty.evaluation.slices import SliceReport
from uncertainty.evaluation.tables import class_slice_table, class_table, decision_table, pair_table, slice_table
from uncertainty.files import plain, write_json
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.inclusion import inclusion
from uncertainty.recalibration.label_origin import LabelOrigin, label_origin
from uncertainty.recalibration.sampling_weights import DesignEstimate, design_estimate
from uncertainty.storage.mirror import at_urls
from uncertainty.verdicts import folder_of, metadata_of_rows, write_table
from uncertainty.workflows.evaluation_words import opening
from uncertainty.workflows.slices import slices_of
from uncertainty.written import refuse, written

EVALUATION, CURVES = "evaluation.json", "curves.json"
TABLES = ("errors", "false_positives", "false_negatives", "confused", "per_class", "slices")
SEVERAL = ("per_decision", "slices_per_class")
"""Tables besides, where an image may have several labels."""
FILES = (EVALUATION, *(f"{name}.csv" for name in (*TABLES, *SEVERAL)), CURVES)
_POINTS, _FEW_POINTS = 65, 20


@dataclass(frozen=True, repr=False)
class Findings(Plots, Brief):
    """All that verdicts and labels tell, and its plots; `design` where labels say with which chance images got them."""

    evaluation: Evaluation
    match: Match
    classes: ClassReport
    slices: SliceReport
    returned: Returned
    origin: LabelOrigin
    design: DesignEstimate | None = None
    outcomes: Outcomes | None = None
    decisions: DecisionReport | None = None

    @property
    def _plotted(self) -> Any:
        return self.outcomes

    def _facts(self) -> dict[str, Any]:
        names = ("n", "n_errors", "accuracy", "flagged_share", "errors_caught_by_flags")
        return {name: getattr(self.evaluation, name) for name in names}

    def opening(self) -> list[str]:
        """Return the four lines that say most, see `evaluation_words.opening`."""
        return opening(self.evaluation, self.classes, self.slices, self.origin, self.design)

    def to_json(self) -> dict[str, Any]:
        """Return what `evaluation.json` holds."""
        labels = {
            "n_labels_without_image": self.match.labels_without_row,
            "n_labels_kept_apart": self.returned.counts,
            "design": plain(self.design),
            "label_origin": plain(self.origin),
            "in_words": self.opening(),
        }
        several = {} if self.decisions is None else {"decisions": plain(self.decisions)}
        told = self.evaluation.to_json() | labels | self.classes.to_json() | {"slices": self.slices.to_json()}
        return told | several


def files_of(found: Findings) -> list[str]:
    """Return the names of the files that these findings are written to."""
    return [name for name in FILES if found.decisions is not None or Path(name).stem not in SEVERAL]


@at_urls("folder")
def evaluate_folder(
    folder: Path,
    labels: Path,
    columns: Columns = USUAL,
    *,
    seed: int = 0,
    resamples: int = 1000,
    overwrite: bool = False,
    **wanted: float,
) -> Findings:
    """Join labels to the verdicts of a folder and write what they tell beside them.

    Files: `evaluation.json` with every number, `errors.csv`, `false_positives.csv` and `false_negatives.csv` by name,
    `per_class.csv`, `confused.csv`, `slices.csv`, of several labels `per_decision.csv` and `slices_per_class.csv`, and
    `curves.json` with the curves of each class, thinned; all are of
    one evaluation, whenever it is killed.
    `wanted` are the `precision` and `recall` for which each class's threshold is asked, 0.9 each. With a grouping in
    `columns` intervals are of groups. Files that hold something else are an InputError unless `overwrite`.
    """
    found = labelled(folder, labels, columns)
    refuse(folder_of(folder), FILES, found.of, overwrite=overwrite)
    groups = columns.grouping.of(found.table["file_name"].to_pylist(), metadata_of_rows(found.table))
    findings = Findings(
        evaluate(found.table, classes=found.classes, seed=seed, resamples=resamples, groups=groups),
        found.match,
        class_report(found.outcomes, **wanted),
        slices_of(found.outcomes, found.usual),
        found.returned,
        *_sampling(found.table, inclusion(found.returned.manifest, found.returned.more, labels) or {}),
        outcomes=found.outcomes,
        decisions=decision_report(found.outcomes),
    )
    with written(folder_of(folder), FILES, found.of, overwrite=overwrite) as where:
        write_json(where / EVALUATION, findings.to_json())
        for name, table in _tables(found.outcomes, findings).items():
            write_table(table, where / f"{name}.csv")
        write_json(where / CURVES, _curves(findings.classes))
    return findings


def _sampling(table: pa.Table, chances: Mapping[str, float]) -> tuple[LabelOrigin, DesignEstimate | None]:
    """Tell how images came by their labels, and estimate the accuracy of all from the chances that they had.

    No estimate where no chance is below 1.
    """
    read = table.filter(pc.is_null(table["error"]))
    right = read["correct"].to_pylist()
    labelled, wrong = np.array([one is not None for one in right]), np.array([one is False for one in right])
    chance = np.array([chances.get(name, np.nan) for name in read["file_name"].to_pylist()], dtype=np.float64)
    p_wrong = read["p_wrong"].to_numpy(zero_copy_only=False)
    known = labelled & ~np.isnan(chance)
    drawn = bool((chance[known] < 1).any())
    origin = label_origin(p_wrong, labelled, wrong, np.nan_to_num(chance, nan=1.0) if drawn else None)
    return origin, design_estimate(wrong[known], chance[known]) if drawn else None


def _tables(outcomes: Outcomes, findings: Findings) -> dict[str, pa.Table]:
    tables = (
        outcomes.misclassified(),
        outcomes.false_positives(),
        outcomes.false_negatives(),
        pair_table(findings.classes),
        class_table(findings.classes),
        slice_table(findings.slices),
    )
    named = dict(zip(TABLES, tables, strict=True))
    if findings.decisions is not None:
        several = decision_table(findings.decisions), class_slice_table(findings.slices)
        named |= dict(zip(SEVERAL, several, strict=True))
    return named


def _curves(report: ClassReport) -> dict[str, Any]:
    most = _POINTS if report.n_known_classes <= WIDE_CLASSES else _FEW_POINTS
    return {"classes": [{"class": name, **curve.thinned(most)} for name, curve in report.curves.items()]}
