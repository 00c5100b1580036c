"""`uncertainty demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to write to; it must be new or empty.")] = Path("uncertainty-demo"),
    multilabel: Annotated[
        bool, typer.Option("--multilabel", help="With pictures of several digits each, and a label for every one.")
    ] = False,
) -> None:
    """Show everything on real images, offline, in under a minute: uncertainty demo."""
    from uncertainty.demo.run import run

    root = context.find_root().command
    run(out, lambda arguments: root.main(arguments, standalone_mode=False), typer.echo, several=multilabel)
