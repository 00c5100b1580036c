"""A network whose file is fixed to a number of images, and features of one that shows no layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from uncertainty.classifiers.feature_layer import FeatureLayer, leads_to, pooled
from uncertainty.classifiers.output_form import scores_of, second_of

_ATEN = torch.ops.aten
_GIVEN = {  # products with weights, and which argument is multiplied with them
    _ATEN.addmm.default: 1,
    _ATEN.mm.default: 0,
    _ATEN.linear.default: 0,
    _ATEN.convolution.default: 0,
    _ATEN._convolution.default: 0,
}


class FixedBatch(nn.Module):
    """A network that takes so many images: the last ones are filled up with copies of the last one."""

    no_dropout: str

    def __init__(self, module: nn.Module, most: int, least: int, *, feature_name: str | None = None) -> None:
        super().__init__()
        self.module, self.most, self.least, self.feature_name = module, most, least, feature_name
        self.named = nn.Identity()  # what passes it are the features of all images, which can be caught

    def forward(self, images: Tensor) -> Any:
        """Answer for any number of images; tuples and mappings of tensors are joined entry by entry."""
        parts = [self._run(part) for part in torch.split(images, self.most)]
        answer = tree_map(lambda *rows: torch.cat(rows) if isinstance(rows[0], Tensor) else rows[0], *parts)
        if self.feature_name is not None and (features := second_of(answer)) is not None:
            self.named(features)
        return answer

    def get_submodule(self, target: str) -> nn.Module:
        """Find the layer that the user named."""
        return self.named if target == self.feature_name else super().get_submodule(target)

    def _run(self, images: Tensor) -> Any:
        short = self.least - len(images)
        filled = torch.cat([images, images[-1:].expand(short, *images.shape[1:])]) if short > 0 else images
        # Copies: an engine may hand out the same memory again.
        return tree_map(
            lambda answer: answer[: len(images)].clone() if isinstance(answer, Tensor) and answer.dim() else answer,
            self.module(filled),
        )


class WithFeatures(nn.Module):
    """A network whose layers can't be caught, which answers with features too: the input of its last product.

    Which one that is, its first answer tells: the last whose output leads to the scores. A network that answers with
    features itself is left alone. With `layer`, features are its output, or its input where it is an nn.Linear.
    """

    def __init__(self, module: nn.Module, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.module = module
        self.layer = (
            None if layer is None else FeatureLayer(layer, "input" if isinstance(layer, nn.Linear) else "output", 0)
        )
        self.place: int | None = None
        self.tried = False

    def forward(self, images: Tensor) -> Any:
        """Answer with (scores, features), or as the network does where it has none that can be found."""
        if self.layer is not None:
            with self.layer.caught() as caught:
                answer = self.module(images)
            return scores_of(answer), pooled(caught[-1])
        if self.tried and self.place is None:
            return self.module(images)
        with _Products() as products:
            answer = self.module(images)
        if not self.tried:
            self.tried, self.place = True, _place(products.found, answer)
        if self.place is None:
            return answer
        return scores_of(answer), pooled(products.found[-self.place][0])


def _place(products: list[tuple[Tensor, Tensor]], answer: Any) -> int | None:
    """Return the place of the last product that makes the scores, counted from the end."""
    if second_of(answer) is not None:
        return None
    scores = scores_of(answer)
    scores = scores.flatten(1) if scores.dim() == 4 and scores.shape[2:].numel() == 1 else scores
    for place, (_, made) in enumerate(reversed(products), start=1):
        if scores.dim() == 2 and leads_to(made, scores):
            return place
    return None


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, keeps what is multiplied with weights, and what comes of it, below all that hides it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if (place := _GIVEN.get(func)) is not None:
            given = args[place]
            if given.dim() in (2, 4):
                # Copies, since what follows may work in place.
                self.found.append((given.clone(), made.clone()))
        return made
