"""From folders to an updated screener: read verdicts and labels, keep the old screener, write the new one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from uncertainty.artifact import MANIFEST
from uncertainty.errors import ImageError, InputError
from uncertainty.images import digest
from uncertainty.labels import read_labels
from uncertainty.manifests import read_manifest
from uncertainty.pipeline import SUMMARY
from uncertainty.screener import Screener
from uncertainty.updating import Update, updated
from uncertainty.verdicts import Verdicts

INCLUSION, RANKED_INCLUSION = "inclusion", "inclusion_probability"
"""Columns of labels that are looked for unless another is named; the second is what `uncertainty rank` writes."""


def update_folder(
    screener: Path, out: Path, labels: Path, *, into: Path | None = None, column: str = INCLUSION
) -> tuple[Update, Path]:
    """Update a saved screener by the verdicts in `out` and labels; return what changed and where the old one is.

    Without `into` the new one takes its place, and the old one is copied to `SCREENER.<its id>` first. `column` of the
    labels is the chance of each image to be labelled; it may be absent if it is the default.
    """
    if into is not None and (into / MANIFEST).exists():
        raise InputError(f"{into} holds a screener already; choose another folder for the new one")
    verdicts, given = Verdicts.read(out), read_labels(labels)
    names = verdicts.table["file_name"].to_pylist()
    old = Screener.load(screener)
    found = updated(old, verdicts, given, read_inclusion(labels, column), _digests(out, names))
    kept = screener if into is not None else _copied(screener, old.id)
    found.screener.save(into or screener)
    return found, kept


def read_inclusion(labels: Path, column: str = INCLUSION) -> dict[str, float] | None:
    """Return the chance of each image to be labelled, by file name; None where the labels have no such column.

    Where `inclusion` is looked for, `inclusion_probability` does as well, but for a list that was not drawn at all.
    Raises InputError: a column that was asked for is absent, a cell is no number, or one name has two of them.
    """
    manifest = None if labels.is_dir() else read_manifest(labels)
    cells = {} if manifest is None else manifest.metadata
    ranked = cells.get(RANKED_INCLUSION, ())
    if column == INCLUSION and column not in cells and any(map(_below_one, ranked)):
        column = RANKED_INCLUSION
    if manifest is None or column not in cells:
        if column != INCLUSION:
            raise InputError(f"{labels} has no column {column!r} with the chance of each image to be labelled")
        return None
    chances: dict[str, float] = {}
    for name, cell in zip(manifest.names, cells[column], strict=True):
        if cell is not None and chances.setdefault(name, _number(cell, name, labels)) != _number(cell, name, labels):
            raise InputError(f"{labels} gives {name!r} two chances, {chances[name]:g} and {cell}; keep one")
    return chances


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


def _copied(screener: Path, id: str) -> Path:
    """Copy a screener beside itself, under a name that appears only when the copy is whole."""
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
