"""`uncertainty known-good`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.network_options import NetworkOptions, with_network_options
from uncertainty.commands.shared import say, say_notes, shown_progress
from uncertainty.figures import number_of


@with_network_options
def known_good(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    add: Annotated[Path | None, typer.Option(help="Images to add, as for --reference of `fit`.")] = None,
    remove: Annotated[Path | None, typer.Option(help="Text file with a name a line, as in the reference.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="New folder. Default: SCREENER, the old one is kept beside it.")
    ] = None,
    *,
    network: NetworkOptions,
) -> None:
    """Add and remove known-good images without a new fit: uncertainty known-good SCREENER --add DIR."""
    from uncertainty.workflows.known_good import change_known_good

    if add is None and remove is None:
        raise typer.BadParameter("give images to --add, or names to --remove")
    look: dict[str, Any] = {"batch_size": network.batch_size, "workers": network.workers, "progress": shown_progress}
    done = change_known_good(network.saved(screener), add=add, remove=remove, into=out, **look)
    say_notes(done.notes)
    now, before = (number_of(len(one.known_good), "known-good image") for one in (done.after, done.before))
    say(f"{now}; before {before}")
    say(f"screener {done.after.id} written to {done.folder}; the one before is kept in {done.kept}")
