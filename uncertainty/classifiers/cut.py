"""Find a way to cut a network before its first dropout, and try it against full passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from uncertainty.classifiers.dropout import Masks, SharedMasks
from uncertainty.classifiers.folding import Folded
from uncertainty.classifiers.modes import ROUNDING
from uncertainty.classifiers.replay import AstrayError, Replay
from uncertainty.classifiers.resume import resumed_after_dropout
from uncertainty.classifiers.traced import Traced, traced_before_dropout, with_folded
from uncertainty.classifiers.tracing import Trace


def cut_before_dropout(
    module: nn.Module,
    inputs: Tensor,
    autocast: str | None = None,
    trace: Trace | None = None,
    folded: Folded | None = None,
) -> Replay | None:
    """Cut `module` (in eval mode) before its first dropout; None where that can't be, or gives another answer.

    The caller then runs T full passes, which is as exact. By its trace, whose parts are folded ones where there are
    any, or else by its calls.
    """
    if trace is not None:
        found = _cut(lambda _, images: traced_before_dropout(trace, images), module, inputs, autocast)
        if isinstance(found, Traced):
            return _folded(found, folded, module, inputs, autocast)
    return _cut(resumed_after_dropout, module, inputs, autocast)


def _folded(found: Traced, folded: Folded | None, module: nn.Module, inputs: Tensor, autocast: str | None) -> Replay:
    """Return a cut that runs folded parts, where sub-networks then answer as before but for rounding."""
    if folded is None:
        return found
    try:
        light = with_folded(found, folded)
        alike = _agree(light, module, inputs, (1,), ROUNDING[autocast])  # without dropout it was tried before
    except Exception:  # the user's code, on other modules than its own: anything may be raised
        return found
    return light if alike else found


def _cut(
    way: Callable[[nn.Module, Tensor], Replay], module: nn.Module, inputs: Tensor, autocast: str | None
) -> Replay | None:
    try:
        replay = way(module, inputs.clone())
        if not _agree(replay, module, inputs, (None, 0, 1)):
            return None
        prefix = _crossing(replay, inputs.clone())
        replay = replace(replay, per_image=_rows_of_images(prefix, _crossing(replay, inputs[:-1].clone())))
        stacks = replay.stacks and _stacks(replay, prefix, len(inputs), ROUNDING[autocast])
        return replace(replay, stacks=stacks, share=_share_after(replay, prefix, module, inputs))
    except Exception:  # the user's code runs with stand-ins for tensors: anything may be raised
        return None


def _agree(
    replay: Replay, module: nn.Module, inputs: Tensor, passes: Iterable[int | None], rounding: float = 0.0
) -> bool:
    prefix = _crossing(replay, inputs.clone())
    for pass_index in passes:
        with SharedMasks(len(inputs), 0, pass_index):
            answer = replay.suffix(prefix)
        clean = replay.leaves_nothing()
        with SharedMasks(len(inputs), 0, pass_index):
            expected = module(inputs.clone())
        if not (clean and answer.shape == expected.shape):
            return False
        if not (answer - expected).abs().max() <= rounding * expected.abs().max():
            return False
    return True


def _crossing(replay: Replay, inputs: Tensor) -> tuple[Any, ...]:
    prefix = replay.prefix(inputs)
    if prefix is None:
        raise AstrayError
    return prefix


def _rows_of_images(many: tuple[Any, ...], fewer: tuple[Any, ...]) -> tuple[bool, ...]:
    """Which of the values that cross the cut grow with the number of images."""
    pairs = zip(many, fewer, strict=True)
    return tuple(isinstance(a, Tensor) and a.dim() > 0 and len(a) != len(b) for a, b in pairs)


def _stacks(replay: Replay, prefix: tuple[Any, ...], images: int, same: float) -> bool:
    """Whether two sub-networks as one batch answer as one after the other; any failure says no."""
    run = range(2)
    try:
        found = replay._stacked(prefix, images, run, 0, Masks(0))
        expected = torch.cat([replay._stacked(prefix, images, run[k : k + 1], 0, Masks(0)) for k in run])
    except Exception:  # the user's code, on more rows than it may expect: anything may be raised
        return False
    return found.shape == expected.shape and bool((found - expected).abs().max() <= same * expected.abs().max())


def _share_after(replay: Replay, prefix: tuple[Any, ...], module: nn.Module, inputs: Tensor) -> float:
    """Return which share of the multiplications comes after the first dropout; 0 where there are none to count."""
    with _Multiplications() as after:
        replay.suffix(prefix)
    with _Multiplications() as whole:
        module(inputs.clone())
    share: float = after.count / max(whole.count, 1)
    return share


class _Multiplications(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts as torch's FlopCounterMode does, which is no use here: it hooks into the modules that it watches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that torch need not hide this from its compiler: to do so it imports it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from torch.utils.flop_counter import flop_registry

        result = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.count += int(count(*args, **(kwargs or {}), out_val=result))
        return result
