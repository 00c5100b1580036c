"""Labels that arrive later, and the names of a classifier's classes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.manifests import LABEL_COLUMN, Label, quoted, read_manifest
from uncertainty.sources import AnyPath, ImageSet, find_images

_TABLE_KEYS = ("id2label", "label_names")


def read_labels(path: AnyPath) -> dict[str, str]:
    """Return label by file name, from a table with `file_name` and `label` or from a folder of class folders.

    A folder gives two names to an image where it can: the whole one, `cat/monday/1.jpg`, and the one without the class
    folder, `monday/1.jpg`, which it had if it was screened first and sorted into classes afterwards; the second only
    where it belongs to one image alone. Rows without a label are left out; integer labels become strings.

    Raises InputError: no `label` column (the columns found are quoted), no label at all, or one name with two labels.
    """
    source = Path(path)
    if source.is_dir():
        return _folder_labels(find_images(source).labelled())
    if not source.exists():
        raise InputError(f"{source} does not exist; give a table with the columns file_name and label")
    manifest = read_manifest(source)
    if manifest.labels is None:
        raise InputError(f"{source} has no column {LABEL_COLUMN}; it has {quoted(manifest.columns)}")
    labels: dict[str, str] = {}
    for name, label in zip(manifest.names, manifest.labels, strict=True):
        if label is not None and labels.setdefault(name, str(label)) != str(label):
            raise InputError(f"{source} gives {name!r} two labels, {labels[name]!r} and {str(label)!r}; keep one")
    if not labels:
        raise InputError(f"{source} names {len(manifest.names)} images and labels none of them")
    return labels


def _folder_labels(images: ImageSet) -> dict[str, str]:
    pairs: list[tuple[str, Label]] = list(zip(images.names, images.labels or (), strict=True))
    labels = {name: str(label) for name, label in pairs if label is not None}
    if images.folder_labels is None:
        return labels
    inner = Counter(name.partition("/")[2] for name in images.names)
    short = {name.partition("/")[2]: label for name, label in labels.items()}
    return {name: label for name, label in short.items() if inner[name] == 1} | labels


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
