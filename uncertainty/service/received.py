"""From what a request brings to images: its raw body, the files of a form, or URLs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from uncertainty.errors import in_one_line, printable
from uncertainty.images.decoding import digest
from uncertainty.service.fetching import shown
from uncertainty.service.problems import Refused
from uncertainty.service.settings import ServiceSettings

_LONGEST_NAME = 255
_FIELD = 1 << 16
_RAW = ("application/octet-stream", "image/")
_FORM, _JSON = "multipart/form-data", "application/json"
_ACCEPTED = "send image/..., application/octet-stream, multipart/form-data or application/json with urls"
_URLS = 'send {"urls": ["https://...", ...]}'
_AS_FORMS_ARE = "let a library write it, or curl -F images=@a.png"


class _Form(MultiPartParser):
    """The parser of forms, which keeps files in memory: the body is bounded, and a disk may be full.

    A form without an end is an error, where the parser would leave out the last file and say nothing.
    """

    spool_max_size = 1 << 40
    whole = False

    def on_end(self) -> None:
        """Note that the last boundary has come."""
        self.whole = True

    async def parse(self) -> FormData:
        """Return the parts of the form; MultiPartException for none that is whole, with all files closed."""
        self.stream = self._to_its_end(self.stream)
        return await super().parse()

    async def _to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self.whole:
            raise MultiPartException("it has no end: its last boundary did not come")


async def parts_of(request: Request, settings: ServiceSettings, name: str | None) -> list[tuple[str, bytes | str]]:
    """Return the name and the bytes, or the URL, of each image that a request brings.

    `name` is that of an image that is the body itself; by default the digest of its bytes. Refused: 400 for a body that
    is not what it says, 403 for URLs where they are not allowed, 413 for too many, 415 for another kind of body, 422
    for none and for a name that can't be one of a file below a folder.
    """
    if codings := _codings(request):
        raise Refused(415, "unknown_coding", f"send the body as it is, not as {printable(codings[0])[:50]}")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    found: list[tuple[str, bytes | str]]
    if kind == _FORM:
        found = list(await _files(request, settings.limits.images))
    elif kind == _JSON:
        found = [(shown(url)[:_LONGEST_NAME], url) for url in _urls(await request.body(), settings)]
    elif kind.startswith(_RAW):
        body = await request.body()
        found = [(name or digest(body), body)]
    else:
        raise Refused(415, "unknown_body", _ACCEPTED)
    if not found:
        raise Refused(422, "no_images", "the request holds no image")
    if len(found) > settings.limits.images:
        raise too_many(settings.limits.images)
    return [(checked_name(one), data) for one, data in found]


def _codings(request: Request) -> list[str]:
    """Return what was done to a body before it was sent, of all lines that tell; identity is nothing."""
    named = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    return [one for one in map(str.strip, named) if one not in ("", "identity")]


def too_many(most: int) -> Refused:
    """Return what more images than a request may have are answered with."""
    return Refused(413, "too_many_images", f"a request may have {most} images")


async def _files(request: Request, most: int) -> list[tuple[str, bytes]]:
    parser = _Form(request.headers, request.stream(), max_files=most, max_fields=most, max_part_size=_FIELD)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            raise too_many(most) from error
        why = printable(error.message)[:200].rstrip(".")
        raise Refused(400, "bad_form", f"the form can't be read ({why}); {_AS_FORMS_ARE}") from error
    try:
        files = [value for _, value in form.multi_items()]
        if not all(isinstance(one, UploadFile) and one.filename for one in files):
            raise Refused(422, "no_file_name", "each part of the form must be a file with a file name")
        return [(str(one.filename), await one.read()) for one in files if isinstance(one, UploadFile)]
    finally:
        await form.close()


def _urls(body: bytes, settings: ServiceSettings) -> list[str]:
    try:
        found: Any = json.loads(body, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        why = printable(in_one_line(error))[:100]
        raise Refused(400, "bad_json", f"the body is not JSON ({why}); {_URLS}") from error
    urls = found.get("urls") if isinstance(found, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise Refused(422, "no_urls", _URLS)
    if others := sorted(found.keys() - {"urls"}):
        raise Refused(422, "unknown_field", f"nothing is done with {printable(others[0])[:50]!r}; {_URLS} alone")
    if not settings.allow_urls:
        raise Refused(403, "urls_not_allowed", "this service fetches no URLs; start it with --allow-urls")
    return urls


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def checked_name(name: str) -> str:
    """Return a name if it can be one of a file below a folder; Refused otherwise, since tables name files by it.

    >>> checked_name("roof/a 1.jpg"), checked_name("https://example.org/1.jpg")
    ('roof/a 1.jpg', 'https://example.org/1.jpg')
    >>> checked_name("../a.jpg")
    Traceback (most recent call last):
    uncertainty.service.problems.Refused: 422: a file name must be that of a file below a folder, such as ...
    """
    url = name.startswith(("http://", "https://"))
    bare = name.partition("://")[2] if url else name
    odd = not bare.isprintable() or "\\" in bare or bare.startswith(("/", "~")) or bare[1:2] == ":"
    none = {"..", "."} if url else {"..", ".", ""}
    if odd or not bare.strip() or none & set(bare.split("/")) or len(name.encode()) > _LONGEST_NAME:
        raise Refused(
            422,
            "bad_name",
            "a file name must be that of a file below a folder, such as roof/1.jpg; without '..', backslashes and "
            f"signs that can't be seen, and of at most {_LONGEST_NAME} bytes",
        )
    return name
