"""`uncertainty screen`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.asking import asking
from uncertainty.commands.options import (
    Actors,
    BatchSize,
    Device,
    Engine,
    Format,
    GpusPerActor,
    Model,
    Out,
    RayAddress,
    Workers,
)
from uncertainty.commands.shared import loaded, say_notes, shown_progress
from uncertainty.defaults import BATCH_SIZE, WORKERS
from uncertainty.errors import InputError

if TYPE_CHECKING:
    from uncertainty.screener import Screener
    from uncertainty.screening.ray_engine import RayEngine


@asking
def screen(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[str, typer.Argument(help="Image, folder, manifest, or Parquet with images; path or URL.")],
    out: Out,
    model: Model = None,
    policy: Any = None,
    format: Annotated[Format, typer.Option(help="Of the verdicts.")] = Format.PARQUET,
    device: Device = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a screening that was interrupted.")] = False,
    features: Annotated[
        bool, typer.Option(help="Also write features.parquet, for choosing images that differ.")
    ] = True,
    engine: Annotated[Engine, typer.Option(help="Where the work is done: in this process, or on Ray.")] = Engine.LOCAL,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    ray_address: RayAddress = None,
) -> None:
    """Screen images: uncertainty screen SCREENER INPUT -o OUT."""
    from uncertainty.images.sources import find_images
    from uncertainty.workflows.screen import finished_summary, screen_into

    where = {"actors": actors, "gpus_per_actor": gpus_per_actor, "address": ray_address}
    options: dict[str, Any] = {"batch_size": batch_size, "features": features}
    if engine is Engine.RAY:
        fitted, elsewhere = _on_ray(screener, model, device, policy, {"workers": workers}, options, where)
    else:
        _refuse_those_of_ray(where)
        fitted, elsewhere = loaded(screener, model, device), None
        options |= {"workers": workers}
    fitted = fitted if policy is None else fitted.with_policy(policy)
    found = find_images(images)
    before = finished_summary(out) if resume else None
    with _interruptible(out), shown_progress("screening", len(found)) as progress:
        summary = screen_into(
            out, fitted, found, ending=f".{format}", resume=resume, progress=progress, engine=elsewhere, **options
        )
    if before is not None:
        say_notes([f"{out} was finished already, so nothing was done; without --resume it is screened anew"])
    _say(summary, fitted)
    typer.echo(f"verdicts written to {out}")


def _on_ray(
    folder: Path, model: str | None, device: str | None, policy: Any, options: Any, part: Any, where: dict[str, Any]
) -> tuple[Screener, RayEngine]:
    """Return the screener, which needs no network here, and where it has one."""
    from uncertainty.screener import Screener
    from uncertainty.screening.part_tables import Screen
    from uncertainty.screening.ray_engine import RayEngine

    asked = {name: value for name, value in where.items() if value is not None}
    engine = RayEngine(Screen(folder, model, device, policy, **part, options=options), **asked)
    return Screener.load(folder), engine


def _refuse_those_of_ray(where: dict[str, Any]) -> None:
    for option, value in zip(("--actors", "--gpus-per-actor", "--ray-address"), where.values(), strict=True):
        if value is not None:
            raise InputError(f"{option} {value} is for --engine ray; add that, or leave it out")


def _say(summary: dict[str, Any], fitted: Screener) -> None:
    say_notes(fitted.notes)
    if seen := summary["provenance"]["images_that_fitted_the_screener"]:
        say_notes([f"{seen} of these images fitted the screener; their p_wrong is too low to be trusted"])
    if (deeper := summary.get("looked_at_more_deeply")) is not None:
        typer.echo(f"{deeper} of {summary['images']} images were looked at more deeply")
    if failed := summary.get("deeper_look_failed"):
        say_notes([f"the deeper look failed at {failed} images; they keep the first verdict, see their reasons"])
    if summary["drift"]["alarm"]:
        say_notes([summary["drift"]["in_words"]])
    typer.echo(
        f"{summary['images']} images: {summary['flagged']} flagged, {summary['unreadable']} of them unreadable; about "
        f"{summary['predicted_errors']:.0f} errors expected\n{fitted.describe()}"
    )


@contextmanager
def _interruptible(out: Path) -> Iterator[None]:
    """Where the user interrupts, say in one line what is kept and how to go on."""
    from uncertainty.screening.journal import progress_of

    try:
        yield
    except KeyboardInterrupt:
        begun = progress_of(out)
        kept = "no image was done" if begun is None else f"{begun[0]} of {begun[1]} images are done"
        typer.echo(f"interrupted: {kept}; go on with the same command and --resume", err=True)
        raise typer.Exit(130) from None
