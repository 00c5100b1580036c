"""The names of a classifier's classes, in the order of its outputs, as files hold them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError, ModelError
from uncertainty.images.sources import AnyPath

_TABLE_KEYS = ("id2label", "label_names")


def read_class_names(path: AnyPath) -> tuple[str, ...]:
    """Return class names in index order.

    From a text file with one name a line; or JSON: a list, `{"0": "cat", "1": "dog"}`, or a model's config.json with
    `id2label` or `label_names`. Raises InputError for anything else: names that are missing, empty or double, indices
    with gaps, and pickles, which could run code.
    """
    source = Path(path)
    if source.suffix.lower() in (".pkl", ".pickle"):
        raise InputError(
            f"{source} is a pickle, which could run code when read; write the class names as .txt or .json"
        )
    if source.suffix.lower() not in (".txt", ".json"):
        raise InputError(f"{source} is not a file of class names; give .txt with one name a line, or .json")
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{source} can't be read ({error.strerror or error})") from error
    names = text.rstrip().split("\n") if source.suffix.lower() == ".txt" else _from_json(text, source)
    return _checked([name.strip() if isinstance(name, str) else name for name in names], source)


def names_in_order(classes: Any, outputs: int) -> tuple[str, ...]:
    """Return one name for each output, of a sequence of names, or of a table from or to positions.

    Raises ModelError for another number of names, a name twice, and what has no order.

    >>> names_in_order({"cat": 1, "ant": 0}, 2), names_in_order({1: "cat", 0: "ant"}, 2)
    (('ant', 'cat'), ('ant', 'cat'))
    """
    if isinstance(classes, Mapping):
        classes = _by_position(classes)
    if isinstance(classes, str | bytes | set | frozenset) or not isinstance(classes, Iterable):
        raise ModelError(f"the class names are {type(classes).__name__}; give a list in the order of the outputs")
    names = tuple(str(name) for name in classes)
    if len(names) != outputs:
        raise ModelError(f"the model has {outputs} outputs and {len(names)} class names were given; match them")
    if doubles := [name for name, count in Counter(names).items() if count > 1]:
        raise ModelError(f"the class name {doubles[0]!r} occurs twice; give each class its own name")
    if halves := [name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name)]:
        raise ModelError(f"the class name {halves[0]!r} holds half a character, which no table can hold; write it anew")
    return names


def _by_position(table: Mapping[Any, Any]) -> list[Any]:
    """Return the names of a table such as `class_to_idx` of torchvision, or `id2label`."""
    # Digits as names, {"7": 0, "1": 1}, are told from positions written as text by the numbers beside them.
    turned = all(isinstance(key, str) for key in table) and not any(isinstance(name, str) for name in table.values())
    pairs = [(position, name) for name, position in table.items()] if turned else list(table.items())
    named = {int(position): name for position, name in pairs if str(position).isdecimal()}
    if sorted(named) != list(range(len(table))):
        raise ModelError(
            f"the class names are a table of {len(table)} that does not number them 0, 1, ... without a gap; give a "
            "list in the order of the outputs"
        )
    return [named[position] for position in range(len(table))]


def _from_json(text: str, source: Path) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not valid JSON ({error})") from error
    if isinstance(value, dict):
        value = next((value[key] for key in _TABLE_KEYS if value.get(key)), value)
    if isinstance(value, dict):
        return _by_index(value, source)
    if not isinstance(value, list):
        raise InputError(f"{source} holds {type(value).__name__}; write a list of class names")
    return value


def _by_index(table: dict[str, Any], source: Path) -> list[Any]:
    if set(table) != {str(i) for i in range(len(table))}:
        shown = ", ".join(repr(key) for key in list(table)[:5])
        raise InputError(f'{source} must number its classes "0", "1", ... without a gap; it has the keys {shown}')
    return [table[str(i)] for i in range(len(table))]


def _checked(names: list[Any], source: Path) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise InputError(f"{source} has {name!r} as the name of class {i}; each class needs a name")
    doubles = [name for name, count in Counter(names).items() if count > 1]
    if doubles or not names:
        raise InputError(f"{source} has {f'the class {doubles[0]!r} twice' if doubles else 'no class names'}")
    return tuple(names)
