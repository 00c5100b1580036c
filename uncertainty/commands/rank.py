"""`uncertainty rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def rank(
    out: Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many images.")] = 200,
    to: Annotated[Path | None, typer.Option("-o", "--out", help="File to write: .csv, .parquet or .jsonl.")] = None,
) -> None:
    """List the images to look at first: uncertainty rank OUT -n 200."""
    from uncertainty.pipeline import rank_folder
    from uncertainty.tables import shown

    target = to or (out if out.is_dir() else out.parent) / "ranking.csv"
    chosen = rank_folder(out, n, target)
    for row in chosen.slice(0, 10).to_pylist():
        label, name = shown(row["predicted_label"]), shown(row["file_name"])
        typer.echo(f"{row['rank']:>4}  p_wrong {row['p_wrong']:.3f}  {label}  {name}")
    typer.echo(f"{len(chosen)} images, the first to look at first, written to {target}")
