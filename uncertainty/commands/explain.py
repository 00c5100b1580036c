"""`uncertainty explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncertainty.commands.options import Device, Model, OtherSecondOpinion, Trusted
from uncertainty.commands.shared import plainly, say
from uncertainty.commands.start import loading

if TYPE_CHECKING:
    from uncertainty.screener import Screener


def explain(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[list[str], typer.Argument(help="Images, or folders of them; paths or URLs; table:FILE.")],
    model: Model = None,
    embedder: OtherSecondOpinion = None,
    device: Device = None,
    trust_model_file: Trusted = False,
) -> None:
    """Say why an image is flagged or not, and what it is like: uncertainty explain SCREENER IMAGE."""
    with loading():
        from uncertainty.screening.saved_screener import SavedScreener
        from uncertainty.workflows.explain import loaded_for

    saved = SavedScreener(screener, model, device, embedder=embedder, trust=trust_model_file)
    say_explanations(loaded_for(saved, images), images)


def say_explanations(screener: Screener, images: list[str]) -> None:
    """Print what a screener says of each image."""
    from uncertainty.workflows.explain import explain_images

    for one in explain_images(screener, images):
        first, *rest = map(plainly, one.words())
        say("\n".join([first, *(f"  {line}" for line in rest)]))
