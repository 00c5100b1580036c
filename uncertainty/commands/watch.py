"""`uncertainty watch`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.network_options import NetworkOptions, with_network_options
from uncertainty.commands.options import Format, Out
from uncertainty.commands.policy_options import with_policy_options
from uncertainty.commands.shared import say
from uncertainty.figures import number_of
from uncertainty.verbs.ranges import limits

if TYPE_CHECKING:
    from uncertainty.service.watch.settings import How
    from uncertainty.service.watch.watch import Batch

Settle = Annotated[
    float, typer.Option(**limits("settle"), help="Seconds for which a file must stay as it is before it is read.")
]
Every = Annotated[float, typer.Option(**limits("every"), help="Seconds between looks at the folder.")]
Publish = Annotated[float, typer.Option(**limits("publish"), help="Seconds between new versions of the verdicts.")]


@with_policy_options
@with_network_options
def watch(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    folder: Annotated[Path, typer.Argument(help="Folder in which images arrive.")],
    out: Out,
    move: Annotated[Path | None, typer.Option(help="Folder to move flagged images to.")] = None,
    copy: Annotated[Path | None, typer.Option(help="Folder to copy flagged images to.")] = None,
    link: Annotated[Path | None, typer.Option(help="Folder to link flagged images in.")] = None,
    webhook: Annotated[str | None, typer.Option(help="URL that gets each batch as JSON.")] = None,
    run: Annotated[str | None, typer.Option(help="Command that reads each batch as JSON.")] = None,
    settle: Settle = 2.0,
    every: Every = 1.0,
    publish: Publish = 60.0,
    policy: Any = None,
    format: Annotated[Format, typer.Option(help="Of the verdicts.")] = Format.PARQUET,
    *,
    network: NetworkOptions,
) -> None:
    """Screen images as they arrive in a folder: uncertainty watch SCREENER FOLDER -o OUT."""
    from uncertainty.service.watch.settings import Told, WatchSettings
    from uncertainty.service.watch.watch import watching

    how, to = _flagged(move=move, copy=copy, link=link)
    settings = WatchSettings(
        folder,
        out,
        settle=settle,
        every=every,
        publish=publish,
        flagged=how,
        flagged_to=to,
        told=Told(webhook, run),
        ending=f".{format}",
        batch_size=network.batch_size,
        workers=network.workers,
    )
    loaded = network.saved(screener, policy).load()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with watching(loaded, settings) as watched:
        say(f"watching {folder}; interrupt to end")
        summary = watched.run(stop, _say)
    said = "no image came" if summary is None else f"verdicts on {number_of(summary['images'], 'image')}, all so far"
    say(f"{said}; {out} goes on with the same command")


def _flagged(**given: Path | None) -> tuple[How | None, Path | None]:
    from uncertainty.errors import InputError
    from uncertainty.service.watch.settings import How

    asked = [(How(name), folder) for name, folder in given.items() if folder is not None]
    if len(asked) > 1:
        raise InputError("flagged images are moved, copied or linked: give one of --move, --copy and --link")
    return asked[0] if asked else (None, None)


def _say(batch: Batch) -> None:
    if batch.images:
        say(f"batch {batch.number}: {number_of(batch.images, 'image')}, {batch.flagged} flagged")
