"""From images and a saved screener to the folder of a screening; memory stays flat."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from uncertainty.brief import Brief
from uncertainty.classifiers.base import ArrayItem, Images
from uncertainty.classifiers.image_loader import Items
from uncertainty.classifiers.progress import Advance, Progress, silent
from uncertainty.defaults import BATCH_SIZE, WORKERS
from uncertainty.errors import InputError
from uncertainty.images.data_sets import StreamedImages, kind_of
from uncertainty.images.manifests import Columns
from uncertainty.images.remote import AnyFile
from uncertainty.images.sources import ImageSet, find_images, metadata_of
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.output_tables.spec import is_table
from uncertainty.screener import Screener
from uncertainty.screener.batch_level import wanted
from uncertainty.screener.from_tables import fitting, items_of
from uncertainty.screening.journal import Parts, clear, in_progress, opened, writing
from uncertainty.screening.part_files import Written
from uncertainty.screening.part_tables import Screen, part_tables, task_of
from uncertainty.screening.saved_screener import SavedScreener, with_held_networks
from uncertainty.screening.screening_at_url import Place, screened_at
from uncertainty.screening.second_pass import FILES, finish
from uncertainty.screening.task import ROWS_IN_A_PART, Task
from uncertainty.verdicts import FORMATS, read_summary
from uncertainty.written import is_ours, read_ledger

TASK = "task"
"""In the summary: what was done."""
ADAPTED = ", adapted to the batch"
"""Behind the policy of a task whose p_wrong is."""
Engine = Callable[[Any, Task, AnyFile, Sequence[int]], Iterable[Written]]
"""(an ImageSet or items, task, folder or URL of parts, parts that are missing) to what was written, in any order."""


@dataclass(frozen=True)
class ScreenSettings:
    """How images are screened and what is written of them.

    Parameters
    ----------
    ending : of the file of verdicts: .parquet, .csv or .jsonl.
    features : also write `features.parquet`: the content digest of each image, a thumbnail, and the classifier's
        features at length 1 (float16), where it has any.
    batch_size : images in one forward pass.
    workers : threads that decode images, in each process that does.
    overwrite : whether a finished screening of something else may be replaced.
    name_column : that of a manifest with the file names, where it is called otherwise.
    adapt : "batch", and p_wrong fits the shares of these images, see `screener.batch_level`; None: each on its own.

    """

    ending: str = ".parquet"
    features: bool = True
    batch_size: int = BATCH_SIZE
    workers: int = WORKERS
    overwrite: bool = False
    name_column: str | None = None
    adapt: str | None = None

    def __post_init__(self) -> None:
        if self.ending not in FORMATS:
            raise InputError(f"format {self.ending!r} is not one of {', '.join(FORMATS)}")
        if self.adapt is not None and not self.features:
            raise InputError("to adapt p_wrong to the batch takes what is kept of each image; leave --no-features out")


@dataclass(frozen=True)
class OnRay:
    """Where Ray does the work; None is what `screening.ray_engine.RayEngine` takes by itself."""

    actors: int | None = None
    gpus_per_actor: float | None = None
    address: str | None = None


@dataclass(frozen=True, repr=False)
class Screening(Brief):
    """What a screening ended with; `finished_before` says that it had ended already, and nothing was done."""

    summary: dict[str, Any]
    screener: Screener
    finished_before: bool


def opened_input(images: str, name_column: str | None = None) -> ImageSet | OutputTable:
    """Find the images of an image, a folder, a manifest or Parquet files, or open a table of outputs."""
    columns = Columns(name_column)
    return OutputTable.open(images, columns) if is_table(images) else find_images(images, columns)


def screen_folder(
    screener: SavedScreener,
    images: str,
    out: AnyFile,
    settings: ScreenSettings = ScreenSettings(),
    *,
    ray: OnRay | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> Screening:
    """Screen an image, a folder, a manifest or Parquet files, at a path or URL, by a saved screener; see `screen_into`.

    Or `table:FILE`, a table of outputs, by a screener that was fitted on such tables; no network is loaded then.
    With `ray` the parts are judged there, and the network is loaded there alone.
    """
    with screened_at(out) as place:
        if is_table(images):
            _refuse_network(screener, ray)
            judge, engine = screener.load_alone(), None
        else:
            engine = None if ray is None else _ray_engine(screener, settings, ray)
            judge = screener.load() if ray is None else screener.load_for_workers()
        found = opened_input(images, settings.name_column)
        finished_before = resume and finished_summary(place.folder) is not None
        own = with_held_networks(judge)  # nobody else has them until this returns
        with progress("screening", len(found)) as advance:
            summary = _screened(place, own, found, settings, resume=resume, progress=advance, engine=engine)
    return Screening(summary, judge, finished_before)


def _refuse_network(screener: SavedScreener, ray: OnRay | None) -> None:
    for option, given in {"--model": screener.model, "--embedder": screener.embedder, "--engine ray": ray}.items():
        if given is not None:
            raise InputError(f"{option} is for images; a table of outputs is judged without a network, leave it out")


def refuse_ray(**given: Any) -> None:
    """Raise InputError for options of Ray where it is not asked for."""
    for name, value in given.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {value} is for --engine ray; add that, or leave it out")


def _ray_engine(screener: SavedScreener, settings: ScreenSettings, ray: OnRay) -> Engine:
    from uncertainty.screening.ray_engine import RayEngine

    part = Screen(
        **vars(screener),
        batch_size=settings.batch_size,
        features=settings.features,
        options={"workers": settings.workers},
    )
    return RayEngine(part, **{name: value for name, value in vars(ray).items() if value is not None})


def screen_into(
    folder: AnyFile,
    screener: Screener,
    images: Images | OutputTable,
    settings: ScreenSettings = ScreenSettings(),
    *,
    resume: bool = False,
    progress: Advance | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Screen images of any number into `folder/verdicts.parquet` (.csv, .jsonl), `summary.json` and `monitoring.json`.

    Rows are written in parts to `folder/.screening`; ranks, which need all rows, are a second pass over the parts.
    After a crash at any moment the same call with `resume` goes on, and ends as if nothing had been. The folder may be
    at a URL (a `RemotePath`). An `engine` has
    the parts written elsewhere, such as `screening.ray_engine.RayEngine`; then the screener needs no classifier.

    Returns the summary: counts, policy, drift, and what p_wrong was calibrated on; in a cascade also how many images
    were looked at more deeply. With `resume` that of a screening that is finished, and nothing is done.

    Raises InputError: an unfinished screening without `resume`, another input, screener or options than it was begun
    with, a finished screening of something else that `settings` do not let replace, or a disk that is full (then it can
    be resumed).
    """
    with screened_at(folder) as place:
        return _screened(place, screener, images, settings, resume=resume, progress=progress, engine=engine)


