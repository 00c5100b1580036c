"""CVAT's ImageNet form: class folders where the images come along, else a list of names with their classes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import quote

from uncertainty.errors import InputError
from uncertainty.exports.base import Place, Ranking, Row, left_out
from uncertainty.exports.image_files import found, inside, place
from uncertainty.labels.imports.cvat import CLASSES_NAME

LIST_NAME = "default.txt"
_CARRIED = ("file_name", "predicted_label")
_ONE = "class folders hold one class an image, and it has {}"
_UNLISTED = "a list of CVAT can't hold its name"


def write(
    ranking: Ranking, folder: Path, *, images: Path | None = None, how: Place = "nowhere"
) -> tuple[int, tuple[str, ...]]:
    """Write `<class>/<class>_<name>`, or without the images `default.txt` and `synsets.txt`; return images and notes.

    A slash in a name becomes %2F, since a folder below a class would be a class of its own.
    """
    if how == "nowhere":
        kept, notes = ranking.without(
            {row.name: _UNLISTED for row in ranking.rows() if line(row, {}) is None}, "the list"
        )
        _write_list(kept, folder)
    else:
        _check_classes(ranking)
        several = {row.name: _ONE.format(len(row.labels)) for row in ranking.rows() if len(row.labels) != 1}
        kept, notes = ranking.without(several, "class folders")
        placed = place(kept, found(kept, images, "cvat-folders"), folder, how, name_of=sorted_name)
        kept, gone = kept.without(placed.missing, "class folders")
        notes += gone
    return len(kept), notes + left_out(kept.columns, _CARRIED, "cvat-folders")


def sorted_name(row: Row) -> str:
    """Return where a row goes: the class, and the name behind the class again, as CVAT has it; unsafe names stay so."""
    if not inside(row.name):
        return row.name
    return f"{row.labels[0]}/{row.labels[0]}_{row.name.replace('%', '%25').replace('/', quote('/', safe=''))}"


def line(row: Row, position: dict[str, int]) -> str | None:
    """Return the line of a row: its name, in quotes but for the ending where it holds a space, and its classes.

    None where no such line can be read back.

    >>> cat = Row("mon/a b.jpg", ("cat",), 1, 0.5, None, {})
    >>> line(cat, {"cat": 3})
    '"mon/a b".jpg 3'
    """
    ending = PurePosixPath(row.name).suffix
    if '"' in row.name or len(row.name.splitlines()) != 1 or len(ending.split()) != 1:
        return None
    stem = row.name.removesuffix(ending)
    name = f'"{stem}"{ending}' if len(stem.split()) != 1 or stem != stem.strip() else row.name
    return " ".join([name, *(str(position.get(label, 0)) for label in row.labels)])


def _write_list(ranking: Ranking, folder: Path) -> None:
    for name in ranking.classes:
        if name != name.strip() or len(name.splitlines()) != 1:
            raise InputError(f"the class {name!r} can't be a line of {CLASSES_NAME}; export as cvat instead")
    position = {name: k for k, name in enumerate(ranking.classes)}
    (folder / CLASSES_NAME).write_text("".join(f"{name}\n" for name in ranking.classes), encoding="utf-8")
    lines = [line(row, position) for row in ranking.rows()]
    (folder / LIST_NAME).write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")


def _check_classes(ranking: Ranking) -> None:
    for name in {label for row in ranking.rows() for label in row.labels}:
        if "/" in name or "\\" in name or not inside(name) or name.startswith("."):
            raise InputError(f"the class {name!r} can't be the name of a folder; export as cvat instead")
