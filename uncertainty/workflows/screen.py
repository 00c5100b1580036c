"""From paths to files: the one place that joins screener, images and output folder; memory stays flat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uncertainty.classifiers.base import ArrayItem, Images, image_items
from uncertainty.defaults import BATCH_SIZE
from uncertainty.errors import InputError
from uncertainty.images.sources import ImageSet, metadata_of
from uncertainty.monitoring.watch import Monitoring
from uncertainty.screener import Screener
from uncertainty.screening.journal import Parts, Task, Written, clear, in_progress, opened, writing
from uncertainty.screening.part_tables import part_tables, task_of
from uncertainty.screening.second_pass import FEATURES_FILE, MONITORING, SUMMARY, finish, monitored, write_json
from uncertainty.verdicts import FORMATS, Verdicts

__all__ = ["FEATURES_FILE", "MONITORING", "SUMMARY", "Engine", "monitor_folder", "screen_into"]

_TASK = "task"
Engine = Callable[[ImageSet | Sequence[ArrayItem], Task, Path, Sequence[int]], Iterable[Written]]
"""(images, task, folder of the parts, parts that are missing) to what was written, in any order."""


def screen_into(
    folder: Path,
    screener: Screener,
    images: Images,
    *,
    ending: str = ".parquet",
    resume: bool = False,
    features: bool = True,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
    engine: Engine | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Screen images of any number into `folder/verdicts.parquet` (.csv, .jsonl), `summary.json` and `monitoring.json`.

    Rows are written in parts to `folder/.screening`; ranks, which need all rows, are a second pass over the parts.
    After a crash at any moment the same call with `resume` goes on, and ends as if nothing had been. `features` also
    writes `features.parquet`: the content digest of each image, and the classifier's features at length 1 (float16),
    where it has any. `options` are those of `Classifier.stream`. An `engine` has the parts written elsewhere, such as
    `screening.ray_engine.RayEngine`; then the screener needs no classifier, and `options` are the engine's own.

    Returns the summary: counts, policy, drift, and what p_wrong was calibrated on; in a cascade also how many images
    were looked at more deeply. With `resume` that of a screening that is finished, and nothing is done.

    Raises InputError: an unfinished screening without `resume`, another input, screener or options than it was begun
    with, or a disk that is full (then it can be resumed).
    """
    if ending not in FORMATS:
        raise InputError(f"format {ending!r} is not one of {', '.join(FORMATS)}")
    folder.mkdir(parents=True, exist_ok=True)
    images = image_items(images)
    if not len(images):
        raise InputError("there are no images to screen")
    task = task_of(screener, images, batch_size=batch_size, features=features)
    if resume and (summary := finished_summary(folder)) is not None:
        _refuse_another(folder, summary, task)
        clear(folder)
        return summary
    about: dict[str, Any] = {_TASK: asdict(task)}
    if isinstance(images, ImageSet):  # where a report finds the images again
        about["input_root"] = str(images.root.absolute())
    with opened(folder, task, resume=resume) as parts:
        if progress is not None:
            progress(parts.images_done)
        missing = list(parts.missing())
        for run in missing if engine is None else ():
            tables = part_tables(screener, images, task, run, progress=progress, **options)
            for part, table in zip(run, tables, strict=True):
                with writing(folder):
                    parts.write(part, table)
        if engine is not None:
            _note_all(parts, engine(images, task, parts.folder, [part for run in missing for part in run]), progress)
        with writing(folder):
            return finish(parts, screener, metadata_of(images), ending=ending, **about)


def _note_all(parts: Parts, written: Iterable[Written], progress: Callable[[int], None] | None) -> None:
    for one in written:
        with writing(parts.folder.parent):
            parts.note(one)
        if progress is not None:
            progress(one.rows)


def finished_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a screening that is finished; None where there is none, or one is in progress."""
    if in_progress(folder) or not (folder / SUMMARY).is_file():
        return None
    return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))


def _refuse_another(folder: Path, summary: dict[str, Any], task: Task) -> None:
    was = Task.from_dict(summary.get(_TASK))
    difference = "it is of an earlier release" if was is None else was.difference(task)
    if difference is not None:
        raise InputError(
            f"{folder} holds a finished screening of something else: {difference}; give another folder, or leave "
            "out --resume to replace it"
        )


def monitor_folder(folder: Path, screener: Screener, **options: Any) -> Monitoring:
    """Estimate the accuracy of a folder's verdicts without labels and look for drift; write `monitoring.json` there.

    `options` are those of `uncertainty.monitoring.watch.monitor`. Verdicts of another screener are refused.
    """
    verdicts = Verdicts.read(folder)
    made_by = verdicts.provenance.get("calibrated_on")
    if made_by is not None and made_by != json.loads(json.dumps(screener.calibrated_on)):
        raise InputError(f"{folder} was judged by another screener than the one given; give the one that made it")
    found = monitored(verdicts.table.to_batches(max_chunksize=4096), screener, **options)
    write_json((folder if folder.is_dir() else folder.parent) / MONITORING, found.to_json())
    return found
