"""What makes a command begin sooner: what nobody asked for stays out, and libraries load without garbage collection."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any

from typer.core import TyperCommand

_PANDAS = "pandas"


class Command(TyperCommand):
    """A command whose tables are made without pandas."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        leave_pandas_out()
        return super().invoke(ctx)


@contextmanager
def loading() -> Iterator[None]:
    """Collect no garbage while libraries load: they make many objects that stay, looked through again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def leave_pandas_out() -> None:
    """Let pyarrow find no pandas until somebody imports it.

    For each array that it makes pyarrow asks whether it was given a column of pandas, and imports pandas to ask, which
    takes as long as many images. Where nobody has imported pandas, nothing is a column of it.
    """
    if _PANDAS in sys.modules:
        return
    import pyarrow as pa

    if (shim := getattr(pa.lib, "_pandas_api", None)) is not None and not any(
        isinstance(finder, _Pandas) for finder in sys.meta_path
    ):
        finder = _Pandas(shim)
        sys.meta_path.insert(0, finder)
        pa.array([])  # looks for pandas, once
        finder.hides = False


class _Pandas(MetaPathFinder):
    """Hides pandas while pyarrow looks for it, and lets it look again once pandas is imported."""

    def __init__(self, shim: Any) -> None:
        self.shim, self.hides = shim, True

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Find nothing; other finders come after."""
        if fullname != _PANDAS:
            return
        if self.hides:
            raise ModuleNotFoundError(f"No module named {_PANDAS!r}", name=_PANDAS)
        sys.meta_path.remove(self)
        self.shim.__init__()
