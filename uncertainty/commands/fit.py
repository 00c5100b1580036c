"""`uncertainty fit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.column_options import with_columns_of_a_part
from uncertainty.commands.options import (
    Autocast,
    BatchSize,
    Cache,
    Cascaded,
    CascadeLoss,
    CascadeShare,
    CertifyShare,
    Device,
    DropDuplicates,
    EffortLevel,
    ExpectDamage,
    ExpectUnknown,
    KeepClassOrder,
    Model,
    NoCache,
    Out,
    Passes,
    Reference,
    ReferenceSplit,
    RunBy,
    SecondOpinion,
    Trusted,
    Views,
    Workers,
)
from uncertainty.commands.policy_options import with_policy_options
from uncertainty.commands.shared import listened, plainly, say, say_notes, shown_progress
from uncertainty.commands.start import loading
from uncertainty.defaults import BATCH_SIZE, CASCADE_LOSS, EXPECT_DAMAGE, EXPECT_UNKNOWN, WORKERS
from uncertainty.verbs.ranges import limits
from uncertainty.workflows.effort import Effort

if TYPE_CHECKING:
    from uncertainty.screener import Screener


@with_columns_of_a_part
@with_policy_options
def fit(
    calibration: Annotated[Path, typer.Option(help="Labelled images, not of the training set; or table:FILE.")],
    out: Out,
    model: Model = None,
    reference: Reference = None,
    reference_split: ReferenceSplit = None,
    classes: Annotated[Path | None, typer.Option(help="Class names in output order: .txt or JSON.")] = None,
    keep_class_order: KeepClassOrder = False,
    policy: Any = None,
    expect_damage: ExpectDamage = EXPECT_DAMAGE,
    expect_unknown: ExpectUnknown = EXPECT_UNKNOWN,
    certify_share: CertifyShare = 0.0,
    passes: Passes = None,
    effort: EffortLevel = Effort.FAST,
    embedder: SecondOpinion = None,
    tta: Views = "",
    cascade: Cascaded = False,
    cascade_loss: CascadeLoss = CASCADE_LOSS,
    cascade_share: CascadeShare = None,
    drop_duplicates: DropDuplicates = False,
    cache: Cache = None,
    no_cache: NoCache = False,
    seed: Annotated[int, typer.Option(**limits("seed"), help="Of everything that is drawn.")] = 0,
    device: Device = None,
    trust_model_file: Trusted = False,
    autocast: Autocast = None,
    runtime: RunBy = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
    *,
    columns: Any,
) -> None:
    """Fit a screener to a model: uncertainty fit --model SPEC --reference DIR --calibration DIR -o SCREENER.

    Without a network: uncertainty fit --reference table:train.parquet --calibration table:val.parquet -o SCREENER.
    """
    with loading():
        from uncertainty.workflows.fit import ModelSource, both_sets, fit_folders

    asked: dict[str, Any] = {"expect_damage": expect_damage, "batch_size": batch_size, "workers": workers, "seed": seed}
    asked |= {"expect_unknown": expect_unknown, "certify_share": certify_share, "passes": passes, "effort": effort}
    asked |= {"policy": policy, "cascade": cascade, "cascade_loss": cascade_loss, "cascade_share": cascade_share}
    asked |= {"views": [name for name in tta.split(",") if name], "cache": _cache_folder(cache, off=no_cache)}
    asked |= {"keep_class_order": keep_class_order, "progress": shown_progress, "drop_duplicates": drop_duplicates}
    source = ModelSource(model, classes, embedder, device, autocast, runtime, trust_model_file)
    with listened() as said:
        screener = fit_folders(source, *both_sets(reference, reference_split, calibration, columns), out, **asked)
    _say(screener, out, said)


def _say(screener: Screener, out: Path, said: list[str]) -> None:
    from uncertainty.workflows.fit_summary import fit_summary

    say_notes(note for note in screener.notes if note not in said)
    say("\n".join(map(plainly, fit_summary(screener))))
    say(f"{screener.describe()}\nscreener written to {out}")


def _cache_folder(named: Path | None, *, off: bool) -> Path | None:
    from uncertainty.errors import InputError
    from uncertainty.files import usual_cache

    if named is not None and off:
        raise InputError(f"--cache {named} and --no-cache are two answers; give one")
    return None if off else named or usual_cache()
