"""`uncertainty review`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.options import Device, Model, OtherSecondOpinion, Screened, Trusted
from uncertainty.commands.shared import say, say_notes
from uncertainty.verbs.ranges import limits

TOKEN = "UNCERTAINTY_TOKEN"  # noqa: S105, the name of a variable


def review(
    out: Screened,
    screener: Annotated[
        Path | None, typer.Option(help="Folder that `uncertainty fit` wrote; to look again, and to be updated.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Where the screened images are now.")] = None,
    reference: Annotated[Path | None, typer.Option(help="Its known-good images, to show the nearest ones.")] = None,
    explore: Annotated[
        float, typer.Option(**limits("explore"), help="Share drawn at random, so that accuracy can be estimated.")
    ] = 0.1,
    second: Annotated[
        float, typer.Option(**limits("second"), help="Share that a second person sees too, to tell how far they agree.")
    ] = 0.0,
    strategy: Annotated[str, typer.Option(help="What comes first: one of the strategies of `rank`.")] = "uncertainty",
    stop_below: Annotated[
        float, typer.Option(**limits("stop_below"), help="Share of errors from which on a look is worth it.")
    ] = 0.05,
    lease: Annotated[
        float, typer.Option(**limits("lease"), help="Seconds after which an image goes to somebody else.")
    ] = 600.0,
    seed: Annotated[int, typer.Option(**limits("seed"), help="Of what is drawn.")] = 0,
    database: Annotated[
        Path | None, typer.Option(help="File that keeps the labels.", show_default="review.sqlite in OUT")
    ] = None,
    export_only: Annotated[
        bool, typer.Option("--export-only", help="Write the labels so far as a table, and leave.")
    ] = False,
    host: Annotated[str, typer.Option(help=f"Where to listen; beyond this machine {TOKEN} must hold a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(**limits("port"), help="0: any that is free.")] = 8000,
    model: Model = None,
    embedder: OtherSecondOpinion = None,
    device: Device = None,
    trust_model_file: Trusted = False,
) -> None:
    """Look at what was screened, and label it, in a browser: uncertainty review OUT --screener SCREENER."""
    from uncertainty.screening.saved_screener import SavedScreener
    from uncertainty.service.desk.desk import DeskSettings
    from uncertainty.service.desk.plan import Plan

    use: dict[str, Any] = {"embedder": embedder, "trust": trust_model_file}
    settings = DeskSettings(
        out,
        None if screener is None else SavedScreener(screener, model, device, **use),
        images=images,
        reference=reference,
        database=database,
        plan=Plan(explore, second, strategy, seed),
        stop_below=stop_below,
        lease=lease,
    )
    if export_only:
        _export(settings)
    else:
        _serve(settings, host, port)


def _export(settings: Any) -> None:
    from contextlib import closing

    from uncertainty.service.desk.desk import Desk

    with closing(Desk(settings)) as desk:
        say(f"labels written to {desk.write_labels()}")


def _serve(settings: Any, host: str, port: int) -> None:
    from uncertainty.service.desk.serving import serve_desk
    from uncertainty.service.settings import ServiceSettings

    service = ServiceSettings(host=host, port=port, token=os.environ.get(TOKEN))
    serve_desk(settings, service, lambda url: say(f"review at {url}/desk; Ctrl-C ends it"), say_notes)
