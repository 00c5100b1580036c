"""`uncertainty evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.shared import console


def evaluate(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    labels: Annotated[Path, typer.Option(help="CSV with file_name and label, or a folder of class folders.")],
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
) -> None:
    """Say how good the verdicts were, once labels are known: uncertainty evaluate OUT --labels labels.csv."""
    from uncertainty.pipeline import evaluate_folder
    from uncertainty.tables import evaluation_table, evaluation_text

    evaluation, match = evaluate_folder(out, labels, seed=seed, resamples=resamples)
    console().print(evaluation_table(evaluation))
    typer.echo(evaluation_text(evaluation, match))
    typer.echo(f"evaluation.json and errors.csv written to {out if out.is_dir() else out.parent}")
