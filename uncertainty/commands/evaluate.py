"""`uncertainty evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.column_options import with_grouped_columns
from uncertainty.commands.options import (
    Details,
    Labels,
    Overwrite,
    Resamples,
    ResamplesSeed,
    Screened,
)
from uncertainty.commands.shared import console, plainly, say
from uncertainty.storage.mirror import folder_at
from uncertainty.verbs.ranges import limits

if TYPE_CHECKING:
    from uncertainty.images.remote import AnyFile
    from uncertainty.workflows.evaluate import Findings

Wanted = Annotated[float, typer.Option(**limits("precision"), help="State each class's threshold for this one.")]


@with_grouped_columns
def evaluate(
    out: Screened,
    labels: Labels,
    precision: Wanted = 0.9,
    recall: Wanted = 0.9,
    resamples: Resamples = 1000,
    seed: ResamplesSeed = 0,
    overwrite: Overwrite = False,
    details: Details = False,
    *,
    columns: Any,
) -> None:
    """Say how good the verdicts were, once labels are known: uncertainty evaluate OUT --labels labels.csv."""
    from uncertainty.commands.findings_text import decisions_text, design_text
    from uncertainty.commands.tables import evaluation_table, evaluation_text
    from uncertainty.workflows.evaluate import evaluate_folder

    wanted = {"precision": precision, "recall": recall}
    found = evaluate_folder(out, labels, columns, seed=seed, resamples=resamples, overwrite=overwrite, **wanted)
    say("\n".join(map(plainly, found.opening())))
    console().print(evaluation_table(found.evaluation, details=details))
    say(evaluation_text(found.evaluation, found.match))
    for line in found.returned.words():
        say(line)
    if found.design is not None:
        say(design_text(found.design, found.evaluation))
    if found.decisions is not None:
        say(decisions_text(found.decisions))
    if details:
        _say_details(found)
    _say_where(found, folder_at(out), details=details)


def _say_details(found: Findings) -> None:
    from uncertainty.commands.findings_text import class_table, decision_table, findings_text

    if found.decisions is not None:
        console().print(decision_table(found.decisions))
    console().print(class_table(found.classes))
    say(findings_text(found.classes, found.slices))


def _say_where(found: Findings, folder: AnyFile, *, details: bool) -> None:
    from uncertainty.workflows.evaluate import files_of

    names = ", ".join(files_of(found))
    more = "" if details else "; --details prints every score, class and slice"
    say(f"written to {folder}: {names}{more}")
