"""Outputs computed once and kept as .npz, without pickle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty import ModelOutputs
from uncertainty.outputs import Task

DEFAULT_CACHE = Path.home() / ".cache" / "uncertainty-experiments"
_COLUMNS = tuple(f.name for f in fields(ModelOutputs) if f.name not in ("task", "decision_thresholds"))


def cached(file: Path, compute: Callable[[], ModelOutputs]) -> ModelOutputs:
    """Read the outputs from `file`, or compute them and write it; delete the file to compute them again."""
    if not file.exists():
        save(file, compute())
    return load(file)


def save(file: Path, outputs: ModelOutputs, **more: NDArray[Any]) -> None:
    """Write all columns that are present, and more arrays that ride along."""
    columns: dict[str, Any] = {name: getattr(outputs, name) for name in _COLUMNS if outputs.has(name)}
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished.npz")
    np.savez(unfinished, **(columns | {"task": np.array(outputs.task)} | more))
    unfinished.replace(file)


def load(file: Path) -> ModelOutputs:
    """Undo `save`."""
    with np.load(file, allow_pickle=False) as arrays:
        task: Task = "multilabel" if "task" in arrays.files and arrays["task"] == "multilabel" else "multiclass"
        return ModelOutputs(**{name: arrays[name] for name in arrays.files if name in _COLUMNS}, task=task)
