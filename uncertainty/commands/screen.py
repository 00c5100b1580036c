"""`uncertainty screen`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.explain import say_explanations
from uncertainty.commands.network_options import NetworkOptions, with_network_options
from uncertainty.commands.options import (
    Actors,
    AdaptTo,
    Engine,
    Format,
    GpusPerActor,
    NameColumn,
    OutAtUrl,
    RayAddress,
)
from uncertainty.commands.policy_options import with_policy_options
from uncertainty.commands.shared import say, say_notes, shown_progress
from uncertainty.commands.start import loading
from uncertainty.figures import number_of

if TYPE_CHECKING:
    from uncertainty.images.remote import AnyFile
    from uncertainty.screener import Screener


@with_policy_options
@with_network_options
def screen(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[
        str, typer.Argument(help="Image, folder, manifest, or Parquet with images; path, URL or table:FILE.")
    ],
    out: OutAtUrl,
    name_column: NameColumn = None,
    policy: Any = None,
    format: Annotated[Format, typer.Option(help="Of the verdicts.")] = Format.PARQUET,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a screening that was interrupted.")] = False,
    features: Annotated[bool, typer.Option(help="Also write features.parquet, to choose images that differ.")] = True,
    engine: Annotated[Engine, typer.Option(help="Where the work is done: in this process, or on Ray.")] = Engine.LOCAL,
    actors: Actors = None,
    gpus_per_actor: GpusPerActor = None,
    ray_address: RayAddress = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished screening of something else.")
    ] = False,
    adapt: AdaptTo = None,
    *,
    network: NetworkOptions,
) -> None:
    """Screen images: uncertainty screen SCREENER INPUT -o OUT."""
    with loading():
        from uncertainty.workflows.screen import OnRay, ScreenSettings, refuse_ray, screen_folder

    ray = None
    if engine is Engine.RAY:
        ray = OnRay(actors, gpus_per_actor, ray_address)
    else:
        refuse_ray(actors=actors, gpus_per_actor=gpus_per_actor, ray_address=ray_address)
    done = screen_folder(
        network.saved(screener, policy),
        images,
        out,
        ScreenSettings(f".{format}", features, network.batch_size, network.workers, overwrite, name_column, adapt),
        ray=ray,
        resume=resume,
        progress=partial(_interruptible, out),
    )
    if done.finished_before:
        say_notes([f"{out} was finished already, so nothing was done; without --resume it is screened anew"])
    _say(done.summary, done.screener, asked=policy is not None)
    if done.summary["images"] == 1 and done.screener.classifier is not None:
        say_explanations(done.screener, [images])
    say(f"verdicts written to {out}")


def _say(summary: dict[str, Any], fitted: Screener, *, asked: bool) -> None:
    from uncertainty.screener.batch_level import ADAPTED_TO_BATCH, FLAGGED_BEFORE

    say_notes(fitted.decision.notes(fitted.model.classes) if asked else ())
    say_notes(summary.get("notes_on_images", ()))
    if seen := summary["provenance"]["images_that_fitted_the_screener"]:
        say_notes([f"{seen} of these images fitted the screener; their p_wrong is too low to be trusted"])
    if (deeper := summary.get("looked_at_more_deeply")) is not None:
        say(f"{deeper} of {number_of(summary['images'], 'image was', 'images were')} looked at more deeply")
    if failed := summary.get("deeper_look_failed"):
        say_notes(
            [f"the deeper look failed at {number_of(failed, 'image')}, with the first verdict kept; see the reasons"]
        )
    if summary["drift"]["alarm"]:
        say_notes([summary["drift"]["in_words"]])
    adapted = summary["provenance"].get(ADAPTED_TO_BATCH, {})
    before = f" ({adapted[FLAGGED_BEFORE]} before adapting)" if FLAGGED_BEFORE in adapted else ""
    say(
        f"{number_of(summary['images'], 'image')}: {summary['flagged']} flagged{before}, "
        f"{summary['unreadable']} of them unreadable; "
        f"about {number_of(round(summary['predicted_errors']), 'error')} expected"
        f"{', as adapted to this batch' if adapted else ''}\n{fitted.describe()}"
    )


@contextmanager
def _interruptible(out: AnyFile, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress; where the user interrupts, say in one line what is kept and how to go on."""
    from uncertainty.screening.screening_at_url import progress_at

    try:
        with shown_progress(what, total) as advance:
            yield advance
    except KeyboardInterrupt:
        begun = progress_at(out)
        kept = (
            "no image was done"
            if begun is None
            else f"{begun[0]} of {number_of(begun[1], 'image is', 'images are')} done"
        )
        say(f"interrupted: {kept}; go on with the same command and --resume", err=True)
        raise typer.Exit(130) from None
