"""How this process gets its memory: on Linux, buffers that a network frees are kept for the next batch."""

from __future__ import annotations

import os
import sys

# malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1
_POOL = "ARROW_DEFAULT_MEMORY_POOL"


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed instead of giving it back to the system; return whether it did.

    A network frees its activations layer by layer. Those above 32 MB glibc gives back at once, and the system fills
    each new one with zeros again, page by page: on a CPU that was up to 60 % of a forward pass, see
    `benchmarks/README.md`. The price is that the process stays as large as it once was. It is set for the whole
    process, so the command line does it and the library leaves it to you. Nothing is done where there is no glibc, or
    where the environment says how malloc is to work (MALLOC_..., GLIBC_TUNABLES, LD_PRELOAD).

    By default pyarrow brings an allocator of its own, which keeps for itself what each of its threads has freed. It
    chooses while it is loaded, so it is told before, unless the environment says which (ARROW_DEFAULT_MEMORY_POOL).
    """
    if not sys.platform.startswith("linux") or any(map(_is_about_malloc, os.environ)):
        return False
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    kept = set_option is not None and bool(set_option(_MMAP_MAX, 0) and set_option(_TRIM_THRESHOLD, _NEVER))
    if kept:
        os.environ.setdefault(_POOL, "system")
    return kept


def give_back_freed_memory() -> None:
    """Give the system what was kept and is free, after work that takes much and comes seldom; without glibc nothing."""
    import ctypes

    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)


def _is_about_malloc(variable: str) -> bool:
    """Whether an environment variable chooses or sets an allocator.

    >>> [name for name in ("PATH", "MALLOC_ARENA_MAX", "LD_PRELOAD") if _is_about_malloc(name)]
    ['MALLOC_ARENA_MAX', 'LD_PRELOAD']
    """
    return variable.startswith("MALLOC_") or variable in ("GLIBC_TUNABLES", "LD_PRELOAD")
