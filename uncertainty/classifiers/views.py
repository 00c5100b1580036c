"""Test-time augmentation: other views of the same preprocessed images, made on the tensor, each of the same size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody knows
from numpy.typing import NDArray
from torch import Tensor

from uncertainty.errors import InputError
from uncertainty.outputs import ModelOutputs

View = Callable[[Tensor], Tensor]
_SHIFT, _ZOOM = 1 / 16, 1 / 8
_BEARABLE = 0.02


def _shifted(down: int, right: int) -> View:
    def shift(x: Tensor) -> Tensor:
        """Move the picture by a sixteenth of its side; the edge that comes in repeats the border."""
        step = max(1, round(_SHIFT * x.shape[-1]))
        padded = F.pad(x, (step, step, step, step), mode="replicate")
        top, left = step * (1 - down), step * (1 - right)
        return padded[..., top : top + x.shape[-2], left : left + x.shape[-1]]

    return shift


def _zoomed(x: Tensor) -> Tensor:
    """Cut an eighth of the side off all around and enlarge the rest."""
    cut = max(1, round(_ZOOM * x.shape[-1] / 2))
    inner = x[..., cut : x.shape[-2] - cut, cut : x.shape[-1] - cut]
    return F.interpolate(inner, size=x.shape[-2:], mode="bilinear", align_corners=False) if inner.numel() else x


VIEWS: Mapping[str, tuple[View, ...]] = {
    "flip": (lambda x: x.flip(-1),),
    "shift": (_shifted(1, 0), _shifted(-1, 0), _shifted(0, 1), _shifted(0, -1)),
    "zoom": (_zoomed,),
    "flip_vertical": (lambda x: x.flip(-2),),
    "rotate": (lambda x: x.rot90(1, (-2, -1)), lambda x: x.rot90(-1, (-2, -1))),
}
"""What each name stands for; an image is square, so all keep its size."""


def check_views(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once; InputError for one that is not known."""
    for name in names:
        if name not in VIEWS:
            raise InputError(f"there is no view {name!r}; known are {', '.join(VIEWS)}")
    return tuple(dict.fromkeys(names))


def view_logits(run: Callable[[Tensor], Tensor], x: Tensor, names: Sequence[str]) -> Tensor:
    """Return (b, v, c): the logits of every view of each image, in the order of the names."""
    return torch.stack([run(_of_same_size(name, view, x)) for name in names for view in VIEWS[name]], dim=1)


def _of_same_size(name: str, view: View, x: Tensor) -> Tensor:
    seen = view(x)
    if seen.shape != x.shape:
        raise InputError(
            f"the view {name!r} turns images of shape {tuple(x.shape[1:])} into {tuple(seen.shape[1:])}; "
            "a view must keep the size, leave it out"
        )
    # In the order of memory that the network was given: another one is slower.
    last = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return seen.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def bearable(outputs: ModelOutputs, names: Sequence[str] = tuple(VIEWS)) -> tuple[tuple[str, ...], ModelOutputs]:
    """From labelled outputs with these views, keep those on which the classifier is at most 2 points less accurate.

    A view that a classifier was not trained to bear says nothing about the image. Returns the names and the outputs
    with the columns of `tta_probs` that belong to them.
    """
    right = _right(outputs, outputs.require("labels", "choosing views")[:, None])
    owners = [name for name in names for _ in VIEWS[name]]
    least = 1 - outputs.wrong.mean() - _BEARABLE
    kept = tuple(name for name in names if right[:, [owner == name for owner in owners]].mean() >= least)
    columns = [owner in kept for owner in owners]
    return kept, replace(outputs, tta_probs=outputs.tta_probs[:, columns] if kept else None)


def _right(outputs: ModelOutputs, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (n, v) whether the answer to each view is right; of several labels, every known decision of it."""
    if outputs.task == "multiclass":
        return np.asarray(outputs.tta_probs.argmax(axis=2) == labels)
    differs = (outputs.tta_probs >= outputs.decision_thresholds) != (labels == 1)
    return np.asarray(~(differs & outputs.known[:, None]).any(axis=2))
