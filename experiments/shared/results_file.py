"""The numbers of an experiment: one list over the splits for each, in a JSON file that people can read too."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent.parent / "results"
NAMES = ("digits", "solar_cells", "cifar10")
_DIGITS = 6


@dataclass(frozen=True)
class Mean:
    """A mean over splits and half the width of its 95 % t-interval (NaN for a single split)."""

    value: float
    half: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half


def over_splits(values: Sequence[float | None]) -> Mean:
    """Average over the splits that have a value.

    The two values 1 and 3 have mean 2 and standard error 1, and t is 12.706 for one degree of freedom:

    >>> over_splits([1.0, None, 3.0])
    Mean(value=2.0, half=12.706204736174694)
    """
    from scipy.stats import t

    known = np.array([value for value in values if value is not None])
    if len(known) < 2:
        return Mean(float(known.mean()) if len(known) else np.nan, np.nan)
    error = known.std(ddof=1) / np.sqrt(len(known))
    return Mean(float(known.mean()), float(t.ppf(0.975, len(known) - 1) * error))


def change(values: Sequence[float | None], others: Sequence[float | None]) -> Mean:
    """Return by how many per cent the mean of `values` differs from that of `others`, split by split.

    >>> change([1.0, 1.0], [2.0, 2.0])
    Mean(value=-50.0, half=0.0)
    """
    pairs = [(a, b) for a, b in zip(values, others, strict=True) if a is not None and b is not None]
    base = float(np.mean([b for _, b in pairs])) if pairs else np.nan
    if not base > 0:
        return Mean(np.nan, np.nan)
    difference = over_splits([a - b for a, b in pairs])
    return Mean(100 * difference.value / base, 100 * difference.half / base)


def transposed(splits: Sequence[Any]) -> Any:
    """Turn a list of nested dictionaries, one a split, into one dictionary of lists; None where a split lacks a key.

    >>> transposed([{"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}])
    {'a': {'b': [1, 2], 'c': [None, 3]}}
    """
    if not any(isinstance(split, dict) for split in splits):
        return list(splits)
    keys = dict.fromkeys(key for split in splits if split is not None for key in split)
    return {key: transposed([None if split is None else split.get(key) for split in splits]) for key in keys}


def write(path: Path, result: dict[str, Any]) -> None:
    """Write JSON with numbers of six significant digits, each list on one line."""
    text = json.dumps(_rounded(result), indent=1, ensure_ascii=False, allow_nan=False)
    flat = re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]"), text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(flat + "\n", encoding="utf-8")


def publish(folder: Path, name: str, result: dict[str, Any], page: Callable[[Any], str]) -> None:
    """Write the numbers of an experiment, make its page of what was written, write that too and print it."""
    write(folder / f"{name}.json", result)
    sys.stdout.write(republish(folder, name, page))


def republish(folder: Path, name: str, page: Callable[[Any], str]) -> str:
    """Make the page of an experiment again from the numbers that are there, and return it."""
    text = page(load(folder, name))
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return text


def load(folder: Path, name: str) -> Any:
    """Read the numbers of one experiment."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def read(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Read the results that are there, by name."""
    return {name: load(folder, name) for name in NAMES if (folder / f"{name}.json").exists()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else float(f"{value:.{_DIGITS}g}")
    return value
