"""Files at URLs, as far as reading images needs them: s3, gs and hdfs by pyarrow.fs, all others by fsspec."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from uncertainty.errors import ImageError, InputError, in_one_line

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/?]*)([^?]*)(?:\?(.*))?", re.DOTALL)
# Not abfs: Azure's library ends the process where it finds no credentials.
_OF_ARROW = ("s3", "gs", "gcs", "hdfs", "viewfs")
_SECRETS = re.compile(r"(?i)(?:key|secret|token|password|sas|sig)[^=&]*=([^&]+)")
_ATTEMPTS, _FIRST_PAUSE = 3, 0.5
_LONGEST_REASON = 120
_CREDENTIALS = "the store does not take these credentials; see to them, and to what they may do"
_LASTING = {
    "NO_SUCH_BUCKET": "there is no such bucket; make it first, or look at how its name is written",
    **dict.fromkeys(("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH"), _CREDENTIALS),
}
"""What another attempt would not mend, by the word that a store has for it."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class RemotePath:
    """A file or folder at a URL; it has what readers of this package use of `pathlib.Path`.

    >>> folder = RemotePath.parse("s3://bucket/photos?region=eu-west-1")
    >>> str(folder / "roof/1.jpg"), (folder / "1.jpg").suffix, (folder / "1.jpg").parent == folder
    ('s3://bucket/photos/roof/1.jpg', '.jpg', True)

    What is printed leaves out the query, and a key and secret before the `@`:

    >>> str(RemotePath.parse("s3://key:secret@bucket/1.jpg"))
    's3://bucket/1.jpg'
    """

    scheme: str
    authority: str = field(repr=False)
    path: str
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> RemotePath:
        """Take a URL apart; its path is taken as it stands, so write a space as a space."""
        found = _URL.fullmatch(url)
        if found is None:
            raise InputError(f"{url!r} is not a URL; write scheme://place/path")
        scheme, authority, path, query = found.groups(default="")
        return cls(scheme.lower(), authority, path.rstrip("/"), query)

    def __str__(self) -> str:
        user, at, host = self.authority.rpartition("@")
        return f"{self.scheme}://{host if ':' in user else user + at + host}{self.path}"

    def __truediv__(self, name: str) -> RemotePath:
        return replace(self, path=f"{self.path}/{name}")

    @property
    def url(self) -> str:
        """All of it, secrets included."""
        return f"{self._place}{self.path}{'?' * bool(self.query)}{self.query}"

    @property
    def _place(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        """The ending of the name."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> RemotePath:
        """The folder that it lies in."""
        return replace(self, path=self.path.rpartition("/")[0])

    def absolute(self) -> RemotePath:
        """Return itself, as a path would its whole self."""
        return self

    def open(self) -> Any:
        """Return a `pyarrow.NativeFile`; InputError where there is none or it can't be reached."""
        try:
            return self.attempt(lambda system, path: system.open_input_file(path))
        except ImageError as error:
            raise InputError(f"{self} {error}") from error

    def read_bytes(self) -> bytes:
        """Return what the file holds.

        Raises ImageError where it does not exist or may not be read. What may pass, such as a network that is down, is
        tried three times and then an InputError: it must not look as if the image were unreadable.
        """
        return bytes(self.attempt(_contents))

    def files(self) -> list[str]:
        """Return the names of all files below a folder, relative to it, sorted, hidden ones skipped; [] for none."""

        def listed(system: Any, path: str) -> list[str]:
            from pyarrow.fs import FileSelector, FileType

            found = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
            below = len(path.rstrip("/")) + 1
            names = [one.path[below:] for one in found if one.type == FileType.File]
            return sorted(name for name in names if not any(part.startswith(".") for part in name.split("/")))

        return self.attempt(listed)

    def attempt(self, act: Callable[[Any, str], _Answer], what: str = "read") -> _Answer:
        """Return what `act` makes of the file system and the path in it; `what` it does to the file, for errors.

        Errors are those of `read_bytes`; none quotes a key or secret of the URL.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return act(*self._found())
            except FileNotFoundError as error:
                raise ImageError("does not exist") from error
            except PermissionError as error:
                raise ImageError(f"can't be {what} (permission denied)") from error
            except InputError:
                raise
            except Exception as error:  # each file system has errors of its own
                if why := next((told for word, told in _LASTING.items() if f"AWS Error {word} " in str(error)), None):
                    raise InputError(f"{self} can't be {what} ({why})") from error
                if attempt == _ATTEMPTS - 1:
                    raise InputError(f"{self} can't be {what} ({self._plain(error)})") from error
            time.sleep(_FIRST_PAUSE * 2**attempt)
        raise InputError(f"{self} can't be {what}")

    def _plain(self, error: Exception) -> str:
        """Return what an error says, without what this URL does not show of itself."""
        user, _, _ = self.authority.rpartition("@")
        hidden = [user, *user.split(":")[1:], self.query, *_SECRETS.findall(self.query)]
        told = in_one_line(error, 10 * _LONGEST_REASON)
        for secret in sorted((one for one in hidden if one), key=len, reverse=True):
            told = told.replace(secret, "...")
        return told[:_LONGEST_REASON]

    def _found(self) -> tuple[Any, str]:
        if self.scheme in _OF_ARROW:
            system, root = _arrow_system(self._place, self.query)
            return system, root + self.path
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        system, path = _fsspec_system(self)
        return PyFileSystem(FSSpecHandler(system)), path


AnyFile = Path | RemotePath


def located(text: str | os.PathLike[str]) -> AnyFile:
    """Return where a path or URL points to; file:// is a path like any other.

    >>> located("photos/1.jpg"), located("file:///tmp/a%20b.jpg"), str(located("gs://bucket/1.jpg"))
    (PosixPath('photos/1.jpg'), PosixPath('/tmp/a b.jpg'), 'gs://bucket/1.jpg')
    """
    if not is_url(text):
        return Path(text)
    if str(text).lower().startswith("file://"):
        try:
            return Path(unquote(urlsplit(str(text)).path))
        except ValueError as error:
            raise InputError(f"{str(text)!r} is not a URL ({error})") from error
    return RemotePath.parse(str(text))


def is_url(text: str | os.PathLike[str]) -> bool:
    """Whether a text is a URL rather than a path.

    >>> is_url("s3://bucket/1.jpg"), is_url("s3:/bucket/1.jpg"), is_url("C://photos")
    (True, False, False)
    """
    return _URL.fullmatch(os.fspath(text)) is not None


def below(folder: AnyFile, name: str) -> AnyFile:
    """Return the file of this name in a folder; a URL or an absolute path stands for itself.

    >>> str(below(RemotePath.parse("s3://bucket/a"), "b/1.jpg")), str(below(Path("a"), "gs://other/1.jpg"))
    ('s3://bucket/a/b/1.jpg', 'gs://other/1.jpg')
    """
    return located(name) if is_url(name) else folder / name


def opened(path: AnyFile) -> Any:
    """Open a file to read its bytes."""
    return path.open() if isinstance(path, RemotePath) else path.open("rb")


def size_of(path: AnyFile) -> int:
    """Return how many bytes a file has."""
    if isinstance(path, Path):
        return path.stat().st_size
    with path.open() as file:
        return int(file.size())


def _contents(system: Any, path: str) -> bytes:
    with system.open_input_file(path) as file:
        return bytes(file.read())


# Finding the region of a bucket costs a request, so a file system is kept for each bucket.
@lru_cache(maxsize=64)
def _arrow_system(place: str, query: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    system, root = FileSystem.from_uri(f"{place}/{'?' * bool(query)}{query}")
    return system, root.rstrip("/")


def _fsspec_system(where: RemotePath) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(where.url)
    except (ImportError, ValueError) as error:
        why = in_one_line(error, _LONGEST_REASON)
        raise InputError(f"{where} can't be opened ({why}); is the package for {where.scheme}:// installed?") from error
    return system, str(path)
