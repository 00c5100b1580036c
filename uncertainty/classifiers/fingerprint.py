"""What tells one network from another: a hash of all that its module holds, and its answers to seeded noise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.classifiers.modes import device_of

_MOST_OUTPUTS = 100  # of an answer that are kept: those of 50,000 classes would make a manifest of a megabyte
_DIGITS = 5
# Of how far the answers to different images are apart, and of the largest one: what another device, or another
# precision of convolutions, does.
_APART, _ROUNDING = 2e-2, 5e-3
_SAME_DEVICE = 2e-4  # of the largest one: what another processor does, and far below an epsilon or a temperature


Update = Callable[[bytes], None]
"""Takes bytes into a hash."""


def fingerprint(settings: Sequence[Any], module: nn.Module, second: str | None) -> str:
    """Return the SHA-256 of a network, of how it is used, plain values, and of the fingerprint of a second opinion."""
    sha = hashlib.sha256(json.dumps(settings).encode())
    hash_module(sha.update, module)
    if second is not None:
        sha.update(second.encode())
    return sha.hexdigest()


def hash_module(update: Update, module: nn.Module) -> None:
    """Hash weights, buffers of any kind and what packed layers keep: dtype, shape and bytes, by name.

    Where a module has nothing but plain tensors in its state dict, those alone are hashed, sorted by name.
    """
    state: dict[str, Any] = dict(module.state_dict())
    state |= {name: buffer for name, buffer in module.named_buffers(remove_duplicate=False) if name not in state}
    for name, value in sorted(state.items()):
        _hash(update, name, value)


def _hash(update: Update, name: str, value: Any) -> None:
    if isinstance(value, Tensor):
        _hash_tensor(update, name, value.detach().cpu())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _hash(update, f"{name}[{key!r}]", item)
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            _hash(update, f"{name}[{k}]", item)
    elif isinstance(value, str | bytes | int | float | complex | torch.dtype | None):
        update(f"{name} {value!r}".encode())
    else:  # an object of torch whose text may hold an address; the answers to noise tell what it computes
        update(f"{name} {type(value).__name__}".encode())


def _hash_tensor(update: Update, name: str, values: Tensor) -> None:
    if values.is_quantized:
        update(f"{name} {values.qscheme()}".encode())
        steps = "q_per_channel" if values.qscheme() in _PER_CHANNEL else "q"
        for part in ("scales", "zero_points") if steps == "q_per_channel" else ("scale", "zero_point"):
            step = getattr(values, f"{steps}_{part}")()
            _hash(update, f"{name}.{part}", step)
        values = values.int_repr()
    if values.layout is not torch.strided:
        values = values.to_dense()
    update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
    # As bytes, since NumPy has no bfloat16.
    update(values.flatten().contiguous().view(torch.uint8).numpy().tobytes())


_PER_CHANNEL = (torch.per_channel_affine, torch.per_channel_affine_float_qparams)


def rounded(answers: NDArray[np.float32]) -> list[list[float]]:
    """Return answers (k, c) to five digits, of many outputs only some: what is kept of a network.

    >>> rounded(np.array([[1.23456789, -0.5]], dtype=np.float32))
    [[1.2346, -0.5]]
    """
    finite = np.nan_to_num(_some(answers).astype(np.float64))
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in finite.tolist()]


def differ(kept: Any, answers: NDArray[np.float32], rounding: float = 0.0, *, elsewhere: bool = True) -> bool:
    """Whether answers differ from kept ones by more than rounding, `rounding` of the largest one at least.

    `elsewhere`: they may come from another kind of device, which rounds in another way.

    >>> found = np.array([[0.0, 2.0], [1.0, 0.0]], dtype=np.float32)
    >>> differ([[0.0, 2.0001], [1.0, 0.0]], found), differ([[0.0, 1.9], [1.0, 0.0]], found)
    (False, True)
    >>> [differ([[0.0, 2.005], [1.0, 0.0]], found, elsewhere=other) for other in (True, False)]
    [False, True]
    """
    then, now = np.asarray(kept, dtype=np.float64), np.nan_to_num(_some(answers).astype(np.float64))
    if then.shape != now.shape:
        return True
    apart, most = np.abs(then - then[:1]).max(initial=0), np.abs(then).max(initial=0)
    least = _ROUNDING if elsewhere else _SAME_DEVICE
    room = max(max(least, rounding) * most, _APART * apart if elsewhere else 0)
    return bool(np.abs(then - now).max(initial=0) > room)


def steady(module: nn.Module) -> bool:
    """Whether a module computes on the processor, and not in whole numbers, whose steps depend on which one it is."""
    here = device_of(module).type == "cpu" and all(p.device.type == "cpu" for p in module.parameters())
    return here and not any("quantized" in type(m).__module__ for m in module.modules())


def _some(answers: NDArray[np.float32]) -> NDArray[np.float32]:
    count = answers.shape[1]
    return answers[:, np.unique(np.linspace(0, count - 1, min(count, _MOST_OUTPUTS)).astype(int))]
