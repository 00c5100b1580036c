"""The folder of a screening at a URL, copied here to be worked in; what changed goes back, in an order that can't lie.

Whoever is killed while it goes back leaves whole objects, none of which tells of verdicts that are not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from uncertainty.errors import InputError, UncertaintyError
from uncertainty.images.remote import AnyFile, RemotePath
from uncertainty.storage.objects import download, remove, remove_below, sizes, upload, writable
from uncertainty.verdicts import FORMATS, SUMMARY, folder_of
from uncertainty.written import LEDGER, TOLD, fingerprint, read_ledger

R = TypeVar("R")
_AT_ONCE = 8
_FOLDERS = tuple(name for name in TOLD if "." not in name)
_VERDICTS = tuple(f"verdicts{ending}" for ending in FORMATS)
_USUAL = {LEDGER, SUMMARY, *TOLD, *_VERDICTS}


@contextmanager
def mirrored(at: RemotePath, more: Iterable[str] = ()) -> Iterator[Path]:
    """Yield a folder here with what a screening and the commands after it wrote at a URL, and files named `more`.

    What is new or changed in it when the block ends well is written back, what is gone is removed there. In errors the
    folder is called by its URL.
    """
    with _standing_for(writable(at)) as here:
        before = _fetch(at, here, more)
        yield here
        _put_back(at, here, before)


@contextmanager
def read_only(out: AnyFile) -> Iterator[Path]:
    """Yield where the verdicts of a screening, or one table of it, can be read: a copy here where they are at a URL.

    Nothing goes back. In errors what was copied is called by its URL.
    """
    if isinstance(out, Path):
        yield out
        return
    folder = out.parent if out.suffix in FORMATS else out
    with _standing_for(folder) as here:
        wanted = {SUMMARY, *(_VERDICTS if folder is out else (out.name,))}
        side_by_side(_copied, [(folder / name, here / name) for name in sizes(folder) if name in wanted])
        yield here if folder is out else here / out.name


@contextmanager
def _standing_for(at: RemotePath) -> Iterator[Path]:
    """Yield an empty folder here that errors call by its URL."""
    with TemporaryDirectory(prefix="uncertainty-") as scratch:
        here = Path(scratch) / (at.name or "out")
        here.mkdir()
        try:
            yield here
        except UncertaintyError as error:
            raise type(error)(str(error).replace(str(here), str(at))) from error


def _fetch(at: RemotePath, here: Path, more: Iterable[str]) -> dict[str, str]:
    """Copy what is there; return fingerprints by name."""
    there = sizes(at)
    if LEDGER in there:
        download(at / LEDGER, here / LEDGER)
    wanted = [name for name in there if name in {*_USUAL, *more, *read_ledger(here)} - {LEDGER}]
    pairs = [(at / name, here / name) for name in wanted]
    for folder in _FOLDERS:
        pairs += [(at / folder / name, here / folder / name) for name in sizes(at / folder)]
    side_by_side(_copied, pairs)
    return _fingerprints(here)


def _copied(there: RemotePath, here: Path) -> None:
    here.parent.mkdir(exist_ok=True)
    download(there, here)


def _fingerprints(here: Path) -> dict[str, str]:
    files = sorted(file for file in here.rglob("*") if file.is_file())
    return {name: fingerprint(here / name) for name in (file.relative_to(here).as_posix() for file in files)}


def _put_back(at: RemotePath, here: Path, before: dict[str, str]) -> None:
    now = _fingerprints(here)
    changed = [name for name, found in now.items() if before.get(name) != found]
    if not changed and now.keys() == before.keys():
        return
    # The summary goes first and comes last: with it a screening counts as finished.
    stale = [name for name in before if name in changed or name not in now]
    for name in sorted(stale, key=lambda name: name != SUMMARY):
        if name != LEDGER:
            remove(at / name)
    if LEDGER in changed:
        upload(here / LEDGER, at / LEDGER)
    rest = [name for name in changed if name not in (LEDGER, SUMMARY)]
    side_by_side(upload, [(here / name, at / name) for name in rest])
    if SUMMARY in changed:
        upload(here / SUMMARY, at / SUMMARY)
    for folder in _FOLDERS:
        if not (here / folder).exists() and any(name.startswith(f"{folder}/") for name in before):
            remove_below(at / folder)


def folder_at(out: AnyFile) -> AnyFile:
    """Return the output folder of a screening, given it or a table in it, here or at a URL.

    >>> str(folder_at(RemotePath.parse("s3://bucket/out/ranking.csv")))
    's3://bucket/out'
    """
    if isinstance(out, Path):
        return folder_of(out)
    return out.parent if out.suffix in FORMATS else out


def side_by_side(act: Callable[..., object], some: Sequence[tuple[Any, ...]]) -> None:
    """Do something with each, a few at a time; the first error is raised."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda one: act(*one), some))


def at_urls(*names: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let a function of local folders take URLs for the parameters of these names, and tell URLs in what it returns.

    The first of `names` is the folder of a screening, or a table in it; further ones are files that may lie there too.
    """

    def decorated(function: Callable[..., R]) -> Callable[..., R]:
        signature = inspect.signature(function)

        @wraps(function)
        def anywhere(*args: Any, **kwargs: Any) -> R:
            given = signature.bind(*args, **kwargs)
            with _localised(given.arguments, names) as (here, at):
                return _told(function(*given.args, **given.kwargs), here, at)

        return anywhere

    return decorated


def from_urls(*names: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let a function that reads verdicts of local folders, or tables, take URLs for the parameters of these names."""

    def decorated(function: Callable[..., R]) -> Callable[..., R]:
        signature = inspect.signature(function)

        @wraps(function)
        def anywhere(*args: Any, **kwargs: Any) -> R:
            given = signature.bind(*args, **kwargs)
            with ExitStack() as copies:
                for name in names:
                    given.arguments[name] = copies.enter_context(read_only(given.arguments[name]))
                return function(*given.args, **given.kwargs)

        return anywhere

    return decorated


@contextmanager
def _localised(given: dict[str, Any], names: tuple[str, ...]) -> Iterator[tuple[Path | None, Any]]:
    """Put local paths in the place of URLs; yield the folder here and there, if it is at one."""
    out, files = given[names[0]], {name: given.get(name) for name in names[1:]}
    folder = folder_at(out)
    inside = {name: file for name, file in files.items() if isinstance(file, RemotePath)}
    for file in inside.values():
        if file.parent != folder:
            raise InputError(f"{file} does not lie in {out}; write there, or to a file of this machine")
    if not isinstance(folder, RemotePath):
        yield None, None
        return
    with mirrored(folder, {out.name, *(file.name for file in inside.values())}) as here:
        given[names[0]] = here if folder == out else here / out.name
        given |= {name: here / file.name for name, file in inside.items()}
        yield here, folder


def _told(result: R, here: Path | None, at: RemotePath) -> R:
    """Return a result with URLs in the place of paths here."""
    if here is None or not is_dataclass(result) or isinstance(result, type):
        return result
    paths = {field.name: getattr(result, field.name) for field in fields(result)}
    local = {name: one for name, one in paths.items() if isinstance(one, Path) and one.is_relative_to(here)}
    return replace(result, **{name: at / one.relative_to(here).as_posix() for name, one in local.items()})
