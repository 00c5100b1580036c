"""What a module's answer means: which part of it are the scores of the classes, and of what kind they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor, nn

from uncertainty.errors import ModelError

if TYPE_CHECKING:
    from uncertainty.classifiers.description import Description

_LOGITS = "logits"  # as transformers calls them
_SMALLEST = 1e-12  # the log of an exact zero has no finite value
_ROUNDED = 0.01


@dataclass(frozen=True)
class OutputForm:
    """How the answer of a network is read.

    Parameters
    ----------
    output : "logits", before softmax or sigmoid, or "probabilities", after it.
    binary : the network has one output z for two classes; it is taken as the logits [-z/2, z/2] of the first and the
        second, as a probability p as [log(1 - p), log(p)].
    features : name of the layer whose output are the features, as `module.named_modules()` has it, averaged over places
        where it has any; None: the input of the last linear layer, or a second output (n, d) of the network itself.
    several : an image may have several labels: a probability p is taken as the logit log p/(1 - p), see `task`.

    Examples
    --------
    >>> OutputForm(binary=True).logits(torch.tensor([[3.0]]), 1).tolist()
    [[-1.5, 1.5]]
    >>> OutputForm(output="probabilities").logits(torch.tensor([[0.25, 0.75]]), 1).exp().tolist()
    [[0.25, 0.75]]

    """

    output: Literal["logits", "probabilities"] = "logits"
    binary: bool = False
    features: str | None = None
    several: bool = False

    @classmethod
    def of(cls, known: Description) -> Self:
        """Return the form that a description states; ModelError for one that there is not."""
        return cls(known.output, known.binary, known.features, known.task == "multilabel")  # type: ignore[arg-type]  # refused below

    def __post_init__(self) -> None:
        if self.several and self.binary:
            raise ModelError(
                "binary=true is one output for two classes; with task=multilabel it is one label: leave it out"
            )
        if self.output not in ("logits", "probabilities"):
            raise ModelError(f"output is {self.output!r}; it must be 'logits' or 'probabilities'")

    def logits(self, answer: Any, images: int) -> Tensor:
        """Return (images, classes) logits from what a module answered; ModelError where there are none in it."""
        scores = _real(_flat(scores_of(answer), images))
        if not self.binary:
            return scores if self.output == "logits" else self._logs(scores)
        if scores.shape[1] != 1:
            raise ModelError(f"binary=true is for a network with one output; this one has {scores.shape[1]}")
        if self.output == "logits":
            return torch.cat([-scores / 2, scores / 2], dim=1)
        return torch.cat([1 - scores, scores], dim=1).clamp_min(_SMALLEST).log()

    def _logs(self, probabilities: Tensor) -> Tensor:
        logs = probabilities.clamp_min(_SMALLEST).log()
        return logs - (1 - probabilities).clamp_min(_SMALLEST).log() if self.several else logs

    def beyond(self, logits: Tensor) -> bool:
        """Whether logits that were made of probabilities were made of numbers that are none, by more than rounding.

        >>> form = OutputForm(output="probabilities", several=True)
        >>> [form.beyond(form.logits(torch.tensor([[p]]), 1)) for p in (0.0, 1.0, -0.1, 1.2)]
        [False, False, True, True]
        """
        most = -math.log(_SMALLEST) if self.several else 0.0
        low = -math.inf if not self.several else -most
        return bool((logits > most + _ROUNDED).any() or (logits < low - _ROUNDED).any())

    def is_plain(self, answer: Any) -> bool:
        """Whether an answer is its own logits: a tensor (n, classes) of which nothing is to be made."""
        return (
            isinstance(answer, Tensor)
            and not answer.is_quantized
            and answer.dim() == 2
            and self.output == "logits"
            and not self.binary
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the usual, as plain JSON values; `several` follows from the task."""
        usual = OutputForm(several=self.several)
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}


class Adapted(nn.Module):
    """A module with an answer of another form, as one that answers with logits (n, classes)."""

    def __init__(self, module: nn.Module, form: OutputForm) -> None:
        super().__init__()
        self.module, self.form = module, form
        self.second_output = nn.Identity()  # a layer, so that what passes it can be caught

    def forward(self, images: Tensor) -> Tensor:
        """Answer with (n, classes)."""
        answer = self.module(images)
        if (second := second_of(answer)) is not None:
            self.second_output(second)
        # Not compared with `images`, which may be more or fewer where dropout is replayed; the caller does that.
        return self.form.logits(answer, scores_of(answer).shape[0])


def original(module: nn.Module) -> nn.Module:
    """Return the module that was given."""
    return module.module if isinstance(module, Adapted) else module


def scores_of(answer: Any) -> Tensor:
    """Return the scores of the classes: the answer itself, its `logits`, or the first tensor of a tuple."""
    found = answer
    if isinstance(answer, Mapping):
        found = answer.get(_LOGITS, next(iter(answer.values()), None) if len(answer) == 1 else None)
    elif isinstance(getattr(answer, _LOGITS, None), Tensor):
        found = getattr(answer, _LOGITS)
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        found = answer[0] if answer else None
    if not isinstance(found, Tensor):
        raise ModelError(
            f"the model returns {_kind(answer)}; it must return a tensor of logits, an object with `logits`, or a "
            "tuple that begins with them"
        )
    return found.dequantize() if found.is_quantized else found


def second_of(answer: Any) -> Tensor | None:
    """Return the second tensor of a tuple or of a mapping with `logits`, if it has the form (n, d) of features."""
    if isinstance(answer, Mapping):
        others = [answer[key] for key in ("features",) if key in answer]
    else:
        others = list(answer[1:2]) if isinstance(answer, list | tuple) else []
    found = others[0] if others else None
    return found if isinstance(found, Tensor) and found.dim() == 2 and found.is_floating_point() else None


def _kind(answer: Any) -> str:
    names = f" with {sorted(map(str, answer))[:5]}" if isinstance(answer, Mapping) else ""
    return f"{type(answer).__name__}{names}"


def _flat(scores: Tensor, images: int) -> Tensor:
    """Leave out axes of length 1 after the second: what a convolution as the last layer leaves."""
    if scores.dim() > 2 and all(side == 1 for side in scores.shape[2:]):
        scores = scores.flatten(1)
    # By its shape, since `len` would tie an exported network to one number of images.
    if scores.dim() == 1 and scores.shape[0] == images:
        scores = scores[:, None]
    if scores.dim() != 2 or scores.shape[0] != images or not scores.shape[1]:
        raise ModelError(
            f"the model answers {images} images with shape {tuple(scores.shape)}; it must be ({images}, classes)"
        )
    return scores


def _real(scores: Tensor) -> Tensor:
    if scores.is_complex() or scores.dtype == torch.bool or scores.layout is not torch.strided:
        what = scores.dtype if scores.layout is torch.strided else scores.layout
        raise ModelError(f"the model answers with {what}; logits are real numbers")
    return scores
