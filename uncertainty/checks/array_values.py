"""Arrays as callers hand them over: lists, NumPy arrays or torch tensors become NumPy arrays of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import OutputsError, in_one_line

LARGEST = 1e18
"""What is larger is refused: squares of it, and sums of some hundred of these, would not fit into 32 bits."""
UNUSABLE = "NaN, infinite or beyond 1e18"
_KINDS = {
    "c": "complex numbers; give real ones",
    "m": "durations; give numbers",
    "M": "times; give numbers",
    "V": "records; give one plain array",
}


def numbers(name: str, values: Any) -> NDArray[Any]:
    """Return an array of real numbers, of whatever shape; OutputsError, naming it, for anything that is none.

    A torch tensor is taken off its graph and its device; precisions that NumPy lacks become float32. No memory is
    shared with an array that its owner can still write to.

    >>> mine = np.zeros(2)
    >>> kept = numbers("logits", mine)
    >>> mine[:] = 1
    >>> kept.tolist()
    [0.0, 0.0]
    """
    array = as_array(name, values)
    if array.dtype.kind in _KINDS:
        raise OutputsError(f"{name} hold {_KINDS[array.dtype.kind]}")
    if array.dtype.kind in "OSUT":
        odd = [value for value in array.ravel().tolist() if not _is_number(value)]
        raise OutputsError(f"{name} must be numbers; got {_named(odd[0]) if odd else 'one that 64 bits do not hold'}")
    return own(array)


def as_array(name: str, values: Any) -> NDArray[Any]:
    """Return what NumPy makes of it, text and objects included; OutputsError where rows differ in length."""
    if np.ma.isMaskedArray(values):
        raise OutputsError(f"{name} are a masked array; masks are not read, so fill them in or leave those rows out")
    try:
        return np.asarray(_off_torch(values))
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        why = in_one_line(error)
        why = "rows differ in length or kind" if "inhomogeneous" in why else why
        raise OutputsError(f"{name} can't be read as one array: {why}") from error


def usable(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where an array of floats, of whatever shape, holds numbers that can be computed with.

    >>> usable(np.array([0.0, -1e18, 1e19, np.nan, -np.inf])).tolist()
    [True, True, False, False, False]
    """
    most = min(LARGEST, float(np.finfo(array.dtype).max))
    return np.asarray((array >= -most) & (array <= most))


def own(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, read-only; a copy where anybody could still write to its memory."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if not (array.flags.writeable or owner.flags.writeable):
        return array
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Mark an array that nobody else knows as read-only, so that `own` need not copy it."""
    array.flags.writeable = False
    return array


def _off_torch(values: Any) -> Any:
    if hasattr(values, "detach") and hasattr(values, "is_floating_point"):
        values = values.detach().cpu()
        if getattr(values, "is_quantized", False):
            values = values.dequantize()
        # NumPy knows float16, float32 and float64; of bfloat16 and the eight-bit floats it knows nothing.
        if values.is_floating_point() and values.element_size() < 4:
            values = values.float()
        return values.resolve_conj().resolve_neg().numpy()
    if isinstance(values, list | tuple) and any(hasattr(value, "detach") for value in values):
        return [_off_torch(value) for value in values]
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(value: Any) -> str:
    return f"text such as {value!r}" if isinstance(value, str | bytes) else f"{type(value).__name__} such as {value!r}"
