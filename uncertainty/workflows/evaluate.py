"""From verdicts and labels to files: how good it was, who was wrong, class by class and slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from uncertainty.evaluation.confusion import ClassReport, class_report
from uncertainty.evaluation.labelled_folder import labelled
from uncertainty.evaluation.matching import Returned
from uncertainty.evaluation.outcomes import Outcomes
from uncertainty.evaluation.screening_quality import Evaluation, Match, evaluate, measurable
from uncertainty.evaluation.slices import SliceReport, slice_report
from uncertainty.evaluation.tables import class_table, pair_table, slice_table
from uncertainty.files import plain, together, write_json
from uncertainty.images.manifests import USUAL, Columns
from uncertainty.labels.inclusion import read_inclusion
from uncertainty.recalibration.sampling_weights import DesignEstimate, design_estimate
from uncertainty.verdicts import WIDE_CLASSES, folder_of, metadata_of_rows, write_table

EVALUATION, TOGETHER = "evaluation.json", "evaluation"
_POINTS, _FEW_POINTS = 65, 20


@dataclass(frozen=True)
class Findings:
    """All that verdicts and labels tell together; `design` where the labels say with which chance images got them."""

    evaluation: Evaluation
    match: Match
    classes: ClassReport
    slices: SliceReport
    returned: Returned
    design: DesignEstimate | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `evaluation.json` holds."""
        labels = {
            "n_labels_without_image": self.match.labels_without_row,
            "n_labels_kept_apart": self.returned.counts,
            "design": plain(self.design),
        }
        return self.evaluation.to_json() | labels | self.classes.to_json() | {"slices": self.slices.to_json()}


def evaluate_folder(
    folder: Path,
    labels: Path,
    columns: Columns = USUAL,
    *,
    seed: int = 0,
    resamples: int = 1000,
    precision: float = 0.9,
    recall: float = 0.9,
) -> Findings:
    """Join labels to the verdicts of a folder and write what they tell beside them.

    Files: `evaluation.json` with every number, `errors.csv`, `false_positives.csv` and `false_negatives.csv` by name,
    `per_class.csv`, `confused.csv`, `slices.csv`, and `curves.json` with the curves of each class, thinned; all are of
    one evaluation, whenever it is killed.
    `precision` and `recall` are those for which each class's threshold is wanted. With a grouping in
    `columns` intervals are of groups.
    """
    found = labelled(folder, labels, columns)
    groups = columns.grouping.of(found.table["file_name"].to_pylist(), metadata_of_rows(found.table))
    findings = Findings(
        evaluate(found.table, classes=found.classes, seed=seed, resamples=resamples, groups=groups),
        found.match,
        class_report(found.outcomes, precision=precision, recall=recall),
        slice_report(found.outcomes, usual=found.usual),
        found.returned,
        _design(found.table, labels, columns),
    )
    with together(folder_of(folder), TOGETHER) as where:
        write_json(where / EVALUATION, findings.to_json())
        for name, table in _tables(found.outcomes, findings).items():
            write_table(table, where / f"{name}.csv")
        write_json(where / "curves.json", _curves(findings.classes))
    return findings


def _design(table: pa.Table, labels: Path, columns: Columns) -> DesignEstimate | None:
    """Estimate the accuracy of all images from the chances in the labels; None where no chance is below 1."""
    chances = read_inclusion(labels, columns=columns) or {}
    rows = measurable(table).select(["file_name", "correct"]).to_pylist()
    known = [(not row["correct"], chances[row["file_name"]]) for row in rows if row["file_name"] in chances]
    wrong, chance = np.array([w for w, _ in known], dtype=bool), np.array([c for _, c in known], dtype=np.float64)
    return design_estimate(wrong, chance) if (chance < 1).any() else None


def _tables(outcomes: Outcomes, findings: Findings) -> dict[str, pa.Table]:
    return {
        "errors": outcomes.misclassified(),
        "false_positives": outcomes.false_positives(),
        "false_negatives": outcomes.false_negatives(),
        "confused": pair_table(findings.classes),
        "per_class": class_table(findings.classes),
        "slices": slice_table(findings.slices),
    }


def _curves(report: ClassReport) -> dict[str, Any]:
    most = _POINTS if report.n_known_classes <= WIDE_CLASSES else _FEW_POINTS
    return {"classes": [{"class": name, **curve.thinned(most)} for name, curve in report.curves.items()]}
