"""`uncertainty known-good`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.options import BatchSize, Device, Model, Workers
from uncertainty.commands.shared import loaded, say_notes, shown_progress
from uncertainty.defaults import BATCH_SIZE, WORKERS


def known_good(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    add: Annotated[Path | None, typer.Option(help="Images to add, as for --reference of `fit`.")] = None,
    remove: Annotated[Path | None, typer.Option(help="Text file with a name a line, as in the reference.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="New folder. Default: SCREENER, the old one is kept beside it.")
    ] = None,
    model: Model = None,
    device: Device = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
) -> None:
    """Add and remove known-good images without a new fit: uncertainty known-good SCREENER --add DIR."""
    from uncertainty.images.sources import find_images
    from uncertainty.screener import Screener
    from uncertainty.screener.known_good import read_names
    from uncertainty.workflows.update import kept_beside

    if add is None and remove is None:
        raise typer.BadParameter("give images to --add, or names to --remove")
    images = None if add is None else find_images(add)
    old = now = Screener.load(screener) if images is None else loaded(screener, model, device)
    if remove is not None:
        now = now.without_known_good(read_names(remove))
    if images is not None:
        with shown_progress("adding", len(images)) as progress:
            now = now.with_known_good(images, batch_size=batch_size, workers=workers, progress=progress)
    kept = kept_beside(screener, old.id, into=out)
    now.save(out or screener)
    say_notes([note for note in now.notes if note not in old.notes])
    typer.echo(f"{len(now.known_good)} known-good images; there were {len(old.known_good)}")
    typer.echo(f"screener {now.id} written to {out or screener}; the one before is kept in {kept}")
