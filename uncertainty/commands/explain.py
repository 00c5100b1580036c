"""`uncertainty explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncertainty.commands.network_options import NetworkOptions, with_screener_options
from uncertainty.commands.shared import plainly, say
from uncertainty.commands.start import loading

if TYPE_CHECKING:
    from uncertainty.screener import Screener


@with_screener_options
def explain(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    images: Annotated[list[str], typer.Argument(help="Images, or folders of them; paths or URLs; table:FILE.")],
    *,
    network: NetworkOptions,
) -> None:
    """Say why an image is flagged or not, and what it is like: uncertainty explain SCREENER IMAGE."""
    with loading():
        from uncertainty.workflows.explain import loaded_for

    say_explanations(loaded_for(network.saved(screener), images), images)


def say_explanations(screener: Screener, images: list[str]) -> None:
    """Print what a screener says of each image."""
    from uncertainty.workflows.explain import explain_images

    for one in explain_images(screener, images):
        first, *rest = map(plainly, one.words())
        say("\n".join([first, *(f"  {line}" for line in rest)]))
