"""From images and labels to a screener: fit, policy, known-good images, and what labels teach it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uncertainty.defaults import BATCH_SIZE, CASCADE_LOSS, EXPECT_DAMAGE, EXPECT_UNKNOWN, WORKERS
from uncertainty.images.remote import located
from uncertainty.verbs.options import AnyPath, cache_of, columns, here, one_of, path_of, policy_of, shown
from uncertainty.verbs.ranges import in_range

if TYPE_CHECKING:
    from uncertainty.decisions.plans import Plan
    from uncertainty.recalibration.refit import Update
    from uncertainty.screener import Screener
    from uncertainty.workflows.effort import Effort
    from uncertainty.workflows.known_good import KnownGoodChange


@in_range
def fit(
    model: str | None,
    calibration: AnyPath,
    out: AnyPath,
    reference: AnyPath | None = None,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    split: str | None = None,
    reference_split: str | None = None,
    classes: AnyPath | None = None,
    keep_class_order: bool = False,
    expect_damage: float = EXPECT_DAMAGE,
    expect_unknown: float = EXPECT_UNKNOWN,
    certify_share: float = 0.0,
    passes: int | None = None,
    effort: str = "fast",
    embedder: str | None = None,
    tta: str = "",
    cascade: bool = False,
    cascade_loss: float = CASCADE_LOSS,
    cascade_share: float | None = None,
    group: str | None = None,
    group_by: str | None = None,
    seed: int = 0,
    device: str | None = None,
    trust_model_file: bool = False,
    autocast: str | None = None,
    runtime: str | None = None,
    batch_size: int = BATCH_SIZE,
    drop_duplicates: bool = False,
    cache: AnyPath | None = None,
    no_cache: bool = False,
    workers: int = WORKERS,
    progress: bool = False,
    **policy: Any,
) -> Screener:
    """Fit a screener to the model of a spec and save it in `out`; for a module in memory there is `Screener.fit`.

    Without a model, None, both sets are tables of outputs: "table:FILE".
    """
    from uncertainty.workflows.fit import ModelSource, both_sets, fit_folders

    asked: dict[str, Any] = {"expect_damage": expect_damage, "expect_unknown": expect_unknown, "seed": seed}
    asked |= {"certify_share": certify_share, "cascade": cascade, "cascade_loss": cascade_loss, "passes": passes}
    asked |= {"policy": policy_of(policy), "batch_size": batch_size, "workers": workers, "cascade_share": cascade_share}
    asked |= {"views": [name for name in tta.split(",") if name], "keep_class_order": keep_class_order}
    asked |= {"drop_duplicates": drop_duplicates, "cache": cache_of(cache, off=no_cache), "progress": shown(progress)}
    named = columns(name_column, label_column, group, group_by, separator=label_separator, several=several_labels)
    source = ModelSource(model, path_of(classes), embedder, device, autocast, runtime, trust_model_file)
    sets = both_sets(reference, reference_split, calibration, replace(named, split=split))
    return fit_folders(source, *sets, here(out), effort=_effort(effort), **asked)


def _effort(name: str) -> Effort:
    from uncertainty.workflows.effort import Effort

    return Effort(one_of("effort", name, Effort))


@in_range
def policy(screener: AnyPath, *, apply: AnyPath | None = None, dry_run: bool = False, **policy: Any) -> Plan:
    """Return what a policy would flag; without `dry_run` also have the screener in its folder flag so from now on.

    With `apply` the finished screening in that folder is flagged anew, without the network.
    """
    from uncertainty.workflows.policy import apply_policy, plan_policy
    from uncertainty.workflows.reflag import finished, reflag

    asked = policy_of(policy)
    change = plan_policy(here(screener), asked)
    done = None if apply is None else finished(here(apply), change.after)
    if asked is not None and not dry_run:
        apply_policy(change)
    if done is not None and not dry_run:
        reflag(done, change.after)
    return change.after.plan()


@in_range
def known_good(
    screener: AnyPath,
    *,
    add: AnyPath | None = None,
    remove: AnyPath | None = None,
    out: AnyPath | None = None,
    model: str | None = None,
    embedder: str | None = None,
    device: str | None = None,
    trust_model_file: bool = False,
    batch_size: int = BATCH_SIZE,
    workers: int = WORKERS,
    progress: bool = False,
) -> KnownGoodChange:
    """Add and remove known-good images without a new fit."""
    from uncertainty.screening.saved_screener import SavedScreener
    from uncertainty.workflows.known_good import change_known_good

    saved = SavedScreener(here(screener), model, device, embedder=embedder, trust=trust_model_file)
    look: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "progress": shown(progress)}
    return change_known_good(saved, add=path_of(add), remove=path_of(remove), into=path_of(out), **look)


@in_range
def update(
    screener: AnyPath,
    out: AnyPath,
    labels: AnyPath,
    *,
    name_column: str | None = None,
    label_column: str | None = None,
    several_labels: bool = False,
    label_separator: str = ";",
    new: AnyPath | None = None,
    inclusion: str = "inclusion",
    anyway: bool = False,
) -> tuple[Update, Path | None]:
    """Learn again from old and new labels; return what changed, and where the old screener is, None where it stays."""
    from uncertainty.workflows.update import update_folder

    asked = columns(name_column, label_column, separator=label_separator, several=several_labels)
    more: dict[str, Any] = {"into": path_of(new), "column": inclusion, "anyway": anyway}
    return update_folder(here(screener), located(out), here(labels), asked, **more)
