"""`uncertainty fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.asking import asking
from uncertainty.commands.options import (
    Autocast,
    BatchSize,
    Cascaded,
    CascadeLoss,
    CertifyShare,
    Device,
    Effort,
    EffortLevel,
    ExpectDamage,
    ExpectUnknown,
    Out,
    Passes,
    Reference,
    SecondOpinion,
    Views,
    Workers,
)
from uncertainty.commands.shared import classifier_of, forward_passes, say_notes, shown_progress
from uncertainty.defaults import BATCH_SIZE, CASCADE_LOSS, EXPECT_DAMAGE, EXPECT_UNKNOWN, WORKERS


@asking
def fit(
    model: Annotated[str, typer.Option(help="Model spec: package.module:factory?weights=FILE.safetensors&size=224")],
    calibration: Annotated[Path, typer.Option(help="Labelled images that the model was not trained on.")],
    out: Out,
    reference: Reference = None,
    classes: Annotated[Path | None, typer.Option(help="Class names in output order: .txt or JSON.")] = None,
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
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    device: Device = None,
    autocast: Autocast = None,
    batch_size: BatchSize = BATCH_SIZE,
    workers: Workers = WORKERS,
) -> None:
    """Fit a screener to a model: uncertainty fit --model SPEC --reference DIR --calibration DIR -o SCREENER."""
    from uncertainty.images.sources import find_images
    from uncertainty.screener import Screener

    labelled, good = find_images(calibration), find_images(reference) if reference else None
    embedder, tta = effort.evidence(embedder, tta)
    classifier = classifier_of(model, classes, embedder, device, autocast)
    out.mkdir(parents=True, exist_ok=True)  # better refused now than after a long fit
    with shown_progress("fitting", forward_passes(good, labelled, expect_damage, expect_unknown)) as progress:
        screener = Screener.fit(
            classifier,
            good,
            labelled,
            expect_damage=expect_damage,
            expect_unknown=expect_unknown,
            policy=policy,
            certify_share=certify_share,
            passes=effort.passes(passes),
            views=[name for name in tta.split(",") if name],
            cascade=cascade,
            cascade_loss=cascade_loss,
            seed=seed,
            batch_size=batch_size,
            workers=workers,
            progress=progress,
        )
    screener.save(out)
    say_notes(screener.notes)
    typer.echo(f"{screener.describe()}\nscreener written to {out}")
