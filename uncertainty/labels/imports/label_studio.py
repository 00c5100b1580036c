"""Labels as Label Studio exports them: JSON, one task an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.images.label_text import joined
from uncertainty.images.manifests import as_text
from uncertainty.labels.imports.addresses import at_address
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

CONTROL = "choice"
"""Name of the choices in the labelling configuration that our export writes."""
_MANY = "more than one block of choices"


def recognises(source: Source) -> bool:
    """Whether it is a JSON file that no other tool wrote: asked last of them."""
    return source.suffix == ".json"


def read(source: Source) -> Annotations:
    """Read the choices of all annotations of all tasks (Export, JSON); skipped ones are left out and counted.

    An annotation that was submitted without a choice says that the image has none of the labels.

    An image is known by `data.file_name`, which our export writes; without it by the end of its address. Of a task
    with several blocks of choices the one called "choice" counts.

    Raises InputError: not such a file, no finished annotation in it, or blocks of choices none of which is "choice".
    """
    path = source.path
    rows: list[Annotation] = []
    cancelled = 0
    more: dict[str, dict[str, str | None]] = {}
    for number, task in enumerate(_tasks(source), start=1):
        known = _known(task, path, number)
        more[known.names[0]] = {key: as_text(value) for key, value in task["data"].items()}
        for annotation in _mappings(task.get("annotations"), path, number):
            choices = _choices(_mappings(annotation.get("result"), path, number), path, number)
            if annotation.get("was_cancelled"):
                cancelled += 1
            else:
                person = _person(annotation.get("completed_by"))
                rows.append(replace(known, label=joined(choices), annotator=person))
    if not rows:
        raise InputError(f"{path} holds {len(more)} tasks and no finished annotation; export it once some are labelled")
    notes = [f"{cancelled} annotations were skipped by their annotator; they are left out"] if cancelled else []
    return Annotations(tuple(rows), tuple(notes), more)


def _tasks(source: Source) -> list[dict[str, Any]]:
    tasks = source.json if isinstance(source.json, list) else None
    if tasks is None or not all(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks):
        raise InputError(
            f'{source.path} is no JSON of labels that is known: of Label Studio (a list of {{"data": ..., '
            '"annotations"}), of COCO (images, annotations, categories) or of FiftyOne (classes, labels)'
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


def _known(task: Mapping[str, Any], path: Path, number: int) -> Annotation:
    """Return what an answer about the image of this task is known by."""
    name = task["data"].get("file_name")
    if isinstance(name, str) and name:
        return Annotation((name,), "")
    for key in ("image", *task["data"]):
        if isinstance(address := task["data"].get(key), str) and "/" in address:
            return at_address(address, "")
    raise InputError(f"{path}, task {number}, has neither data.file_name nor the address of an image in data.image")


def _person(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return "" if value is None else str(value)
