"""From a model spec to a file."""

from __future__ import annotations

from pathlib import Path

from uncertainty.verbs.options import AnyPath, path_of


def export_model(
    model: str, out: AnyPath, *, classes: AnyPath | None = None, overwrite: bool = False
) -> tuple[str, ...]:
    """Write a network that torch runs to a file .onnx or .pt2 with logits and features, and return notes."""
    from uncertainty.classifiers.export_model import export_spec

    return export_spec(model, Path(out), path_of(classes), overwrite=overwrite)
