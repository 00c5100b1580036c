"""`uncertainty demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_ONE, _SEVERAL = "uncertainty-demo", "uncertainty-demo-multilabel"


def demo(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to, new or empty.", show_default=f"{_ONE}, or {_SEVERAL}")
    ] = None,
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="With pictures of several digits each, and a label for every one.")
    ] = False,
) -> None:
    """Show everything on real images, offline, in under a minute: uncertainty demo."""
    from uncertainty.demo.run import run

    root = context.find_root().command
    folder = out or Path(_SEVERAL if multilabel else _ONE)
    run(folder, lambda arguments: root.main(arguments, standalone_mode=False), typer.echo, several=multilabel)
