"""From verdicts and labels to how good both are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from uncertainty.images.remote import located
from uncertainty.verbs.options import AnyPath, columns, here, path_of
from uncertainty.verbs.ranges import in_range

if TYPE_CHECKING:
    from uncertainty.evaluation.comparison import Comparison
    from uncertainty.evaluation.slices import SliceReport
    from uncertainty.workflows.check_labels import LabelCheck
    from uncertainty.workflows.evaluate import Findings
    from uncertainty.workflows.thresholds import Chosen


@in_range
def evaluate(
    out: AnyPath,
    labels: AnyPath,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    precision: float = 0.9,
    recall: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
    group: str | None = None,
    group_by: str | None = None,
    overwrite: bool = False,
) -> Findings:
    """Say how good the verdicts were, once labels are known."""
    from uncertainty.workflows.evaluate import evaluate_folder

    how: dict[str, Any] = {"separator": label_separator, "several": several_labels}
    asked = columns(name_column, label_column, group, group_by, **how)
    wanted: dict[str, Any] = {"precision": precision, "recall": recall, "overwrite": overwrite}
    return evaluate_folder(located(out), here(labels), asked, seed=seed, resamples=resamples, **wanted)


@in_range
def labels(
    out: AnyPath,
    labels: AnyPath,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    resamples: int = 1000,
    seed: int = 0,
    overwrite: bool = False,
) -> LabelCheck:
    """Say how far annotators agree, and which labels are likely wrong."""
    from uncertainty.workflows.check_labels import check_labels

    asked = columns(name_column, label_column, separator=label_separator, several=several_labels)
    return check_labels(located(out), here(labels), asked, seed=seed, resamples=resamples, overwrite=overwrite)


@in_range
def slices(
    out: AnyPath,
    labels: AnyPath,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    by: str = "",
    overwrite: bool = False,
) -> SliceReport:
    """Say which images go with errors, e.g. dark ones."""
    from uncertainty.workflows.slices import slices_of_folder

    wanted = [name.strip() for name in by.split(",")] if by else None
    asked = columns(name_column, label_column, separator=label_separator, several=several_labels)
    return slices_of_folder(located(out), here(labels), wanted, asked, overwrite=overwrite)


@in_range
def compare(
    a: AnyPath,
    b: AnyPath,
    labels: AnyPath,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    out: AnyPath = "comparison",
    resamples: int = 1000,
    seed: int = 0,
    group: str | None = None,
    group_by: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Say what run B fixed and broke against run A."""
    from uncertainty.workflows.compare import compare_folders

    how: dict[str, Any] = {"separator": label_separator, "several": several_labels}
    asked = columns(name_column, label_column, group, group_by, **how)
    more: dict[str, Any] = {"seed": seed, "resamples": resamples, "overwrite": overwrite}
    return compare_folders(located(a), located(b), here(labels), here(out), asked, **more)


@in_range
def thresholds(
    source: AnyPath,
    *,
    precision: float | None = None,
    recall: float | None = None,
    confidence: float | None = None,
    alone: bool = False,
    labels: AnyPath | None = None,
    out: AnyPath | None = None,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    split: str | None = None,
    group: str | None = None,
    group_by: str | None = None,
    overwrite: bool = False,
) -> Chosen:
    """Choose from which probability on each class is said, for a wanted precision or recall."""
    from uncertainty.decisions.answer_thresholds import Wanted
    from uncertainty.workflows.thresholds import choose, write

    wanted = Wanted.of(precision=precision, recall=recall, confidence=confidence, together=not alone)
    how: dict[str, Any] = {"separator": label_separator, "several": several_labels}
    asked = replace(columns(name_column, label_column, group, group_by, **how), split=split)
    found = choose(str(source), path_of(labels), wanted, asked)
    write(found, path_of(out), overwrite=overwrite)
    return found
