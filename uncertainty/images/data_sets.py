"""Lists, data sets and loaders as images: read one after another, so that memory stays flat however many there are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError, InputError, in_one_line
from uncertainty.images.in_memory import PLAIN, ArrayItem, Form, is_picture, parts_of, refuse_kind
from uncertainty.images.manifests import Label


@dataclass(frozen=True, eq=False)
class HeldImages(Sequence[ArrayItem]):
    """Images of a list or a data set, by position: `source[i]` is read when it is wanted, and not kept.

    They are called "0", "1", … by their position in the source, or as `called` says, by position too. An image that the
    source fails to give is an error of that image. `labels` go before those of the source. `rows` (n,) are the
    positions meant; None: all.
    """

    source: Any
    size: int
    form: Form = PLAIN
    labels: Sequence[Label] | None = None
    rows: NDArray[np.int64] | None = None
    called: Sequence[str] | None = None

    def __len__(self) -> int:
        return self.size if self.rows is None else len(self.rows)

    @property
    def names(self) -> list[str]:
        """What each image is called: as its file, or the position in the source as text."""
        return [self._name(position) for position in self._positions()]

    def _name(self, position: int) -> str:
        return str(position) if self.called is None else self.called[position]

    def _positions(self) -> Sequence[int]:
        return range(self.size) if self.rows is None else self.rows.tolist()

    def __iter__(self) -> Iterator[ArrayItem]:
        # By length alone: many data sets don't say where they end, and count on nobody asking beyond.
        return (self._read(row) for row in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        """Return one image, or some."""
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        return self._read(range(len(self))[index])

    def _read(self, row: int) -> ArrayItem:
        position = row if self.rows is None else int(self.rows[row])
        image, label = self._given(position)
        return ArrayItem(self._name(position), image, label if self.labels is None else self.labels[row])

    def _given(self, position: int) -> tuple[Any, Label]:
        try:
            row = self.source[position]
        except Exception as error:  # the user's code: anything may be raised, and the other images are fine
            why = in_one_line(error, 120)
            return ImageError(f"can't be had from {kind_of(self.source)} ({why})"), None
        return parts_of(row, self.form)[:2]

    def select(self, rows: Sequence[int] | NDArray[Any]) -> HeldImages:
        """Return the images at these positions, or where a boolean mask is True, each once and in this order."""
        picked = np.asarray(rows)
        picked = np.flatnonzero(picked) if picked.dtype == bool else np.unique(picked.astype(np.int64))
        labels = None if self.labels is None else [self.labels[int(row)] for row in picked]
        return replace(self, labels=labels, rows=picked if self.rows is None else self.rows[picked])

    def fetch(self, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """Yield (position in `names`, image) for those that are here, in the order of the source."""
        place = {name: k for k, name in enumerate(names)}
        for row, name in enumerate(self.names):
            if name in place:
                yield place[name], self._read(row).data

    def labelled(self) -> HeldImages:
        """Return these images; which labels they have is seen when they are read."""
        return self

    def fingerprint(self) -> str:
        """32 hexadecimal characters: which source, as far as its kind and length tell."""
        return hashlib.blake2b(f"{kind_of(self.source)} {len(self)}".encode(), digest_size=16).hexdigest()

    def checked(self) -> HeldImages:
        """Return these images; InputError where the first is of a kind that none can be read of."""
        if len(self):
            refuse_kind(self._read(0).data, kind_of(self.source))
        return self


@dataclass(frozen=True, eq=False)
class StreamedImages:
    """Images of a loader or another iterable, in the order in which they come, called "0", "1", … in that order.

    `batched` says that it yields batches: (inputs, labels), (inputs, labels, names), a dictionary of them, inputs
    alone, or a list of single images.
    """

    source: Any
    batched: bool = False
    form: Form = PLAIN

    @property
    def labels(self) -> None:
        """None: which labels they have is seen when they are read."""
        return None

    @property
    def once(self) -> bool:
        """Whether it can be read a single time, as a generator."""
        return hasattr(self.source, "__next__")

    def labelled(self) -> StreamedImages:
        """Return these images; which labels they have is seen when they are read."""
        return self

    def __iter__(self) -> Iterator[ArrayItem]:
        for position, (image, label, name) in enumerate(self._parts()):
            if position == 0:
                refuse_kind(image, kind_of(self.source))
            yield ArrayItem(str(position) if name is None else name, image, label)

    def _parts(self) -> Iterator[tuple[Any, Label, str | None]]:
        for given in self.given():
            rows = rows_of(given, self.form, _collated(self.source)) if self.batched else [given]
            yield from (parts_of(row, self.form) for row in rows)

    def given(self) -> Iterator[Any]:
        """Yield what the source yields; InputError where it fails."""
        count = 0
        try:
            for given in self.source:
                yield given
                count += 1
        except InputError:
            raise
        except Exception as error:  # the user's code: anything may be raised
            why = in_one_line(error)
            what = "batches" if self.batched else "images"
            raise InputError(f"{kind_of(self.source)} fails after {count} {what}: {why}") from error


def _collated(loader: Any) -> bool:
    """Whether batches come from torch's own collate function: then a list is one of columns, and never of images."""
    return getattr(getattr(loader, "collate_fn", None), "__module__", "").startswith("torch.utils.data.")


