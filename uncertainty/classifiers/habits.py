"""What a plain pass does beside answering: draw at random, mix the images of a batch, write into its input.

An answer must depend on the image alone, or a verdict would change with the batch size and from run to run. Two small
passes tell: the first image among much brighter ones, and alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uncertainty.classifiers.dropout import SharedMasks
from uncertainty.classifiers.output_form import Adapted
from uncertainty.errors import ModelError

_LOUD = 8.0
# Of how far the answers to different images are apart, and of the largest one, by bytes of a weight: far above
# rounding, below what the causes do. Convolutions of a GPU round float32 as if it had ten bits.
_APART = 1e-2
_ROUNDING = {"cpu": {8: 1e-4, 4: 1e-4, 2: 3e-2, 1: 3e-2}, "other": {8: 2e-3, 4: 2e-3, 2: 3e-2, 1: 3e-2}}
_TRIES = 60  # of a network that draws random numbers
_SUMS_TO = 4e-3  # bfloat16 has no more digits
_FEWEST = 8  # values between 0 and 1 that are no accident

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Habits:
    """How a network must be run so that an answer depends on the image alone.

    `held`: its dropout is always on, so plain passes run without it. `alone`: its answers depend on the other images of
    the batch, so each image runs by itself. `writes`: it changes its input, so it gets a copy.
    """

    held: bool = False
    alone: bool = False
    writes: bool = False
    notes: tuple[str, ...] = ()

    def plain(self, images: int) -> AbstractContextManager[Any]:
        """Return what a plain pass over so many images runs in."""
        return SharedMasks(images) if self.held else nullcontext()


def habits_of(module: nn.Module, run: Run, images: Tensor, logits: Tensor, *, writes: bool) -> tuple[Habits, Tensor]:
    """Find the habits of a network from its logits for a few images; return them with the logits that it really has.

    `run` answers (b, …) with (b, c). Raises ModelError where the answers are random and not by dropout, where they
    depend on batch statistics, and where it fails on one image alone.
    """
    held = _random(module, run, images, logits)
    if held:
        logits = _held(module, run, images)
    with SharedMasks(len(images)) if held else nullcontext():
        found, loud = _elsewhere(module, run, images)
    # Steps from the batch move answers by less than can be told from rounding, and by more for other images.
    alone = _takes_steps_from_batch(module) or not _alike(found, logits, module)
    if alone:
        _refuse_batch_statistics(module)
        with SharedMasks(1) if held else nullcontext():
            logits = torch.cat([run(images[k : k + 1]) for k in range(len(images))])
        _refuse_constant(logits)
    _refuse_logits(module, torch.cat([logits, loud]))
    notes = [_HELD] * held + [_alone_because(module)] * alone + _probabilities(torch.cat([logits, loud]))
    return Habits(held, alone, writes, tuple(notes)), logits


_HELD = (
    "the network drops units in evaluation too (dropout without `training=self.training`?) and answers the same image "
    "differently each time; here its plain passes run without dropout, and MC dropout runs it"
)


def _elsewhere(module: nn.Module, run: Run, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return (2, c): the first image among others that are louder, and alone; and (b, c): it and those others."""
    try:
        alone = run(images[:1])
    except ModelError:
        _refuse_batch_statistics(module)
        raise
    # Last among them, where it stood first: an answer may depend on the place in the batch, too.
    louder = torch.cat([_LOUD * images[1:], images[:1]])
    among = _tried(run, louder)
    if among is None or among.shape[1] != alone.shape[1]:  # what no image looks like may well be refused
        among = run(images.flip(0))
    if among.shape[1] != alone.shape[1]:
        raise ModelError(f"the model answers one image with {alone.shape[1]} outputs and several with {among.shape[1]}")
    return torch.cat([among[-1:], alone]), among


def _tried(run: Run, images: Tensor) -> Tensor | None:
    try:
        return run(images)
    except ModelError:
        return None


def _held(module: nn.Module, run: Run, images: Tensor) -> Tensor:
    with SharedMasks(len(images)):
        logits = run(images)
        if _random(module, run, images, logits):
            raise ModelError(
                "the network answers the same image differently each time, and not by a dropout that can be held; make "
                "its forward pass deterministic in evaluation (dropout of fused attention, noise, random crops or "
                "masks?)"
            )
    return logits


def _random(module: nn.Module, run: Run, images: Tensor, logits: Tensor) -> bool:
    """Whether the same images get other answers; where random numbers were drawn, that is tried more often.

    A layer that is left out once in twenty passes answers alike in most of them.
    """
    before = drawn(images)
    again = run(images)
    if _moved(again, logits, module):
        return True
    tries = _TRIES if drawn(images) != before else 0
    return any(_moved(run(images), logits, module) for _ in range(tries))


