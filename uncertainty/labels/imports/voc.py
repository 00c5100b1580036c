"""Image sets of PASCAL VOC: a list for each class, `ImageSets/Main/cat_val.txt`, of names and 1, -1 or 0."""

from __future__ import annotations

from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.figures import number_of
from uncertainty.images.label_text import of_answers
from uncertainty.images.table_rows import told
from uncertainty.labels.imports.base import Annotation, Annotations
from uncertainty.labels.imports.source import Source

_LISTS = ("ImageSets/Main", "Main", ".")
_ANSWERS = {"1": 1, "-1": 0, "0": None}  # 0 marks what is hard to see: the benchmark does not count it
_FIELDS = 2


def recognises(source: Source) -> bool:
    """Whether a folder has lists of names with one answer each, called by class and part."""
    return source.path.is_dir() and bool(_lists(source.path))


def _lists(folder: Path) -> dict[Path, tuple[str, str]]:
    """Return class and part of each list; {} where there are none."""
    found = (sorted((folder / one).glob("*_*.txt")) for one in _LISTS if (folder / one).is_dir())
    files = next((some for some in found if some), [])
    named = {file: (file.stem.rpartition("_")[0], file.stem.rpartition("_")[2]) for file in files}
    return {file: names for file, names in named.items() if _is_list(file)}


def _is_list(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            words = next(lines, "").split()
    except OSError:
        return False
    return len(words) == _FIELDS and words[1] in _ANSWERS


def read(source: Source) -> Annotations:
    """Read for each image its classes: 1 has it, -1 has it not, 0 is hard to see and no answer.

    Names have no ending; a part, such as train or val, is told where images are of one alone. Of lists `trainval` that
    repeat others nothing is lost. Raises InputError for a line of another form.
    """
    lists = _lists(source.path)
    asked = tuple(dict.fromkeys(name for name, _ in lists.values()))
    given: dict[str, dict[str, int | None]] = {}
    parts: dict[str, str] = {}
    for file, (name, part) in lists.items():
        with told(file):
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if words and (len(words) != _FIELDS or words[1] not in _ANSWERS):
                raise InputError(f"{file}, line {number}, is {line[:60]!r}; it must be a name and 1, -1 or 0")
            if words:
                given.setdefault(words[0], {})[name] = _ANSWERS[words[1]]
                parts[words[0]] = part if part != "trainval" else parts.get(words[0], part)
    labels = {image: of_answers(asked, [answers.get(one) for one in asked]) for image, answers in given.items()}
    rows = tuple(
        Annotation((f"JPEGImages/{image}", image), label) for image, label in labels.items() if label is not None
    )
    without = len(labels) - len(rows)
    notes = (f"{number_of(without, 'image has no answer', 'images have no answer')}, left out",) if without else ()
    return Annotations(rows, notes, {row.names[0]: {"split": parts[row.names[1]]} for row in rows}, asked=asked)