def _screened(
    place: Place,
    screener: Screener,
    images: Images | OutputTable,
    settings: ScreenSettings,
    *,
    resume: bool,
    progress: Advance | None,
    engine: Engine | None,
) -> dict[str, Any]:
    folder, adapting = place.folder, wanted(settings.adapt, screener)
    folder.mkdir(parents=True, exist_ok=True)
    images = _counted(items_of(images))
    if not len(images):
        raise InputError("there are no images to screen")
    if isinstance(images, OutputTable):  # no forward pass: larger batches cost nothing
        images, settings = fitting(screener, images), replace(settings, batch_size=ROWS_IN_A_PART)
    task = task_of(screener, images, batch_size=settings.batch_size, features=settings.features)
    task = replace(task, policy=task.policy + ADAPTED) if adapting else task
    read_ledger(folder)  # which says where it can't be written in the end
    if resume and (summary := finished_summary(folder)) is not None:
        _refuse_another(folder, summary, task)
        clear(folder)
        return summary
    if not settings.overwrite and not in_progress(folder):
        _refuse_to_replace(folder, task)
    about: dict[str, Any] = {TASK: asdict(task)}
    if isinstance(images, ImageSet | OutputTable):  # where a report finds the images again
        about["input_root"] = str(images.root.absolute())
        about["notes_on_images"] = list(images.notes)
    with opened(folder, task, resume=resume, there=place.there) as parts:
        if progress is not None:
            progress(parts.images_done)
        missing = list(parts.missing())
        for run in missing if engine is None else ():
            tables = part_tables(screener, images, task, run, progress=progress, workers=settings.workers)
            for part, table in zip(run, tables, strict=True):
                with writing(folder):
                    parts.write(part, table)
        if engine is not None:
            _note_all(parts, engine(images, task, parts.at, [part for run in missing for part in run]), progress)
        with writing(folder):
            brought = metadata_of(images)
            return finish(parts, screener, brought, ending=settings.ending, adapting=adapting, **about)


def _counted(images: Items | OutputTable) -> ImageSet | OutputTable | Sequence[ArrayItem]:
    if isinstance(images, StreamedImages):
        raise InputError(
            f"a screening in a folder goes part by part, and {kind_of(images.source)} can't be counted; give a "
            "Dataset, or use Screener.screen and Verdicts.write"
        )
    return images


def _note_all(parts: Parts, written: Iterable[Written], progress: Advance | None) -> None:
    for one in written:
        with writing(parts.folder.parent):
            parts.note(one)
        if progress is not None:
            progress(one.rows)


def finished_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a screening that is finished; None where there is none, or one is in progress."""
    return None if in_progress(folder) else read_summary(folder) or None


def _refuse_another(folder: Path, summary: dict[str, Any], task: Task) -> None:
    was = Task.from_dict(summary.get(TASK))
    difference = "it is of an earlier release" if was is None else was.difference(task)
    if difference is not None:
        raise InputError(
            f"{folder} holds a finished screening of something else: {difference}; give another folder, or replace it "
            "with --overwrite in place of --resume"
        )


def _refuse_to_replace(folder: Path, task: Task) -> None:
    """Let a finished screening be replaced by the same one alone, as long as nobody has changed it."""
    there = [name for name in FILES if os.path.lexists(folder / name)]
    was, known = Task.from_dict(read_summary(folder).get(TASK)), read_ledger(folder)
    why = "" if was is None else was.difference(task) or ""
    changed = [] if why else [name for name in there if not is_ours(folder / name, known.get(name))]
    if there and (why or changed):
        raise InputError(
            f"{folder} holds {'another screening' if why else 'what was not written there or was changed since'}: "
            f"{why or changed[0]}; give another folder, or replace it with --overwrite"
        )
