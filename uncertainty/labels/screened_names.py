"""Names in labels met with names of images that were screened: exactly, then as far as only one image is meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from unicodedata import normalize

from uncertainty.images.decoding import is_image_name
from uncertainty.labels.imports.base import Annotation


class ScreenedNames:
    """The names of screened images, and which of them an answer is about.

    >>> names = ScreenedNames(["inc/1.png", "inc/2.png"])
    >>> names.of(Annotation(("1",), "cat")), names.of(Annotation(("x/1.png",), "cat"))
    (None, None)
    >>> ScreenedNames(["1.png"]).of(Annotation(("1",), "cat"))
    '1.png'
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)

    def of(self, row: Annotation) -> str | None:
        """Return the screened image that an answer is about; None where none is, or several could be.

        Its names are tried in turn: exactly, in the other Unicode form, without an ending where the name has none; and
        for a file that a tool renamed when it was uploaded, by its own name without any folder, as far as the tool kept
        it.
        """
        if (exact := next((name for name in row.names if name in self._names), None)) is not None:
            return exact
        if (alike := self._only(self._by_form, map(_form, row.names))) is not None:
            return alike
        bare = [_form(name) for name in row.names if not is_image_name(name)]
        if (whole := self._only(self._by_stem, bare)) is not None:
            return whole
        if not row.uploaded:
            return None
        return self._only(self._by_base, [_form(row.uploaded)]) or self._only(self._by_upload, [_form(row.uploaded)])

    def _only(self, table: dict[str, list[str]], keys: Iterable[str]) -> str | None:
        found = next((table[key] for key in keys if key in table), [])
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_form(self) -> dict[str, list[str]]:
        return _grouped((_form(name), name) for name in self._names)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((_form(str(PurePosixPath(name).with_suffix(""))), name) for name in self._names if name)

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        return _grouped((_form(name.rpartition("/")[2]), name) for name in self._names)

    @cached_property
    def _by_upload(self) -> dict[str, list[str]]:
        return _grouped((_as_uploaded(_form(name.rpartition("/")[2])), name) for name in self._names)


def of_another_folder(met: Sequence[tuple[Annotation, str]]) -> set[int]:
    """Return which answers are about an image of another folder, among those known by the end of an address.

    What stands before the screened name must be the same for all: the commonest counts, and where two are as common,
    none does.

    >>> first, other = (Annotation((f"{folder}/1.png", "1.png"), "a", address=True) for folder in ("last", "new"))
    >>> of_another_folder([(first, "1.png"), (other, "1.png")]) == {0, 1}
    True
    """
    before = {k: _before(row.names, name) for k, (row, name) in enumerate(met) if row.address}
    ranked = Counter(before.values()).most_common(2)
    if len(ranked) < 2:
        return set()
    usual = ranked[0][0] if ranked[0][1] > ranked[1][1] else None
    return {k for k, one in before.items() if one != usual}


def _before(names: Sequence[str], name: str) -> str:
    """Return what stands before the screened name in the longest name of its address that ends so."""
    return next((one for one in names if one.endswith(name)), names[0]).removesuffix(name)


def _as_uploaded(name: str) -> str:
    """Return a file's name as Label Studio keeps it: Django leaves letters, digits, dots, hyphens and underscores.

    >>> _as_uploaded("my photo (1).png")
    'my_photo_1.png'
    """
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def _form(name: str) -> str:
    return normalize("NFC", name)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, name in pairs:
        found.setdefault(key, []).append(name)
    return found
