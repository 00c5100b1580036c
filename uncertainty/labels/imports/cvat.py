"""Labels as CVAT exports them: its images XML 1.1, alone or in a zip, and its ImageNet form."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.decoding import is_image_name
from uncertainty.images.label_text import is_no_label, joined
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.folders import sorted_into
from uncertainty.labels.imports.source import Source

XML_NAME = "annotations.xml"
CLASSES_NAME = "synsets.txt"
AUTO = "auto"
_SUBSETS = ("train", "val", "validation", "test", "default")
_LARGEST = 1 << 30


def recognises(source: Source) -> bool:
    """Whether it is an XML file or a zip, or a folder with an `annotations.xml`."""
    return source.suffix in (".xml", ".zip") or (source.path / XML_NAME).is_file()


def read(source: Source) -> Annotations:
    """Read the tags of an `annotations.xml`, a few kilobytes at a time, or a zip; see `from_xml` and `read_zip`."""
    if source.suffix == ".zip":
        return read_zip(source.path)
    path = source.path / XML_NAME if source.path.is_dir() else source.path
    try:
        with open(path, "rb") as file:
            return from_xml(file, path)
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error


def read_zip(path: Path) -> Annotations:
    """Read a zip that CVAT exported: with `annotations.xml`, with `synsets.txt` and a list, or with class folders.

    Nothing is unpacked: of images their names alone are read. Raises InputError for anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_zip(archive, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"{path} can't be read as a zip ({error}); export it again") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error


def _from_zip(archive: zipfile.ZipFile, path: Path) -> Annotations:
    sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
    files = {PurePosixPath(name).name: name for name in sorted(sizes, reverse=True)}
    wanted = [name for name in sizes if name.endswith((".xml", ".txt"))]
    if large := [name for name in wanted if sizes[name] > _LARGEST]:
        raise InputError(f"{path} holds {large[0]!r} of {sizes[large[0]]:,} bytes; the limit is {_LARGEST:,}")
    if XML_NAME in files:
        with archive.open(files[XML_NAME]) as file:
            return from_xml(file, path)
    if CLASSES_NAME in files:
        classes = _text(archive, files[CLASSES_NAME], path).splitlines()
        lists = [name for name in sizes if name.endswith(".txt") and name != files[CLASSES_NAME]]
        lines = [line for name in lists for line in _text(archive, name, path).splitlines() if line.strip()]
        return _labelled(from_list(lines, [name.strip() for name in classes], path), path)
    images = [name for name in sizes if is_image_name(name)]
    if not images or any("/" not in name for name in images):
        raise InputError(f"{path} holds neither {XML_NAME} nor {CLASSES_NAME} nor images in class folders")
    return sorted_into(_images_in_folders(images))


def _text(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    try:
        return archive.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {name} is not UTF-8 text (byte {error.start})") from error


def _without_subset(name: str) -> str:
    first, _, rest = name.partition("/")
    return rest if first.lower() in _SUBSETS and "/" in rest else name


def _images_in_folders(images: list[str]) -> tuple[str, ...]:
    """Leave out the first folder where it is a part of a data set in all names; `test` beside others is a class."""
    if {name.partition("/")[0].lower() for name in images} <= set(_SUBSETS):
        return tuple(map(_without_subset, images))
    return tuple(images)


def _labelled(rows: list[Annotation], path: Path, notes: tuple[str, ...] = ()) -> Annotations:
    if all(is_no_label(row.label) for row in rows):
        raise InputError(f"{path} labels no image; export it once some are labelled")
    return Annotations(tuple(rows), notes)


def from_list(lines: list[str], classes: list[str], path: Path) -> list[Annotation]:
    """Read the lines of an ImageNet list: a name, in quotes but for its ending where it has a space, and classes.

    >>> from_list(['"mon/a b".jpg 1', "c.png 0 1", "d.png"], ["cat", "dog"], Path("x"))[0].names
    ('mon/a b.jpg',)
    """
    rows = []
    for line in lines:
        quoted = line.split('"')
        if len(quoted) == 3 and quoted[2].split():
            ending, *numbers = quoted[2].split()
            name = quoted[1] + ending
        else:
            name, *numbers = line.split()
        if not all(number.isdecimal() and int(number) < len(classes) for number in numbers):
            raise InputError(f"{path} has the line {line[:80]!r}; classes are numbers below {len(classes)}")
        rows.append(Annotation((name,), joined(classes[int(number)] for number in numbers)))
    return rows


def from_xml(file: IO[bytes], path: Path) -> Annotations:
    """Read the tags of each image; where a person added one, the predicted ones beside it do not count.

    A tag that is still marked `auto` was predicted, and nobody changed it: it counts as confirmed, and a note says how
    many there are. An image without a tag has none of the labels, which a note counts: it may not have been looked at.
    Raises InputError: no XML, one with a document type, which could name other files, or no tag at all.
    """
    tags = _Tags()
    _parsed(file, tags, path)
    rows, confirmed, without = [], 0, 0
    for name, given in tags.images:
        by_hand = [label for label, source in given if source != AUTO]
        confirmed += bool(given) and not by_hand
        without += not given
        rows.append(Annotation((name,), joined(by_hand or [label for label, _ in given])))
    keep = number_of(confirmed, "image keeps", "images keep")
    notes = [f"{keep} the tag that was predicted, unchanged: it counts as confirmed"] if confirmed else []
    if without:
        have = number_of(without, "image has no tag and counts", "images have no tag and count")
        notes.append(f"{have} as without any label; take out what nobody has looked at")
    return _labelled(rows, path, tuple(notes))


class _Tags:
    def __init__(self) -> None:
        self.images: list[tuple[str, list[tuple[str, str]]]] = []
        self.root: str | None = None

    def start(self, element: str, attributes: Mapping[str, str]) -> None:
        self.root = self.root or element
        if element == "image":
            self.images.append((attributes.get("name", ""), []))
        elif element == "tag" and self.images:
            self.images[-1][1].append((attributes.get("label", ""), attributes.get("source", "manual")))


def _parsed(file: IO[bytes], tags: _Tags, path: Path) -> None:
    from xml.parsers import expat

    def refuse(*_: Any) -> None:
        raise InputError(f"{path} has a document type, which CVAT never writes; export it again")

    parser = expat.ParserCreate()
    parser.StartElementHandler = tags.start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        raise InputError(f"{path} is not valid XML ({error}); export it as CVAT for images 1.1") from error
    if tags.root != "annotations":
        raise InputError(f"{path} starts with <{tags.root}>; export it as CVAT for images 1.1")
