"""In which mode, precision and place a module is run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from uncertainty.classifiers.output_form import original
from uncertainty.errors import ModelError, in_one_line

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions of autocast, by the names that a spec has for them."""

ROUNDING = {None: 1e-4, "bf16": 3e-2, "fp16": 4e-3}
"""What rounding may do in them, as a share of the largest logit; None: without autocast."""


_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_OF_LOCKS = threading.Lock()


def _lock_of(module: nn.Module) -> threading.RLock:
    with _OF_LOCKS:
        return _LOCKS.setdefault(original(module), threading.RLock())


@contextmanager
def evaluating(module: nn.Module, autocast: str | None = None) -> Iterator[None]:
    """Put the module in eval mode without gradients; afterwards every training flag is as it was, whatever happens.

    One thread at a time: what is set, hooked or masked for one of them would be so for the others.
    """
    with _lock_of(module):
        yield from _evaluating(module, autocast)


def _evaluating(module: nn.Module, autocast: str | None) -> Iterator[None]:
    training = [m for m in module.modules() if getattr(m, "training", False)]
    if training:
        _evaluate(module)
    kind = device_of(module).type
    try:
        # torch keeps casts of weights until the outermost block ends, also of weights that were replaced in it.
        torch.clear_autocast_cache()
        # Not inference_mode: what a module caches there could never again be used for a gradient.
        with (
            torch.no_grad(),
            torch.autocast(kind, AUTOCAST.get(autocast or ""), enabled=autocast is not None),
            _as_written(module),
        ):
            yield
    finally:
        for m in training:
            m.training = True


def _as_written(module: nn.Module) -> AbstractContextManager[Any]:
    """Run parts that went through `torch.compile` as they were before: what is compiled hides its dropout."""
    compiled = any(is_compiled(part) or part._compiled_call_impl is not None for part in module.modules())
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def is_compiled(module: nn.Module) -> bool:
    """Whether a module is what `torch.compile` returned."""
    return type(module).__name__ == "OptimizedModule"  # by name: to import its class takes long


def _evaluate(module: nn.Module) -> None:
    with suppress(RuntimeError):  # an exported program is in one mode alone
        module.eval()


def device_of(module: nn.Module) -> torch.device:
    """Return where the weights are; a frozen program has none that can be seen, and one buffer beside it."""
    return next((tensor.device for tensor in chain(module.parameters(), module.buffers())), torch.device("cpu"))


def check_device(device: str | None) -> None:
    """Raise ModelError for a device that torch does not find here."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise not_there(device, error) from error


def not_there(device: str | None, error: Exception) -> ModelError:
    """Say that a model can't be on a device."""
    return ModelError(f"the model can't be put on device {device!r}: {in_one_line(error, 300)}")


def placed(module: nn.Module, images: Tensor) -> Tensor:
    """Return images where the weights are, in their precision."""
    kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    if (device := device_of(module)).type == "meta":
        raise ModelError("the weights of the model hold no values (device 'meta'); load them first")
    return images.to(device, kind)


def devices() -> list[str]:
    """Return the names of the devices that torch finds here."""
    found = ["cpu"]
    found += [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    return found + (["mps"] if torch.backends.mps.is_available() else [])
