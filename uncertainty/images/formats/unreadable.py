"""Pictures that nothing here reads: known by their first bytes, so that the error can say what they are."""

from __future__ import annotations

from typing import IO, NoReturn

from uncertainty.errors import ImageError
from uncertainty.images.formats.base import Task

ENDINGS = (
    *("jxl", "jxr", "wdp", "psd", "exr", "hdr", "dds", "ico", "pcx", "sgi", "xcf", "bpg", "fits", "ndpi"),
    *("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "orf", "rw2", "raf", "pef", "srw", "x3f"),
    *("3fr", "dcr", "erf", "iiq", "kdc", "mef", "mos", "mrw", "rwl"),
)
_STARTS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"8BPS": "Photoshop",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"FUJIFILMCCD-RAW": "a camera raw file",
    b"IIRO": "a camera raw file",
    b"IIRS": "a camera raw file",
    b"IIU\0": "a camera raw file",
    b"FOVb": "a camera raw file",
}


def recognises(head: bytes) -> bool:
    """Whether a file is a picture that nothing here reads.

    >>> recognises(b"8BPS and more"), recognises(b"II*\\0\\x10\\0\\0\\0CR\\2\\0"), recognises(b"GIF89a")
    (True, True, False)
    """
    return bool(_name(head))


def _name(head: bytes) -> str:
    raw = (head[:4] == b"II*\0" and head[8:10] == b"CR") or head[4:11] == b"ftypcrx" or head[6:10] == b"HEAP"
    return "a camera raw file" if raw else next((name for start, name in _STARTS.items() if head.startswith(start)), "")


def read(stream: IO[bytes], task: Task) -> NoReturn:
    """Raise ImageError, saying which format it is."""
    raise ImageError(f"is {_name(stream.read(64))}, which is not read; convert it to JPEG, PNG or TIFF")


size = read
