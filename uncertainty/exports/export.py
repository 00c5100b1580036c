"""A ranking or verdicts to one of the targets: whole or not at all, at a place that is free."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from uncertainty.errors import InputError
from uncertainty.exports.base import Exported, Place, Ranking
from uncertainty.exports.targets import FOLDERS, TABLES, TARGETS
from uncertainty.storage.mirror import from_urls
from uncertainty.verdicts import Verdicts, input_root, read_summary, write_table
from uncertainty.written import kept_by_date, written

logger = logging.getLogger("uncertainty")


@from_urls("source")
def export(
    source: Path,
    to: str,
    out: Path,
    *,
    images: Path | None = None,
    classes: Sequence[str] | None = None,
    **how: Any,
) -> Exported:
    """Export the verdicts of a screening's output folder, or one table such as a ranking; `how`: see `write`.

    The source may be at a URL. Classes, model, and where the images were screened are looked up in the folder, unless
    said.
    """
    verdicts, summary = Verdicts.read(source), read_summary(source)
    if images is None and (root := input_root(summary)) is not None and root.exists():
        images = root
    sha = (verdicts.provenance or summary.get("provenance") or {}).get("model_sha256")
    ranking = Ranking.of(
        verdicts.table,
        classes=classes or verdicts.classes or summary.get("classes"),
        model_version=f"uncertainty {sha[:12]}" if isinstance(sha, str) else None,
    )
    return write(ranking, to, out, images=images, **how)


def write(
    ranking: Ranking,
    to: str,
    out: Path,
    *,
    images: Path | None = None,
    image_url_prefix: str = "",
    place: Place = "nowhere",
    overwrite: bool = False,
) -> Exported:
    """Write a ranking as one of TARGETS, whole or not at all.

    Parameters
    ----------
    to : csv and parquet write one file; label-studio, cvat, cvat-folders, fiftyone and hf a new folder, or where `out`
        ends in .zip a zip.
    images : folder, manifest or Parquet file that was screened.
    image_url_prefix : of label-studio, what stands before the names in addresses.
    place : whether the images are copied or linked into the folder; hf copies them in any case.
    overwrite : replace a file that holds something else; a folder or zip that is there is kept under a dated name.

    Raises InputError: an unknown target, `out` that is there already, an option that the target has no use for, images
    that are needed and not found, no row that can be exported.
    """
    if to not in TARGETS:
        raise InputError(f"{to!r} is no target; choose one of {', '.join(TARGETS)}")
    if image_url_prefix and to != "label-studio":
        raise InputError(f"{to} has no addresses; --image-url-prefix is for label-studio")
    if to in TABLES:
        return _table(ranking, to, out, place, overwrite=overwrite)
    if not overwrite:
        check_free(out)
    more: dict[str, Any] = {"image_url_prefix": image_url_prefix} if to == "label-studio" else {}
    with _beside(out) as temporary:
        folder = Path(temporary) / "export"
        folder.mkdir()
        write_folder = import_module(f"uncertainty.exports.{FOLDERS[to]}").write
        count, notes = write_folder(ranking, folder, images=images, how=place, **more)
        if _occupied(out):
            logger.warning("%s was there already; it is kept as %s", out, kept_by_date(out).name)
        _moved(folder, out)
    return Exported(out, count, ranking.notes + notes)


def _table(ranking: Ranking, to: str, out: Path, place: Place, *, overwrite: bool) -> Exported:
    if place != "nowhere":
        raise InputError(f"{to} holds no images; leave --copy and --link out")
    if out.suffix != TABLES[to]:
        raise InputError(f"{out} must end in {TABLES[to]}; name the file to write")
    names = json.dumps(ranking.table["file_name"].to_pylist())
    of = hashlib.blake2b(names.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    with written(out.parent, [out.name], of, overwrite=overwrite) as where:
        write_table(ranking.table, where / out.name)
    classes = tuple(note for note in ranking.notes if "classes" not in note)
    return Exported(out, len(ranking), classes)


def check_free(out: Path) -> None:
    """Raise InputError where a folder or zip is to be written and something is there already."""
    if _occupied(out):
        raise InputError(f"{out} is there already; choose a new place, or keep it under a dated name with --overwrite")


def _occupied(out: Path) -> bool:
    return out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir()))


@contextmanager
def _beside(out: Path) -> Iterator[str]:
    """Give a folder for what is not whole yet. A disk that is full is that of `out`: images were found before."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name[:100]}.") as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"{out} can't be written: {error.strerror or error}; choose another place") from error


def _moved(folder: Path, out: Path) -> None:
    """Move the finished folder, or a zip of it, to its place."""
    if out.suffix.lower() != ".zip":
        if out.is_dir():
            out.rmdir()
        os.replace(folder, out)
        return
    packed = folder.with_name("export.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix())  # always dated 1980: same images, same bytes
            info.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as data, archive.open(info, "w") as target:
                shutil.copyfileobj(data, target)
    os.replace(packed, out)
