"""Screening on Ray: parts go to workers that hold the network and write them; this process keeps the journal.

A part depends on its images alone, so a worker that is lost, or a machine with all of its own, loses at most the parts
that they were at, which others do. Local engine and Ray write the same parts: what one began the other can finish.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import ArrayItem
from uncertainty.errors import InputError, MissingDependencyError, UncertaintyError
from uncertainty.images.remote import AnyFile
from uncertainty.images.sources import ImageSet
from uncertainty.screening.allocator import keep_freed_memory
from uncertainty.screening.journal import JOURNAL
from uncertainty.screening.part_files import Written
from uncertainty.screening.part_tables import Screen
from uncertainty.screening.ray_actors import ATTEMPTS, MOST_GIVEN_UP, PATIENCE, RayActors, last_line
from uncertainty.screening.remote_journal import RemoteJournal, write_at
from uncertainty.screening.task import Task


@dataclass(frozen=True)
class RayEngine:
    """Has parts judged by Ray actors, each of which loads the screener once; an engine for `screen_into`.

    Screener, model, images and output folder (unless at URLs) must be at the same paths on every machine.

    Parameters
    ----------
    screen : what an actor does with the images of a part.
    actors : how many; default one for each processor, or as many as there are GPUs for.
    gpus_per_actor : may be a fraction; without a device of its own, `screen` then runs on "cuda".
    address : of a Ray cluster; default `RAY_ADDRESS`, or a cluster on this machine that ends with the screening.
    patience : seconds that a cluster may be without a machine for an actor, before the screening ends with an error.

    Raises
    ------
    MissingDependencyError : Ray is not installed.

    """

    screen: Screen
    actors: int | None = None
    gpus_per_actor: float = 0.0
    address: str | None = None
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                f"the engine ray needs {error.name}; pip install 'uncertainty-vision[ray]'"
            ) from error

    def __call__(
        self, images: ImageSet | Sequence[ArrayItem], task: Task, at: AnyFile, parts: Sequence[int]
    ) -> Iterator[Written]:
        """Yield the parts as they are written `at` a folder or URL, in any order.

        Raises InputError: what a worker could not do, parts that ended their workers three times (all others are
        written before), or a cluster that can't go on, with what died in it.
        """
        if not isinstance(images, ImageSet):
            raise InputError("the engine ray screens images in files; write arrays to files, or leave out the engine")
        if not parts:
            return
        given_up: list[int] = []
        with _connected(self.address, self.actors) as ray, self._actors(ray, task, at, len(parts)) as actors:
            for done in actors.work(iter(parts), lambda part: images.cut(task.positions(part))):
                if isinstance(done.answer, Written):
                    yield done.answer
                elif done.answer is not None:
                    raise InputError(done.answer)
                else:
                    given_up.append(done.work)
                    if len(given_up) >= MOST_GIVEN_UP:
                        break
        if given_up:
            raise InputError(_gave_up(given_up, images, task))

    @contextmanager
    def _actors(self, ray: Any, task: Task, at: AnyFile, parts: int) -> Iterator[RayActors]:
        on_gpu = self.gpus_per_actor > 0 and self.screen.device is None
        screen = replace(
            self.screen, folder=self.screen.folder.absolute(), device="cuda" if on_gpu else self.screen.device
        )
        needs = {"num_cpus": 1, "num_gpus": self.gpus_per_actor or None, "max_restarts": 0, "max_task_retries": 0}
        worker = ray.remote(Worker).options(scheduling_strategy="SPREAD", **needs)
        try:
            given = screen, task, at.absolute(), Path.cwd()
            count = self._count(ray, parts)
            actors = RayActors(ray, lambda: worker.remote(*given), count, self._needs, self.patience)
            try:
                yield actors
            finally:
                actors.dismiss()
        except ray.exceptions.RayError as error:
            raise InputError(f"Ray ended the screening ({last_line(error)}); go on with --resume") from error

    @property
    def _needs(self) -> tuple[str, float]:
        return ("GPU", self.gpus_per_actor) if self.gpus_per_actor > 0 else ("CPU", 1.0)

    def _count(self, ray: Any, parts: int) -> int:
        have = ray.cluster_resources()
        kind, each = self._needs
        fit = int(have.get(kind, 0) / each)
        if fit < 1 and self.actors is None:
            raise InputError(f"an actor is to have {each:g} {kind}, the cluster has {have.get(kind, 0):g}; give less")
        return min(self.actors or fit, parts)


class Worker:
    """Judges one part after another with a screener that it loads once, and writes each."""

    def __init__(self, screen: Screen, task: Task, at: AnyFile, home: Path) -> None:
        keep_freed_memory()
        self.screen, self.task, self.at = screen, task, at
        # A model spec may name a module or file in the folder that the user is in.
        if home.is_dir() and home != Path.cwd():
            os.chdir(home)
        if str(home) not in sys.path:
            sys.path.append(str(home))

    def ready(self) -> bool:
        """Say that it has begun."""
        return True

    def judge(self, part: int, images: ImageSet) -> Written | str:
        """Return the part as it was written, or why it was not."""
        try:
            if not self._is_begun:
                return f"{self.at.parent} is not the same folder on {platform.node()}; write to one that is"
            if (own := self.screen.screener.id) != self.task.screen_id:
                raise InputError(f"a worker finds screener {own} at {self.screen.folder}, not {self.task.screen_id}")
            return write_at(self.at, part, self.screen(images), self.task)
        except UncertaintyError as error:
            return f"{error}; what is done is kept, go on with --resume"
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename or self.at}"
            return f"a worker could not go on ({why}); what is done is kept, go on with --resume"

    @cached_property
    def _is_begun(self) -> bool:
        """Whether the screening was begun where this worker sees the folder."""
        if isinstance(self.at, Path):
            return (self.at / JOURNAL).exists()
        return RemoteJournal(self.at).is_begun(self.task)


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
        raise InputError(f"no Ray cluster at {where or 'this machine'} ({last_line(error)})") from error
    try:
        yield ray
    finally:
        ray.shutdown()
