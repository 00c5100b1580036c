"""The images themselves: found where they were screened, measured, and copied or linked, never outside the export."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uncertainty.errors import ImageError, InputError
from uncertainty.exports.base import Place, Ranking, Row
from uncertainty.images.by_name import Pictures
from uncertainty.images.decoding import is_image_name, size
from uncertainty.images.formats import npy
from uncertainty.images.remote import RemotePath

GONE = "it is not where it was screened; say where with --images"
OUTSIDE = "its name leads out of the folder"


def found(ranking: Ranking, images: Path | None, what: str) -> Pictures:
    """Return where the images are; InputError where they are needed and nothing says where."""
    if images is None:
        raise InputError(f"{what} needs the images; say where they are with --images")
    if not images.exists():
        raise InputError(f"{images} does not exist; give the folder, manifest or Parquet file that was screened")
    return Pictures.at(images)


def fetched(ranking: Ranking, pictures: Pictures) -> Iterator[tuple[str, Path | bytes]]:
    """Yield (file name, path or bytes) of the images that are there, in the order of the source."""
    names = ranking.table["file_name"].to_pylist()
    for position, data in pictures.fetch(names):
        if isinstance(data, RemotePath):
            try:
                data = data.read_bytes()
            except ImageError:
                continue
        if isinstance(data, bytes) or data.is_file():
            yield names[position], data


def sizes(ranking: Ranking, pictures: Pictures) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Return (width, height) by name, read from the headers, and reasons for those that have none."""
    measured: dict[str, tuple[int, int]] = {}
    missing = dict.fromkeys(ranking.table["file_name"].to_pylist(), GONE)
    for name, data in fetched(ranking, pictures):
        try:
            measured[name] = size(data)
            del missing[name]
        except ImageError as error:
            missing[name] = str(error)
    return measured, missing


@dataclass(frozen=True)
class Placed:
    """Where each image now is, relative to the folder, by its name; and reasons for those that are not there."""

    where: dict[str, str]
    missing: dict[str, str]


def place(
    ranking: Ranking,
    pictures: Pictures,
    folder: Path,
    how: Place,
    name_of: Callable[[Row], str] = lambda row: row.name,
    apart: Callable[[str], str] = str,
) -> Placed:
    """Copy or link each image to `name_of` its row below `folder`, and give bytes that have no ending their own.

    A name that leads out of the folder is never written. Where `apart` of two names is the same, the later one gets
    its ending twice. Raises InputError for a link to what lies inside a Parquet file.
    """
    wanted = {row.name: name_of(row) for row in ranking.rows()}
    missing = {name: OUTSIDE for name, target in wanted.items() if not inside(target)}
    where: dict[str, str] = {}
    taken: set[str] = set()
    for name, data in fetched(ranking, pictures):
        if name in missing:
            continue
        if how == "link" and isinstance(data, bytes):
            raise InputError(f"{name!r} lies inside a Parquet file and can't be linked; use --copy")
        try:
            target = with_ending(wanted[name], data)
        except ImageError as error:
            missing[name] = str(error)
            continue
        while apart(target) in taken:
            target += PurePosixPath(target).suffix
        taken.add(apart(target))
        _put(data, folder / target, how)
        where[name] = target
    missing |= {name: GONE for name in wanted if name not in where and name not in missing}
    return Placed(where, missing)


def inside(name: str) -> bool:
    r"""Whether a relative name stays below the folder that it is joined to.

    >>> [inside(name) for name in ("a/b.jpg", "../a.jpg", "/etc/a.jpg", "a/../../b.jpg", ".", "a\\..\\b.jpg")]
    [True, False, False, False, False, False]
    """
    parts = re.split(r"[/\\]", name)
    return bool(name) and not name.startswith("/") and ".." not in parts and "." not in parts and "\0" not in name


def with_ending(name: str, data: Path | bytes) -> str:
    """Return the name, with the ending of its format where it has none that tools know as an image."""
    from PIL import Image

    if is_image_name(name):
        return name
    if isinstance(data, bytes) and npy.recognises(data[:64]):
        return f"{name}.npy"
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            kind = image.format or ""
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("cannot identify the format") from error
    return f"{name}.{kind.lower().replace('jpeg', 'jpg')}"


def _put(data: Path | bytes, target: Path, how: Place) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, bytes):
        target.write_bytes(data)
    elif how == "link":
        os.symlink(data.absolute(), target)
    else:
        shutil.copyfile(data, target)