def rows_of(batch: Any, form: Form = PLAIN, collated: bool = False) -> Iterator[Any]:
    """Yield (image, label, name) for each image of a batch; `collated`: a list holds columns for sure.

    >>> list(rows_of((["a.png", "b.png"], [3, 4])))
    [('a.png', 3, None), ('b.png', 4, None)]
    """
    if isinstance(batch, Mapping):
        image, label, _ = _columns(batch, form)
        yield from _rows(image, label, None)
    elif isinstance(batch, tuple | list) and batch and (_are_columns(batch) if collated else _are_many(batch[0])):
        yield from _rows(*(*batch, None, None)[:3])
    elif isinstance(batch, tuple | list):
        yield from batch
    else:
        yield from _rows(batch, None, None)


def _columns(batch: Mapping[str, Any], form: Form) -> tuple[Any, Any, None]:
    keys = (form.image, "image", "img", "images", "pixel_values"), (form.label, "label", "labels")
    image, label = (next((batch[key] for key in of if key is not None and key in batch), None) for of in keys)
    return image, label, None


def _are_columns(batch: Any) -> bool:
    """Whether a list that was collated holds columns: paths alone stay a list of them."""
    return not all(isinstance(one, str) for one in batch)


def _are_many(value: Any) -> bool:
    """Whether it holds the images of a batch, not one image or an image with its label."""
    if getattr(value, "ndim", None) == 4:
        return True
    several = isinstance(value, tuple | list) and len(value) > 0
    return several and (all(map(is_picture, value)) or (isinstance(value, list) and isinstance(value[0], str)))


def _rows(images: Any, labels: Any, names: Any) -> Iterator[tuple[Any, Any, Any]]:
    if not hasattr(images, "__len__") or getattr(images, "ndim", 4) < 4 or isinstance(images, str | bytes):
        shape = f" of shape {tuple(images.shape)}" if hasattr(images, "shape") else ""
        raise InputError(
            f"a batch of the loader is {type(images).__name__}{shape}; it must be (inputs, labels) or inputs, with "
            "inputs (n, 3, h, w) or (n, 1, h, w)"
        )
    for column, what in ((labels, "labels"), (names, "names")):
        if column is None or _count(column) == len(images):
            continue
        raise InputError(f"a batch of the loader has {len(images)} images and {_count(column)} {what}; give one each")
    for row in range(len(images)):
        yield images[row], None if labels is None else labels[row], None if names is None else names[row]


def _count(column: Any) -> int:
    return len(column) if hasattr(column, "__len__") and getattr(column, "ndim", 1) != 0 else 1


def size_of(source: Any) -> int:
    """Return how many images a data set says that it has; InputError where it doesn't say."""
    try:
        return len(source)
    except Exception as error:  # the user's code: anything may be raised
        why = in_one_line(error)
        raise InputError(f"{kind_of(source)} does not say how many images it has: {why}") from error


def kind_of(source: Any) -> str:
    """Return the name of its class, for messages."""
    return type(source).__name__


def file_names(source: Any) -> list[str] | None:
    """Return what the images of a data set are called that lists its files, by position; None where it lists none.

    Such are the folders of torchvision, by `samples` or `imgs` and `root`, and a Subset of them. Names are relative to
    the root; where two images would have one name, there are none.
    """
    if hasattr(source, "dataset") and hasattr(source, "indices"):
        inner = file_names(source.dataset)
        names = None if inner is None else [inner[int(position)] for position in source.indices]
    else:
        names = _listed(source)
    return names if names is not None and len(set(names)) == len(names) == size_of(source) else None


def _listed(source: Any) -> list[str] | None:
    listed = getattr(source, "samples", None) or getattr(source, "imgs", None)
    if not isinstance(listed, list) or not all(
        isinstance(one, tuple) and one and isinstance(one[0], str | os.PathLike) for one in listed
    ):
        return None
    root, files = getattr(source, "root", None), [os.fspath(one[0]) for one in listed]
    if isinstance(root, str | os.PathLike) and all(file.startswith(os.path.join(root, "")) for file in files):
        files = [os.path.relpath(file, root) for file in files]
    return [PurePath(file).as_posix() for file in files]
