"""Dropout that a module runs only where its own training flag is set: that of fused attention, or after an `if`.

Those modules alone are put in training mode for the passes of MC dropout, where that changes nothing but their dropout:
with every unit kept the network must answer as before, draw no random number and write into no buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from inspect import unwrap
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from uncertainty.classifiers.dropout import SharedMasks
from uncertainty.classifiers.habits import Run, drawn

_SAME = 1e-3  # of the largest logit
DROPS, MORE, NOTHING, FAILS = "drops units", "drops units and more", "nothing new", "fails"
_NEVER = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)


@contextmanager
def in_training(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Set the training flag of these modules, and of none inside them, and take it back."""
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = True
        yield
    finally:
        for module, flag in zip(modules, before, strict=True):
            module.training = flag


def training_only(module: nn.Module, run: Run, images: Tensor) -> tuple[tuple[nn.Module, ...], str]:
    """Find the modules whose flag runs more dropout and does nothing else; and name one that does something else too.

    `run` answers (b, …) with (b, c). Only modules are tried whose code speaks of both training and dropout.
    """
    suspects: dict[str, nn.Module] = {
        name or type(part).__name__: part for name, part in module.named_modules() if _may_drop(part)
    }
    if not suspects:
        return (), ""
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    trial = partial(_trial, run, images, buffers, _kept(run, images))
    with torch.random.fork_rng([images.device] if images.is_cuda else []):
        if (what := trial(list(suspects.values()))) in (DROPS, NOTHING):
            return (tuple(suspects.values()) if what == DROPS else ()), ""
        kinds = {
            kind: [part for part in suspects.values() if type(part) is kind] for kind in map(type, suspects.values())
        }
        found = {kind: trial(parts) for kind, parts in kinds.items()}
    drop = tuple(part for part in suspects.values() if found[type(part)] == DROPS)
    return drop, next((name for name, part in suspects.items() if found[type(part)] == MORE), "")


def _kept(run: Run, images: Tensor) -> tuple[int, Tensor]:
    """Return how often dropout is called in evaluation, and the answer with every unit kept."""
    with SharedMasks(len(images)) as masks:
        answer = run(images)
    return masks.calls, answer


def _trial(
    run: Run,
    images: Tensor,
    buffers: Sequence[tuple[Tensor, Tensor]],
    usual: tuple[int, Tensor],
    parts: Sequence[nn.Module],
) -> str:
    before = drawn(images)
    try:
        with in_training(parts):
            calls, found = _kept(run, images)
        if calls <= usual[0]:
            return NOTHING
        same = found.shape == usual[1].shape and bool((found - usual[1]).abs().max() <= _SAME * usual[1].abs().max())
        kept = all(torch.equal(buffer, copy) for buffer, copy in buffers)
        return DROPS if same and kept and drawn(images) == before else MORE
    except Exception:  # the user's code in another mode: anything may be raised
        return FAILS
    finally:
        for buffer, copy in buffers:
            buffer.copy_(copy)


def _may_drop(part: nn.Module) -> bool:
    """Say whether the code of a module speaks of training and of dropout, and its probability is not 0."""
    if isinstance(part, _NEVER) or is_depth(part):
        return False
    names, drops = _spoken_of(type(part))  # type: ignore[arg-type]
    if "training" not in names:
        return False
    given = [value for name, value in vars(part).items() if name in names and _is_rate(name) and _is_p(value)]
    given += [layer for layer in part.children() if isinstance(layer, _NEVER[0]) and layer.p > 0]
    return bool(given) or drops


def is_depth(part: object) -> bool:
    """Whether it leaves out whole layers, which is no dropout of units."""
    name = type(part).__name__.lower()
    return "droppath" in name or "stochasticdepth" in name


def _is_rate(name: str) -> bool:
    return "drop" in name or name == "p" or name.endswith("_p")


def _is_p(value: Any) -> bool:
    return isinstance(value, float) and 0 < value <= 1


@lru_cache(maxsize=4096)
def _spoken_of(kind: type) -> tuple[frozenset[str], bool]:
    """Return the names that the methods of a class use, and whether one calls dropout with a number of its own."""
    methods = [unwrap(f) for c in kind.__mro__ if c not in nn.Module.__mro__ for f in vars(c).values() if callable(f)]
    codes = [f.__code__ for f in methods if isinstance(f, FunctionType)]
    own = any({"training", "dropout"} <= set(code.co_names) and any(map(_is_p, _numbers(code))) for code in codes)
    return frozenset(name for code in codes for name in code.co_names), own


def _numbers(code: Any) -> Iterator[Any]:
    for value in code.co_consts:
        yield from value if isinstance(value, tuple) else (value,)
