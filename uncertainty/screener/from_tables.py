"""From tables of outputs to a screener, and whether a table is one that a screener can judge; no network anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from uncertainty.classifiers.base import Collected, Images, image_items
from uncertainty.classifiers.image_loader import Items
from uncertainty.combination.halves import halves
from uncertainty.combination.truth import Named, with_reference_labels, with_truth
from uncertainty.errors import InputError
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.output_tables.spec import is_table
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import fit
from uncertainty.screener.fit_settings import FitSettings
from uncertainty.screener.fitted import Fitted

Progress = Callable[[int], None] | None


def items_of(images: Images | OutputTable, labels: Any = None) -> Items | OutputTable:
    """Turn whatever names images, or a table of outputs, into what can be gone through row by row."""
    table = OutputTable.open(str(images)) if is_table(images) else images
    if not isinstance(table, OutputTable):
        return image_items(table, labels)
    if labels is not None:
        raise InputError(f"{table.file.path} is a table of outputs; its labels are a column of it, so leave labels out")
    return table


def from_tables(
    reference: OutputTable | None, calibration: OutputTable, asked: FitSettings, progress: Progress = None
) -> Fitted:
    """Fit to what tables say; without a reference half of calibration becomes it, in whole groups where there are any.

    Rows that are not whole, and calibration rows without a label, are left out and told. Raises InputError where the
    tables are of other classes, or one holds logits and the other probabilities; and what `Screener.fit_outputs`
    raises.
    """
    notes: list[str] = []
    calibration = calibration.with_classes(_classes(reference, calibration, asked.classes))
    groups = asked.groups if isinstance(asked.groups, Mapping) else None
    if reference is None:
        _refuse_unlabelled(calibration)
        reference, calibration = halves(calibration, asked.seed, groups)
        how = "" if groups is None else ", in whole groups"
        notes.append(
            f"one labelled table was given: {len(reference)} rows became the reference, the rest calibration{how}"
        )
    model = Named(tuple(calibration.classes or ()), calibration.task)
    reference = reference.with_classes(model.classes)
    _refuse_unlike(reference, calibration)
    reference, calibration = (
        reference.with_thresholds(calibration.thresholds),
        calibration.with_thresholds(reference.thresholds),
    )
    good, of_reference = known_good_rows(reference, model, progress)
    held_out = calibration.collect(progress)
    notes += [*of_reference, *_left_out("calibration", held_out)]
    labelled, about_labels = labelled_rows(calibration, held_out, model)
    fitted = fit.from_outputs(good, labelled, (None, None), replace(asked, classes=model.classes))
    notes = [*about_labels, *notes, *_not_told(calibration)]
    thresholds = None if calibration.thresholds is None else list(calibration.thresholds)
    kept = fitted.model.model_copy(update={"table": calibration.output, "thresholds": thresholds})
    return replace(fitted, notes=(*notes, *fitted.notes), model=kept)


def known_good_rows(table: OutputTable, model: Named, progress: Progress = None) -> tuple[ModelOutputs, list[str]]:
    """Return the rows of a reference, with labels where any are known, and notes."""
    found = table.collect(progress)
    good, notes = with_reference_labels(model, found)
    return good.outputs, [*notes, *_left_out("reference", found)]


def fitting(fitted: Fitted, table: OutputTable) -> OutputTable:
    """Return a table in the order of a screener's classes, and with the decisions of those that it was fitted on.

    Raises InputError for a screener that was fitted with a network, a table of other classes, one of probabilities
    where logits were learnt from or the other way round, and one without a column that the screener reads.
    """
    if fitted.model.sha256 is not None:
        raise InputError(
            f"{table.file.path} is a table of outputs, and this screener was fitted on images, with its network: "
            "screen images, or fit one on tables (fit --calibration table:FILE)"
        )
    if fitted.model.task != table.task:
        raise InputError(f"{table.file.path} is {table.task}, and the screener {fitted.model.task}; say ?task=…")
    if fitted.model.table is not None and fitted.model.table != table.output:
        raise InputError(f"{table.file.path} holds {table.output}; the screener was fitted on {fitted.model.table}")
    needed = {column: e.name for e in fitted.estimators for column in e.reads}
    if missing := sorted(column for column in needed if column not in table.columns | {"logits", "probs"}):
        raise InputError(
            f"{table.file.path} has no {missing[0]}, which {needed[missing[0]]} of this screener reads; write them "
            "too, or fit on tables without"
        )
    return table.with_classes(fitted.model.classes).with_thresholds(fitted.model.thresholds)


def _classes(reference: OutputTable | None, calibration: OutputTable, asked: Sequence[str] | None) -> Sequence[str]:
    named = asked or calibration.classes or (None if reference is None else reference.classes)
    return tuple(map(str, range(calibration.n_classes))) if named is None else tuple(named)


def _refuse_unlike(reference: OutputTable, calibration: OutputTable) -> None:
    for what in ("output", "task"):
        one, other = getattr(reference, what), getattr(calibration, what)
        if one != other:
            raise InputError(
                f"{reference.file.path} holds {one} and {calibration.file.path} {other}; give both in one form"
            )


def _refuse_unlabelled(table: OutputTable) -> None:
    if table.labels is None:
        raise InputError(f"{table.file.path} has no column label; calibration needs to know what each image is")


def labelled_rows(table: OutputTable, found: Collected, model: Named) -> tuple[ModelOutputs, list[str]]:
    """Return the collected rows of a table that have a label, with their labels, and notes on the others."""
    _refuse_unlabelled(table)
    kept, notes = with_truth(model, found)
    return kept.outputs, notes


def _left_out(what: str, found: Collected) -> list[str]:
    if not found.failures:
        return []
    name, why = found.failures[0]
    return [f"{len(found.failures)} {what} rows are not whole and were left out, e.g. {name!r}: {why}"]


def _not_told(table: OutputTable) -> list[str]:
    """Say what only a network could tell."""
    notes = ["tables hold no damaged and no unknown images, so p_wrong is that of images like calibration"]
    if table.output == "probabilities":
        notes.append("energy is the same for all rows: the table holds probabilities, not logits")
    return notes
