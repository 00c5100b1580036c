"""Weights from files of tensors alone: a state dict, or one inside a checkpoint, with or without a prefix."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uncertainty.classifiers.file_kinds import Kind, kind_of, words_for
from uncertainty.classifiers.formats._archive import NO_ARCHIVE, what_it_is
from uncertainty.errors import ModelError, in_one_line

logger = logging.getLogger("uncertainty")


def load_weights(module: Any, path: Path) -> None:
    """Load a file into a module; ModelError, in one line, for one that can't be read or does not fit.

    What it is, is told from its content: the ending of its name says nothing.
    Of a checkpoint the one entry that holds the tensors is taken, and the one prefix under which the module's names
    stand, such as `module.`, is left out; a warning is logged that says so.
    """
    try:
        kind = kind_of(path)
        other = what_it_is(path, "pickle") if kind == "zip" else None
    except OSError as error:
        raise ModelError(f"weights file {path} can't be read: {error.strerror or error}") from error
    if other == NO_ARCHIVE or kind is None:
        raise ModelError(f"weights file {path} is {words_for(path)}")
    if other is not None:
        raise ModelError(f"weights file {path} holds no tensors alone: {other}")
    state = _read(path, kind)
    wanted = module.state_dict().keys()
    entry, state = _tensors(state, wanted, path)
    prefix, state = _fitting(whole := state, wanted)
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(f"weights file {path} does not fit the model: {in_one_line(error, 300)}") from error
    others = 0 if prefix[:1] != "-" else sum(not str(name).startswith(prefix[1:]) for name in whole)
    said = [f"its entry {entry!r}"] if entry else []
    said += (
        [f"its names without {prefix[1:]!r}" if prefix[0] == "-" else f"{prefix[1:]!r} before its names"]
        if prefix
        else []
    )
    if said:
        left = f"; left out: {others} tensors of other modules" if others else ""
        logger.warning("weights file %s: taken were %s%s", path, " and ".join(said), left)


def refuse_missing(path: Path) -> None:
    """Raise ModelError for a file that is not there."""
    if path.is_dir():
        raise ModelError(f"weights file {path} is a folder; name the file in it")
    if not path.is_file():
        raise ModelError(f"weights file {path} does not exist")


def _read(path: Path, kind: Kind) -> Any:
    try:
        if kind == "safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        with path.open("rb") as file:  # by its name torch would take it for safetensors
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zip and pickle readers each have errors of their own
        if kind == "safetensors":
            raise ModelError(
                f"weights file {path} is damaged or cut short ({in_one_line(error)}); copy or download it again"
            ) from error
        advice = "save model.state_dict(), best as .safetensors; whole pickled models are never loaded"
        other = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        why = f"it holds a {other[1]}" if other else "it is damaged, or no file of torch.save"
        raise ModelError(f"weights file {path} can't be read as tensors alone ({why}); {advice}") from error


def _tensors(state: Any, wanted: Iterable[str], path: Path) -> tuple[str, Any]:
    """Return the entry of a checkpoint that holds the tensors, "" where the file is a state dict itself."""
    if not isinstance(state, Mapping) or _is_state(state):
        return "", state
    if not state and list(wanted):
        raise ModelError(f"weights file {path} is empty; save model.state_dict()")
    entries = dict(_entries(state))
    if not entries:
        raise ModelError(f"weights file {path} holds no tensors, but {', '.join(map(str, state))}; save a state dict")
    fitting = {key: value for key, value in entries.items() if _fitting(value, wanted)[1].keys() == set(wanted)}
    chosen = fitting if fitting else entries
    if len(chosen) > 1:
        raise ModelError(
            f"weights file {path} has tensors in {sorted(chosen)}; save the state dict that is wanted by itself"
        )
    return next(iter(chosen.items()), ("", state))


def _entries(state: Mapping[Any, Any], above: str = "", levels: int = 3) -> Iterator[tuple[str, Any]]:
    """Yield the state dicts in a checkpoint, an inner one as "outer.inner"."""
    for key, value in state.items():
        if isinstance(value, Mapping) and _is_state(value):
            yield f"{above}{key}", value
        elif isinstance(value, Mapping) and levels > 1:
            yield from _entries(value, f"{above}{key}.", levels - 1)


def _is_state(state: Mapping[Any, Any]) -> bool:
    import torch

    tensors = sum(isinstance(value, torch.Tensor) for value in state.values())
    return tensors > 0 and 2 * tensors >= len(state)


def _fitting(state: Any, wanted: Iterable[str]) -> tuple[str, Any]:
    """Return a state dict by the names that a module has, and what was taken from them ("-") or put before ("+").

    What lies beside the prefix, such as the class weights of a loss, belongs to other modules and is left out.
    """
    names = set(wanted)
    if not isinstance(state, Mapping) or not state or names & state.keys():
        return "", state
    inside = {prefix: _below(state, prefix) for prefix in _beginnings(state, names)}
    whole = [prefix for prefix, below in inside.items() if below.keys() == names]
    if len(whole) == 1:
        return f"-{whole[0]}", inside[whole[0]]
    for prefix in _prefixes(names):
        longer = {prefix + name: value for name, value in state.items()}
        if longer.keys() == names:
            return f"+{prefix}", longer
    return "", state


def _below(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _beginnings(state: Mapping[str, Any], names: set[str]) -> list[str]:
    """Return what stands before one of the names where it occurs at an end.

    >>> _beginnings({"net.a": 0, "ema.a": 0, "loss.weight": 0}, {"a"})
    ['net.', 'ema.']
    """
    one = min(names, default="")
    return [key.removesuffix(one) for key in map(str, state) if key.endswith(f".{one}")]


def _prefixes(names: Iterable[str]) -> Iterable[str]:
    """Yield what all names begin with, up to a dot, the shortest first.

    >>> list(_prefixes(["module.net.a", "module.net.b.c"]))
    ['module.', 'module.net.']
    """
    listed = [str(name) for name in names]
    first = listed[0].split(".") if listed else []
    for k in range(1, len(first)):
        prefix = ".".join(first[:k]) + "."
        if not all(name.startswith(prefix) for name in listed):
            return
        yield prefix
