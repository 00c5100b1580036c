"""From a screener and images to verdicts, and on to a list, an export, a page, an alarm."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.defaults import BATCH_SIZE, REPORT_IMAGES, WORKERS
from uncertainty.errors import InputError
from uncertainty.images.remote import RemotePath, located
from uncertainty.verbs.options import AnyPath, columns, here, one_of, path_of, policy_of, shown
from uncertainty.verbs.ranges import in_range

if TYPE_CHECKING:
    from uncertainty.annotation.ranking import Selection
    from uncertainty.exports.base import Exported
    from uncertainty.monitoring.batch import Monitoring
    from uncertainty.report.build import Report
    from uncertainty.screener import Screener
    from uncertainty.workflows.explain import Explanation
    from uncertainty.workflows.screen import Screening


@in_range
def screen(
    screener: AnyPath | Screener,
    images: Any,
    out: AnyPath,
    *,
    model: str | None = None,
    embedder: str | None = None,
    name_column: str | None = None,
    format: str = "parquet",
    device: str | None = None,
    trust_model_file: bool = False,
    batch_size: int = BATCH_SIZE,
    workers: int = WORKERS,
    resume: bool = False,
    features: bool = True,
    engine: str = "local",
    actors: int | None = None,
    gpus_per_actor: float | None = None,
    ray_address: str | None = None,
    overwrite: bool = False,
    adapt: str | None = None,
    progress: bool = False,
    **policy: Any,
) -> Screening:
    """Screen images into a folder, part by part; `Verdicts.read(out)` are its rows.

    `screener` is a folder, or one in memory; `images` are whatever `Screener.screen` takes that can be counted, with
    `engine="ray"` a path or URL.
    """
    from uncertainty.screening.saved_screener import SavedScreener
    from uncertainty.workflows import screen as work

    settings = work.ScreenSettings(f".{format}", features, batch_size, workers, overwrite, name_column, adapt)
    showing, on_ray = shown(progress), _on_ray(engine, screener, images)
    asked = policy_of(policy)
    if not on_ray:
        work.refuse_ray(actors=actors, gpus_per_actor=gpus_per_actor, ray_address=ray_address)
    if isinstance(screener, str | os.PathLike):
        saved = SavedScreener(here(screener), model, device, asked, embedder, trust_model_file)
        if isinstance(images, str | os.PathLike):
            ray = work.OnRay(actors, gpus_per_actor, ray_address) if on_ray else None
            more: dict[str, Any] = {"ray": ray, "resume": resume, "progress": showing}
            return work.screen_folder(saved, os.fspath(images), located(out), settings, **more)
        judge = saved.load()
    else:
        judge = screener if asked is None else screener.with_policy(asked)
        if isinstance(images, str | os.PathLike):
            images = work.opened_input(os.fspath(images), name_column)
    with showing("screening", _count(images)) as advance:
        summary = work.screen_into(located(out), judge, images, settings, resume=resume, progress=advance)
    return work.Screening(summary, judge, finished_before=False)


def _on_ray(engine: str, *given: Any) -> bool:
    on_ray = one_of("engine", engine, ("local", "ray")) == "ray"
    if on_ray and not all(isinstance(one, str | os.PathLike) for one in given):
        raise InputError("engine='ray' takes screener and images as paths, which its workers can open")
    return on_ray


def _count(images: Any) -> int:
    return len(images) if hasattr(images, "__len__") and not isinstance(images, str) else 1


@in_range
def explain(
    screener: AnyPath | Screener,
    images: Sequence[AnyPath],
    *,
    model: str | None = None,
    embedder: str | None = None,
    device: str | None = None,
    trust_model_file: bool = False,
) -> list[Explanation]:
    """Say of each image, or of all in a folder, why it is flagged or not, and what it is like."""
    from uncertainty.screening.saved_screener import SavedScreener
    from uncertainty.workflows.explain import explain_images, loaded_for

    given = [images] if isinstance(images, str | os.PathLike) else images
    if isinstance(screener, str | os.PathLike):
        saved = SavedScreener(here(screener), model, device, embedder=embedder, trust=trust_model_file)
        screener = loaded_for(saved, [os.fspath(one) for one in given])
    return explain_images(screener, [os.fspath(one) for one in given])


@in_range
def rank(
    out: AnyPath,
    n: int = 200,
    file: AnyPath | None = None,
    *,
    to: str | None = None,
    strategy: str = "spread",
    explore: float = 0.0,
    quota_per: str | None = None,
    doubt_of: str | None = None,
    exclude: Sequence[AnyPath] = (),
    exclude_hopeless: bool = False,
    group: str | None = None,
    group_by: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Selection:
    """List the n images to label next in `file`, by default `ranking.csv` in `out`; with `to` also for that tool.

    `should_stop` of `uncertainty.annotation.expected_yield` says of `expected` what `--stop-below` says.
    """
    from uncertainty.exports.export import export as exported
    from uncertainty.exports.targets import TABLES
    from uncertainty.images.groups import Grouping
    from uncertainty.storage.mirror import folder_at
    from uncertainty.workflows.rank import rank_folder

    where = located(out)
    target = folder_at(where) / "ranking.csv" if file is None else located(file)
    if to is not None and isinstance(target, RemotePath):
        raise InputError(f"to={to!r} exports to this machine, and {target} is at a URL; name a file here")
    found = rank_folder(
        where,
        n,
        target,
        exclude=[here(one) for one in exclude],
        strategy=strategy,
        explore=explore,
        overwrite=overwrite,
        quota_per=quota_per,
        doubt_of=doubt_of,
        exclude_hopeless=exclude_hopeless,
        seed=seed,
        grouping=Grouping(group, group_by),
    )
    if to is not None and isinstance(target, Path):
        exported(target, to, target.with_name(f"{target.stem}-{to}{TABLES.get(to, '')}"), overwrite=overwrite)
    return found


@in_range
def export(
    source: AnyPath,
    to: str,
    out: AnyPath,
    *,
    images: AnyPath | None = None,
    image_url_prefix: str = "",
    copy: bool | None = None,
    classes: AnyPath | None = None,
    overwrite: bool = False,
) -> Exported:
    """Export verdicts or a ranking for another tool; `copy` True or False brings images along as copies or links."""
    from uncertainty.classifiers.class_names import read_class_names
    from uncertainty.exports.base import Place
    from uncertainty.exports.export import export as exported

    names = None if classes is None else read_class_names(classes)
    place: Place = "nowhere" if copy is None else "copy" if copy else "link"
    more: dict[str, Any] = {"images": path_of(images), "classes": names, "image_url_prefix": image_url_prefix}
    return exported(located(source), to, here(out), place=place, overwrite=overwrite, **more)


@in_range
def report(
    out: AnyPath,
    labels: AnyPath | None = None,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    images: AnyPath | None = None,
    page: AnyPath | None = None,
    most: int = REPORT_IMAGES,
    screener: AnyPath | None = None,
    reference: AnyPath | None = None,
    cam: str | None = None,
    model: str | None = None,
    embedder: str | None = None,
    device: str | None = None,
    trust_model_file: bool = False,
    progress: bool = False,
    overwrite: bool = False,
) -> Report:
    """Make one HTML page of a screening, which works offline; `cam` is "grad" or "guided"."""
    from uncertainty.report.build import write_report
    from uncertainty.report.illustrations import illustrations
    from uncertainty.screening.saved_screener import SavedScreener

    saved = (
        None
        if screener is None
        else SavedScreener(here(screener), model, device, embedder=embedder, trust=trust_model_file)
    )
    return write_report(
        located(out),
        labels=path_of(labels),
        images=path_of(images),
        path=None if page is None else located(page),
        most=most,
        overwrite=overwrite,
        illustrate=illustrations(saved, path_of(reference), cam=cam, progress=shown(progress)),
        columns=columns(name_column, label_column, separator=label_separator, several=several_labels),
    )


@in_range
def monitor(
    out: AnyPath,
    screener: AnyPath | Screener,
    *,
    false_alarms: float = 0.01,
    in_order: bool = False,
    group: str | None = None,
    group_by: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Monitoring:
    """Estimate accuracy without labels, and look for drift."""
    from uncertainty.images.groups import Grouping
    from uncertainty.workflows.monitor import monitor_folder

    made = here(screener) if isinstance(screener, str | os.PathLike) else screener
    grouping = Grouping(group, group_by)
    return monitor_folder(
        located(out), made, grouping=grouping, level=false_alarms, in_order=in_order, seed=seed, overwrite=overwrite
    )
