"""`uncertainty labels`."""

from __future__ import annotations

from typing import Any

from uncertainty.commands.column_options import with_label_columns
from uncertainty.commands.options import (
    Labels,
    Overwrite,
    Resamples,
    ResamplesSeed,
    Screened,
)
from uncertainty.commands.shared import say
from uncertainty.figures import probability
from uncertainty.storage.mirror import folder_at

_SHOWN = 10


@with_label_columns
def labels(
    out: Screened,
    labels: Labels,
    resamples: Resamples = 1000,
    seed: ResamplesSeed = 0,
    overwrite: Overwrite = False,
    *,
    columns: Any,
) -> None:
    """Say how far annotators agree and which labels are likely wrong: uncertainty labels OUT --labels labels.csv."""
    from uncertainty.commands.tables import shown
    from uncertainty.workflows.check_labels import LABEL_ERRORS, check_labels, words

    check = check_labels(out, labels, columns, seed=seed, resamples=resamples, overwrite=overwrite)
    for row in check.table.slice(0, min(check.likely, _SHOWN)).to_pylist():
        said = f"{shown(row['label'])}, more likely {shown(row['suggested'])}"
        say(f"label wrong {probability(row['label_wrong']):>6}  {said}  {shown(row['file_name'])}")
    for line in words(check):
        say(line)
    say(f"all labels, the likeliest errors first, written to {folder_at(out) / LABEL_ERRORS}")
