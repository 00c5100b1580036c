"""The names of a classifier's classes, in the order of its outputs, as files hold them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
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
