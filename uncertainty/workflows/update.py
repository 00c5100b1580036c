"""From folders to an updated screener: read verdicts and labels, keep the old screener, write the new one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from uncertainty.errors import ImageError, InputError
from uncertainty.evaluation.matching import UNKNOWN_FILE, returned_labels
from uncertainty.images.decoding import digest
from uncertainty.images.manifests import MANIFEST_SUFFIXES, read_manifest
from uncertainty.labels.imports import read_annotations
from uncertainty.recalibration.refit import Update, updated
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.screen import SUMMARY

INCLUSION, RANKED_INCLUSION = "inclusion", "inclusion_probability"
"""Columns of labels that are looked for unless another is named; the second is what `uncertainty rank` writes."""


def update_folder(
    screener: Path, out: Path, labels: Path, *, into: Path | None = None, column: str = INCLUSION
) -> tuple[Update, Path]:
    """Update a saved screener by the verdicts in `out` and labels; return what changed and where the old one is.

    Without `into` the new one takes its place, and the old one is copied to `SCREENER.<its id>` first. `column` of the
    labels is the chance of each image to be labelled; it may be absent if it is the default.
    """
    _refuse_occupied(into)
    verdicts, old = Verdicts.read(out), Screener.load(screener)
    names = verdicts.table["file_name"].to_pylist()
    given = returned_labels(labels, verdicts.table, old.model.classes)
    found = updated(old, verdicts, given.labels, read_inclusion(labels, column), _digests(out, names))
    given.write(out if out.is_dir() else out.parent)
    strangers = given.match(verdicts.table).labels_without_row
    left_out = {**found.left_out, "labels without an image": strangers or found.left_out["labels without an image"]}
    left_out |= {f"labels kept apart, {why}": n for why, n in given.counts.items() if why != UNKNOWN_FILE}
    found = replace(found, left_out=left_out, notes=(*found.notes, *given.words()))
    kept = kept_beside(screener, old.id, into=into)
    found.screener.save(into or screener)
    return found, kept


def read_inclusion(labels: Path, column: str = INCLUSION) -> dict[str, float] | None:
    """Return the chance of each image to be labelled, by file name; None where the labels have no such column.

    Where `inclusion` is looked for, `inclusion_probability` does as well, but for a list that was not drawn at all.
    Raises InputError: a column that was asked for is absent, a cell is no number, or one name has two of them.
    """
    cells = _columns(labels, column)
    if column == INCLUSION and not cells:
        ranked = _columns(labels, RANKED_INCLUSION)
        cells = ranked if any(_below_one(cell) for _, cell in ranked) else []
    if not cells:
        if column != INCLUSION:
            raise InputError(f"{labels} has no column {column!r} with the chance of each image to be labelled")
        return None
    chances: dict[str, float] = {}
    for name, cell in cells:
        if cell is not None and chances.setdefault(name, _number(cell, name, labels)) != _number(cell, name, labels):
            raise InputError(f"{labels} gives {name!r} two chances, {chances[name]:g} and {cell}; keep one")
    return chances


def _columns(labels: Path, column: str) -> list[tuple[str, str | None]]:
    """Return (file name, cell) of a column of a table, or of what Label Studio's tasks carry; [] where it is absent."""
    if labels.is_file() and labels.suffix.lower() in MANIFEST_SUFFIXES:
        manifest = read_manifest(labels)
        return list(zip(manifest.names, manifest.metadata.get(column, ()), strict=False))
    more = read_annotations(labels).more
    return [(name, values.get(column)) for name, values in more.items()] if _has(more, column) else []


def _has(more: Mapping[str, Mapping[str, str | None]], column: str) -> bool:
    return any(values.get(column) is not None for values in more.values())


def _below_one(cell: str | None) -> bool:
    try:
        return cell is not None and float(cell) < 1
    except ValueError:
        return True


def _number(cell: str, name: str, labels: Path) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(
            f"{labels} has {cell!r} as the inclusion of {name!r}; it must be a number in (0, 1]"
        ) from error


def _digests(out: Path, names: Iterable[str]) -> Mapping[str, str]:
    """Return content digests of the images that are still where they were screened."""
    summary = (out if out.is_dir() else out.parent) / SUMMARY
    root = json.loads(summary.read_text(encoding="utf-8")).get("input_root") if summary.is_file() else None
    found: dict[str, str] = {}
    if root is None:
        return found
    for name in names:
        try:
            found[name] = digest(Path(root) / name)
        except ImageError:
            continue
    return found


def _refuse_occupied(into: Path | None) -> None:
    if into is not None and (into / MANIFEST).exists():
        raise InputError(f"{into} holds a screener already; choose another folder for the new one")


def kept_beside(screener: Path, id: str, *, into: Path | None = None) -> Path:
    """Return where a screener will be kept: copied to `SCREENER.<its id>`, whole or not at all, or where it is.

    Where it is, if the new one goes `into` another folder; InputError where that holds a screener.
    """
    _refuse_occupied(into)
    if into is not None:
        return screener
    whole = screener.resolve()
    kept = whole.with_name(f"{whole.name}.{id}")
    if not kept.exists():
        part = Path(tempfile.mkdtemp(dir=whole.parent, prefix=f".{whole.name}."))
        try:
            shutil.copytree(whole, part / "copy")
            os.replace(part / "copy", kept)
        finally:
            shutil.rmtree(part)
    return kept
