"""`uncertainty export-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uncertainty.commands.options import Overwrite
from uncertainty.commands.shared import say, say_notes


def export_model(
    model: Annotated[str, typer.Argument(help="Model spec of a network that torch runs.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write, .onnx or .pt2.")],
    classes: Annotated[Path | None, typer.Option(help="Class names in output order: .txt or JSON.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a network with logits and features: uncertainty export-model SPEC -o model.onnx."""
    from uncertainty.classifiers.export_model import export_spec

    say_notes(export_spec(model, out, classes, overwrite=overwrite))
    say(f"network written to {out}; its model spec is {out.suffix[1:]}:{out}")
