"""What was written into a folder and of which verdicts, so that nothing else is overwritten and nothing outlives them.

`.uncertainty.json` beside the files holds the hash of each file, or folder of files, as it was written, and of the
verdicts that it tells of. What lies there and is not as it was written is somebody's: a filled column, notes, a file of
the same name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from itertools import count
from pathlib import Path

from uncertainty.errors import InputError
from uncertainty.files import settle, together, write_json

LEDGER = ".uncertainty.json"
TOLD = (
    "ranking.csv", "evaluation.json", "curves.json", "errors.csv", "false_positives.csv", "false_negatives.csv",
    "confused.csv", "per_class.csv", "slices.csv", "label_errors.csv", "labels_kept_apart.csv", "report.html",
    "report_thumbs",
)  # fmt: skip
"""What commands write beside verdicts and of them, unless they are told another name."""
_TOGETHER = "uncertainty"
logger = logging.getLogger("uncertainty")


@dataclass(frozen=True)
class Entry:
    """A file as it was written: its hash, and that of the verdicts (or two of them) that it tells of."""

    blake2b: str
    of: str


def fingerprint(*paths: Path) -> str:
    """Return a hash of files, or of folders with the names and contents in them."""
    return hashlib.blake2b("".join(map(_hash, paths)).encode(), digest_size=16).hexdigest()


def _hash(path: Path) -> str:
    if path.is_dir():
        inside = [[one.relative_to(path).as_posix(), _hash(one)] for one in sorted(path.rglob("*")) if one.is_file()]
        return hashlib.blake2b(json.dumps(inside).encode(), digest_size=16).hexdigest()
    if not path.is_file():  # of a pipe nothing would ever come
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def read_ledger(folder: Path) -> dict[str, Entry]:
    """Return what was written into a folder, by name; nothing where that is not known.

    A name that leads out of the folder was not written by anybody here, and is left out. Raises InputError where the
    ledger could not be written either: a folder has its name.
    """
    if (folder / LEDGER).is_dir():
        raise InputError(
            f"{folder / LEDGER} is a folder, and a file of that name notes what is written here; move it away, or "
            "choose another place"
        )
    try:
        told = json.loads((folder / LEDGER).read_text("utf-8"))["files"] if (folder / LEDGER).is_file() else {}
        known = {name: Entry(str(one["blake2b"]), str(one["of"])) for name, one in told.items()}
        return {name: one for name, one in known.items() if _is_inside(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_inside(name: str) -> bool:
    """Whether a name is that of something that lies in the folder itself, on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def write_ledger(where: Path, folder: Path, files: Mapping[str, Entry]) -> None:
    """Write into `where` what is known of a folder; names that are neither there nor in `where` are left out."""
    there = [name for name in sorted(files) if any(os.path.lexists(at / name) for at in (where, folder))]
    write_json(where / LEDGER, {"files": {name: asdict(files[name]) for name in there}})


def is_ours(path: Path, entry: Entry | None) -> bool:
    """Whether a file is as it was written."""
    try:
        return entry is not None and fingerprint(path) == entry.blake2b
    except OSError:
        return False


def refuse(folder: Path, names: Iterable[str], of: str, *, overwrite: bool = False) -> None:
    """Raise InputError for the first file that holds what was not written there, or what tells of other verdicts."""
    if overwrite:
        return
    known = read_ledger(folder)
    for name in names:
        path, entry = folder / name, known.get(name)
        if not os.path.lexists(path):
            continue
        if not is_ours(path, entry):
            why = "was changed since it was written" if entry else "holds something that was not written here"
        elif entry is not None and entry.of != of:
            why = "tells of another screening"
        else:
            continue
        raise InputError(f"{path} {why}; keep it under another name, write elsewhere, or replace it with --overwrite")


@contextmanager
def written(folder: Path, names: Sequence[str], of: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to write files of these names into, which all appear in `folder` at the end, or none.

    `of` is the fingerprint of the verdicts that they tell of. What an earlier call wrote under these names and this one
    does not is removed. Raises InputError as `refuse` does, and where there is no place.
    """
    with ExitStack() as stack:
        try:
            where = stack.enter_context(together(folder, _TOGETHER))
        except OSError as error:
            raise InputError(
                f"{folder / names[0]} can't be written: {error.strerror or error}; choose another place"
            ) from error
        refuse(folder, names, of, overwrite=overwrite)
        keep_changed(folder, [name for name in names if (folder / name).is_dir()])  # never remove what others put there
        before = read_ledger(folder)
        yield where
        made = [path.name for path in where.iterdir()]
        gone = [name for name in names if name not in made and is_ours(folder / name, before.get(name))]
        write_ledger(where, folder, before | {name: Entry(fingerprint(where / name), of) for name in made})
    for name in gone:
        _remove(folder / name)


def settled(folder: Path) -> None:
    """Put files in place that a process had `written` before it was killed."""
    settle(folder, _TOGETHER)


def set_aside(folder: Path, files: Sequence[str], made: Mapping[str, Entry]) -> None:
    """Let nothing that tells of the verdicts before stay beside those that take their place.

    `files` are the names that a screening may write, `made` what this one has written and is about to put there. Files
    as they were written are removed, changed ones kept under a dated name; those of a screening wait to be replaced.
    """
    known, now = read_ledger(folder), {one.of for one in made.values()}
    before = {known[name].of for name in files if name in known} - now
    told = [name for name, one in known.items() if name not in files and one.of in before]
    old = [*told, *(name for name in TOLD if name not in known)]
    keep_changed(folder, (name for name in [*files, *old] if not is_ours(folder / name, made.get(name))))
    removed = [name for name in old if os.path.lexists(folder / name)]
    for name in removed:
        _remove(folder / name)
    if removed:
        logger.warning("removed, since they told of the verdicts before: %s; make them anew", ", ".join(removed))


def keep_changed(folder: Path, names: Iterable[str]) -> None:
    """Keep under a dated name what was changed since it was written, or was not written here."""
    known = read_ledger(folder)
    for name in names:
        path = folder / name
        if os.path.lexists(path) and not is_ours(path, known.get(name)):
            logger.warning("%s was changed or not written here; it is kept as %s", path, kept_by_date(path).name)


def kept_by_date(path: Path) -> Path:
    """Rename a file or folder: `ranking.csv` becomes `ranking.2026-11-30.csv`; return where it is."""
    for again in count(1):
        number = "" if again == 1 else f"-{again}"
        kept = path.with_name(f"{path.stem}.{date.today().isoformat()}{number}{path.suffix}")
        if not os.path.lexists(kept):
            break
    os.rename(path, kept)
    return kept


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