def drawn(images: Tensor) -> tuple[Any, ...]:
    """Return where the generators stand that a forward pass may draw from."""
    device = torch.cuda.get_rng_state(images.device) if images.is_cuda else torch.empty(0)
    states = torch.get_rng_state(), device
    numbers: Any = np.random.get_state(legacy=False)
    return (*(state.cpu().numpy().tobytes() for state in states), str(numbers), random.getstate())


def _moved(found: Tensor, logits: Tensor, module: nn.Module) -> bool:
    a, b = torch.nan_to_num(found.float()), torch.nan_to_num(logits.float())
    return bool((a - b).abs().max() > rounding(module) * b.abs().max())


def _alike(found: Tensor, logits: Tensor, module: nn.Module) -> bool:
    """Whether each row of `found` is the row of `logits` at its place, or its first row."""
    a, b = torch.nan_to_num(found.float()), torch.nan_to_num(logits.float())
    apart, most = float((b - b[:1]).abs().max()), float(b.abs().max())
    b = b if len(a) == len(b) else b[:1].expand_as(a)
    return bool((a - b).abs().max() <= max(_APART * apart, rounding(module) * most))


def rounding(module: nn.Module) -> float:
    """Return which share of the largest logit may be rounding, in the precision of the weights."""
    weights = [p for p in module.parameters() if p.is_floating_point()]
    device = "cpu" if all(p.device.type == "cpu" for p in weights) else "other"
    return _ROUNDING[device][min((p.element_size() for p in weights), default=4)]


def _refuse_batch_statistics(module: nn.Module) -> None:
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
            continue
        if layer.running_mean is None:
            raise ModelError(
                f"the answers of the network depend on the other images of the batch: its batch norm {name!r} has no "
                "running statistics (track_running_stats=False); gather them, or put another norm in its place"
            )
        if layer.training:
            raise ModelError(
                f"the answers of the network depend on the other images of the batch: its batch norm {name!r} stays in "
                "training mode after eval(); let it use its running statistics"
            )


def _refuse_constant(logits: Tensor) -> None:
    if len(logits) > 1 and bool((logits == logits[:1]).all()):
        raise ModelError(
            "the answers of the network depend on the other images of the batch, and alone every image gets the same "
            "one; make its forward pass work on each image by itself"
        )


def _alone_because(module: nn.Module) -> str:
    dynamic = _takes_steps_from_batch(module)
    why = "dynamic quantisation takes its steps from the whole batch" if dynamic else "batch statistics?"
    return (
        f"the answers of the network depend on the other images of the batch ({why}), so each image runs alone, which "
        "is slower"
    )


def _takes_steps_from_batch(module: nn.Module) -> bool:
    return any(
        ".quantized.dynamic." in f"{type(layer).__module__}." or getattr(layer, "steps_from_batch", False)
        for layer in module.modules()
    )


def _refuse_logits(module: nn.Module, logits: Tensor) -> None:
    """Refuse answers that are said to be probabilities and lie outside of 0 to 1."""
    form = module.form if isinstance(module, Adapted) else None
    if form is not None and form.output == "probabilities" and form.beyond(logits.float()):
        raise ModelError(
            "output=probabilities is said, and the network answers beyond 0 and 1, as logits do; leave output= out, or "
            "let it end in a sigmoid or softmax"
        )


def _probabilities(logits: Tensor) -> list[str]:
    """Say where outputs look like probabilities of labels; refuse them where they look like those of classes."""
    values = logits.float()
    if bool((values < 0).any()) or values.shape[1] < 2:
        return []
    # A network that answers alike whatever it sees says nothing about its last layer.
    varied = bool(values.max() > values.min())
    for total, advice in ((1, ""), (100, "divide by 100 and ")):
        if varied and bool(((values.sum(1) / total - 1).abs() < _SUMS_TO).all()):
            raise ModelError(
                f"the outputs are never negative and sum to {total}, so these look like probabilities, where logits "
                f"belong; {advice}say output=probabilities, or leave the last softmax out of the network"
            )
    return [_LOOKS] if varied and values.numel() >= _FEWEST and bool((values <= 1).all()) else []


_LOOKS = (
    "the outputs all lie between 0 and 1: these look like probabilities, where logits belong, and would be squeezed "
    "once more; say output=probabilities, or leave the last sigmoid out of the network"
)
