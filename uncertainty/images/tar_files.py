"""Tar files with images inside, as WebDataset writes them: read from front to back, never unpacked."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import InputError, in_one_line
from uncertainty.images.decoding import is_image_name
from uncertainty.images.image_set import Inside
from uncertainty.images.label_text import joined
from uncertainty.images.manifests import Label
from uncertainty.images.packed_text import Coded, Packer, Texts, double
from uncertainty.images.remote import AnyFile, opened
from uncertainty.images.several_files import SeveralFiles

SUFFIXES = (".tar", ".tar.gz", ".tgz")
_LABELS = ("cls", "label", "class", "cls.txt", "label.txt")
_LONGEST_LABEL = 1 << 16


def holds_images(path: AnyFile) -> bool:
    """Whether a tar has a picture in it; InputError where it is damaged before the first."""
    with _members(path) as members:
        return any(is_image_name(member.name) for _, member in members)


def read(paths: Sequence[AnyFile]) -> Inside:
    """Return names, labels and a reader of the bytes.

    Files of one key, which is the name up to its first dot, belong together: `a/1.jpg` and `a/1.cls`. A label is what
    .cls, .label, .class or .cls.txt says, or "label" or "cls" of .json; without one it is None.
    """
    found = [_contents(path) for path in paths]
    names = Texts.of(name for names, _ in found for name in names)
    if double(names) is not None and len(found) > 1:
        stems = [path.name.split(".")[0] for path in paths]
        names = Texts.of(f"{stem}/{name}" for stem, (inside, _) in zip(stems, found, strict=True) for name in inside)
    labels = [label for _, labels in found for label in labels]
    counts = tuple(len(inside) for inside, _ in found)
    known = Coded.of(labels) if any(one is not None for one in labels) else None
    return Inside(names, known, TarReader(tuple(paths), counts))


def _contents(path: AnyFile) -> tuple[Texts[str], list[Label]]:
    """Return the names of the pictures and their labels, in the order of the file."""
    names: Packer[str] = Packer()
    keys: list[str] = []
    by_key: dict[str, Label] = {}
    with _members(path) as members:
        for archive, member in members:
            key, _, field = _taken_apart(member.name)
            if is_image_name(member.name):
                names.append(member.name)
                keys.append(key)
            elif (label := _label(archive, member, field)) is not None:
                by_key[key] = label
    return names.packed(), [by_key.get(key) for key in keys]


def _taken_apart(name: str) -> tuple[str, str, str]:
    """Return key, dot and field of a member, as WebDataset does.

    >>> _taken_apart("a/b.c/d.e.jpg")
    ('a/b.c/d', '.', 'e.jpg')
    """
    folder, slash, base = name.rpartition("/")
    key, dot, field = base.partition(".")
    return f"{folder}{slash}{key}", dot, field.lower()


def _label(archive: tarfile.TarFile, member: tarfile.TarInfo, field: str) -> Label:
    last = field.rpartition(".")[2]
    if (field not in _LABELS and last not in (*_LABELS, "json")) or member.size > _LONGEST_LABEL:
        return None
    stream = archive.extractfile(member)
    text = "" if stream is None else stream.read().decode("utf-8", "replace").strip()
    if last != "json":
        return text or None
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    label = next((told[key] for key in ("label", "cls", "class", "labels") if key in told), None)
    if isinstance(label, list) and all(isinstance(one, str) for one in label):
        return joined(label)
    return label if isinstance(label, str | int) and not isinstance(label, bool) else None


class TarReader(SeveralFiles):
    """The bytes of images in tar files."""

    def read(self, path: AnyFile, positions: NDArray[np.int64], count: int) -> Iterator[AnyFile | bytes]:
        """Read front to back; of members that nobody wants the header alone."""
        return _bytes(path, positions)


def _bytes(path: AnyFile, wanted: NDArray[np.int64]) -> Iterator[bytes]:
    left = wanted.tolist()[::-1]
    with _members(path) as members:
        pictures = ((archive, member) for archive, member in members if is_image_name(member.name))
        for i, (archive, member) in enumerate(pictures):
            if i == left[-1]:
                stream = archive.extractfile(member)
                yield b"" if stream is None else stream.read()
                left.pop()
                if not left:
                    return
    raise InputError(f"{path} holds fewer images than before; it changed meanwhile")


class _Member(tarfile.TarInfo):
    """A member whose header is cut short is an error; `tarfile` takes it for the end, and what follows is lost."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header."""
        try:
            return super().fromtarfile(archive)
        except tarfile.TruncatedHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError("unexpected end of data") from error


@contextmanager
def _members(path: AnyFile) -> Iterator[Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]]:
    """Open a tar as a stream and go through its files; hidden ones are skipped."""
    try:
        with opened(path) as raw, tarfile.open(fileobj=raw, mode="r|*", tarinfo=_Member) as archive:
            yield _files(archive)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{path} can't be read as a tar file ({in_one_line(error)})") from error


def _files(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    for member in archive:
        hidden = any(part.startswith(".") and part != "." for part in member.name.split("/"))
        if member.isfile() and not hidden:
            member.name = member.name.removeprefix("./")
            yield archive, member
        archive.members = []  # type: ignore[attr-defined]  # which would grow with the images
