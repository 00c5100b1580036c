"""Screening on Ray: parts go to workers that hold the network and write them; this process keeps the journal.

A part depends on its images alone, so a worker that is lost loses at most the part it was at, which Ray gives to
another. Local engine and Ray write the same parts: what one began the other can finish.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import ArrayItem
from uncertainty.errors import InputError, MissingDependencyError, UncertaintyError
from uncertainty.images.sources import ImageSet
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.journal import JOURNAL, Task, Written, write_part
from uncertainty.screening.part_tables import Screen

ATTEMPTS = 3
"""So often a part may end the process of its worker."""
_MOST_GIVEN_UP = 3
_PARTS_AT_ONCE = 4096  # their names are held twice


@dataclass(frozen=True)
class RayEngine:
    """Has parts judged by Ray actors, each of which loads the screener once; an engine for `screen_into`.

    Screener, model, images (unless at URLs) and output folder must be at the same paths on every machine.

    Parameters
    ----------
    screen : what an actor does with the images of a part.
    actors : how many; default one for each processor, or as many as there are GPUs for.
    gpus_per_actor : may be a fraction; without a device of its own, `screen` then runs on "cuda".
    address : of a Ray cluster; default `RAY_ADDRESS`, or a cluster on this machine that ends with the screening.

    Raises
    ------
    MissingDependencyError : Ray is not installed.

    """

    screen: Screen
    actors: int | None = None
    gpus_per_actor: float = 0.0
    address: str | None = None

    def __post_init__(self) -> None:
        try:
            import ray.data  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                f"the engine ray needs {error.name}; pip install 'uncertainty-vision[ray]'"
            ) from error

    def __call__(
        self, images: ImageSet | Sequence[ArrayItem], task: Task, folder: Path, parts: Sequence[int]
    ) -> Iterator[Written]:
        """Yield the parts as they are written, in any order.

        Raises InputError: what a worker could not do, or parts that ended their workers three times; all others are
        written before.
        """
        if not isinstance(images, ImageSet):
            raise InputError("the engine ray screens images in files; write arrays to files, or leave out the engine")
        if not parts:
            return
        given_up: list[int] = []
        with _connected(self.address, self.actors) as ray, _quiet(ray):
            left = iter(parts)
            while some := list(islice(left, _PARTS_AT_ONCE)):
                for row in self._rows(ray, [(part, images.cut(task.positions(part))) for part in some], task, folder):
                    if row["failure"]:
                        raise InputError(row["failure"])
                    if row["given_up"]:
                        given_up.append(row["part"])
                        if len(given_up) >= _MOST_GIVEN_UP:
                            raise InputError(_gave_up(given_up, images, task))
                    else:
                        yield Written(row["part"], row["rows"], row["size"], row["blake2b"])
        if given_up:
            raise InputError(_gave_up(given_up, images, task))

    def _rows(
        self, ray: Any, portions: Sequence[tuple[int, ImageSet]], task: Task, folder: Path
    ) -> Iterator[dict[str, Any]]:
        actors = self._actors(ray, len(portions))
        data = ray.data.from_items(
            [{"part": part, "images": images} for part, images in portions], override_num_blocks=len(portions)
        )
        on_gpu = self.gpus_per_actor > 0 and self.screen.device is None
        screen = replace(
            self.screen, folder=self.screen.folder.absolute(), device="cuda" if on_gpu else self.screen.device
        )
        done = data.map_batches(
            Worker,
            fn_constructor_args=(screen, task, folder.absolute(), Path.cwd()),
            batch_size=1,
            batch_format="numpy",
            # One at a time: a part that ends the process must not take others with it.
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=self.gpus_per_actor or None,
        )
        try:
            yield from done.iter_rows()
        except ray.exceptions.RayError as error:
            raise InputError(f"Ray ended the screening ({_last_line(error)}); go on with --resume") from error

    def _actors(self, ray: Any, parts: int) -> int:
        have = ray.cluster_resources()
        kind, each = ("GPU", self.gpus_per_actor) if self.gpus_per_actor > 0 else ("CPU", 1.0)
        fit = int(have.get(kind, 0) / each)
        if fit < 1 and self.actors is None:
            raise InputError(f"an actor is to have {each:g} {kind}, the cluster has {have.get(kind, 0):g}; give less")
        return min(self.actors or fit, parts)


class Worker:
    """Judges one part after another with a screener that it loads once, and writes each."""

    def __init__(self, screen: Screen, task: Task, folder: Path, home: Path) -> None:
        keep_freed_memory()
        self.screen, self.task, self.folder = screen, task, folder
        # A model spec may name a module or file in the folder that the user is in.
        if home.is_dir() and home != Path.cwd():
            os.chdir(home)
        if str(home) not in sys.path:
            sys.path.append(str(home))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Return one row: the part as it was written, or why it was not."""
        part, images = int(batch["part"][0]), batch["images"][0]
        row: dict[str, Any] = {"part": part, "rows": 0, "size": 0, "blake2b": "", "failure": "", "given_up": False}
        attempts = [self.folder / f".attempt-{part:08d}-{i + 1}" for i in range(ATTEMPTS)]
        if not (self.folder / JOURNAL).exists():
            row["failure"] = f"{self.folder.parent} is not the same folder on {platform.node()}; write to one that is"
        elif not _begin(attempts):
            row["given_up"] = True
        else:
            row |= self._written(part, images)
            for attempt in attempts:
                attempt.unlink(missing_ok=True)
        return {name: [value] for name, value in row.items()}

    def _written(self, part: int, images: ImageSet) -> dict[str, Any]:
        try:
            if (own := self.screen.screener.id) != self.task.screen_id:
                raise InputError(f"a worker finds screener {own} at {self.screen.folder}, not {self.task.screen_id}")
            written = write_part(self.folder, part, self.screen(images))
        except UncertaintyError as error:
            return {"failure": f"{error}; what is done is kept, go on with --resume"}
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename or self.folder}"
            return {"failure": f"a worker could not go on ({why}); what is done is kept, go on with --resume"}
        return {"rows": written.rows, "size": written.size, "blake2b": written.blake2b}


def _begin(attempts: Sequence[Path]) -> bool:
    """Note an attempt; False where there were as many as there may be.

    Hidden files in the folder of the parts: whoever opens it the next time removes them.
    """
    for attempt in attempts:
        try:
            attempt.open("x").close()
        except FileExistsError:
            continue
        return True
    return False


def _gave_up(given_up: Sequence[int], images: ImageSet, task: Task) -> str:
    rows = task.positions(given_up[0])
    first, last = images.names[rows.start], images.names[rows.stop - 1]
    which = f"part {given_up[0]}" if len(given_up) == 1 else f"parts {', '.join(map(str, sorted(given_up)))}"
    return (
        f"{which} ended the process of a worker {ATTEMPTS} times; in part {given_up[0]} lie images {rows.start + 1} to "
        f"{rows.stop}, {first!r} to {last!r}; the other parts are kept: give workers more memory, or take away the "
        "file that does it (it then counts as unreadable), and go on with --resume"
    )


@contextmanager
def _connected(address: str | None, actors: int | None) -> Iterator[Any]:
    """Connect to a cluster, or begin one on this machine; one that is connected already is used and left alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        yield ray
        return
    where = address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {} if where else {"num_cpus": actors, "include_dashboard": False}
    try:
        ray.init(address=where or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster at {where or 'this machine'} ({_last_line(error)})") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Neither progress bars nor plans: the caller shows how far the screening is."""
    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        context.enable_progress_bars = before[0]
        log.setLevel(before[1])


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
