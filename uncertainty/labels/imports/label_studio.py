"""Labels as Label Studio exports them: JSON, one task an image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from uncertainty.errors import InputError
from uncertainty.images.manifests import as_text
from uncertainty.labels.imports.base import Annotation, Annotations

CONTROL = "choice"
"""Name of the choices in the labelling configuration that our export writes."""
_MANY = "more than one block of choices"


def read(path: Path) -> Annotations:
    """Read the choices of all annotations of all tasks (Export, JSON); skipped ones are left out and counted.

    An image is known by `data.file_name`, which our export writes; without it by the end of its address. Of a task
    with several blocks of choices the one called "choice" counts.

    Raises InputError: not such a file, no finished annotation in it, or blocks of choices none of which is "choice".
    """
    rows: list[Annotation] = []
    cancelled = empty = 0
    more: dict[str, dict[str, str | None]] = {}
    for number, task in enumerate(_tasks(path), start=1):
        names = _names(task, path, number)
        more[names[0]] = {key: as_text(value) for key, value in task["data"].items()}
        for annotation in _mappings(task.get("annotations"), path, number):
            choices = _choices(_mappings(annotation.get("result"), path, number), path, number)
            if annotation.get("was_cancelled"):
                cancelled += 1
            elif not choices:
                empty += 1
            else:
                rows.append(Annotation(names, ";".join(choices), _person(annotation.get("completed_by"))))
    if not rows:
        raise InputError(f"{path} holds {len(more)} tasks and no finished annotation; export it once some are labelled")
    notes = [f"{cancelled} annotations were skipped by their annotator; they are left out"] if cancelled else []
    notes += [f"{empty} annotations hold no choice; they are left out"] if empty else []
    return Annotations(tuple(rows), tuple(notes), more)


def _tasks(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); export it from Label Studio again") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error})") from error
    tasks = content if isinstance(content, list) else None
    if tasks is None or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise InputError(
            f'{path} is not an export of Label Studio: it must be a list of {{"data": ..., "annotations"}}'
        )
    return tasks


def _mappings(value: Any, path: Path, number: int) -> list[Mapping[str, Any]]:
    listed = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InputError(
            f"{path}, task {number}, has {str(value)[:60]!r} where a list of annotations or results belongs"
        )
    return listed


def _choices(results: Iterable[Mapping[str, Any]], path: Path, number: int) -> list[str]:
    blocks: dict[str, list[str]] = {}
    for result in results:
        value = result.get("value")
        if result.get("type") == "choices" and isinstance(value, dict) and isinstance(value.get("choices"), list):
            blocks.setdefault(str(result.get("from_name")), []).extend(map(str, value["choices"]))
    if len(blocks) > 1 and CONTROL not in blocks:
        names = ", ".join(map(repr, blocks))
        raise InputError(f"{path}, task {number}, has {_MANY}, {names}; call the one with the class {CONTROL!r}")
    return blocks.get(CONTROL) or next(iter(blocks.values()), [])


def _names(task: Mapping[str, Any], path: Path, number: int) -> tuple[str, ...]:
    name = task["data"].get("file_name")
    if isinstance(name, str) and name:
        return (name,)
    for key in ("image", *task["data"]):
        if isinstance(address := task["data"].get(key), str) and "/" in address:
            return endings(address)
    raise InputError(f"{path}, task {number}, has neither data.file_name nor the address of an image in data.image")


def endings(address: str) -> tuple[str, ...]:
    """Return what an image at this address may be called, the longest first.

    >>> endings("/data/local-files/?d=images/mon/a%20b.jpg")
    ('images/mon/a b.jpg', 'mon/a b.jpg', 'a b.jpg')
    """
    parts = urlsplit(address)
    inner = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].strip("/")
    pieces = inner.split("/")
    return tuple("/".join(pieces[k:]) for k in range(len(pieces)))


def _person(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return "" if value is None else str(value)
