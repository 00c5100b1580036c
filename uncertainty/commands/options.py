"""Options that several commands take, each with the one help text it has everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.exports.targets import TARGETS
from uncertainty.images.remote import located
from uncertainty.verbs.ranges import limits
from uncertainty.workflows.effort import Effort

Model = Annotated[
    str | None,
    typer.Option(help="Model spec, such as my.module:factory?weights=FILE.", show_default=False),
]
CertifyShare = Annotated[
    float,
    typer.Option(
        **limits("certify_share"), help="Share of calibration kept from the combiner, to certify promises on."
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder to write to.")]
Trusted = Annotated[
    bool,
    typer.Option(
        "--trust-model-file", help="Read model files that may run code of their own, pt2: and torchscript:, this once."
    ),
]
Device = Annotated[str | None, typer.Option(help="Where the network runs, e.g. cpu or cuda.")]


class Precision(StrEnum):
    """In which precision torch runs what bears it."""

    BF16 = "bf16"
    FP16 = "fp16"


Autocast = Annotated[
    Precision | None, typer.Option(help="Run the network in this precision; the screener remembers it.")
]
RunBy = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="What runs the networks in torch's place: openvino, openvino:bf16, onnxruntime, or either with :int8; "
        "the screener remembers it.",
    ),
]
BatchSize = Annotated[int, typer.Option(**limits("batch_size"), help="Images in one forward pass.")]
Workers = Annotated[int, typer.Option(**limits("workers"), help="Threads that decode images.")]


Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that hold something else, such as labels filled in.")
]
Details = Annotated[bool, typer.Option("--details", help="Print all tables, which are written anyway.")]
OutAtUrl = Annotated[
    Any, typer.Option("-o", "--out", parser=located, metavar="PATH", help="Folder to write to, or its URL.")
]
ScreenedHere = Annotated[Path, typer.Argument(help="Folder that `uncertainty screen` wrote, or a verdict table.")]
Screened = Annotated[
    Any,
    typer.Argument(
        parser=located, metavar="OUT", help="Folder that `uncertainty screen` wrote, or its URL, or a verdict table."
    ),
]
Labels = Annotated[
    Path, typer.Option(help="Table with file_name and label, class folders, or an export of a labelling tool.")
]
NameColumn = Annotated[str | None, typer.Option(help="Column with the file names, where it is called otherwise.")]
LabelColumn = Annotated[str | None, typer.Option(help="Column with the labels, where it is called otherwise.")]
SeveralLabels = Annotated[
    bool,
    typer.Option(
        "--several-labels", help="Rows, or class folders, that name an image again give it one more label each."
    ),
]
LabelSeparator = Annotated[str, typer.Option(help="What stands between the labels of one cell, such as | or a comma.")]
Split = Annotated[str | None, typer.Option(help="Part of the data set to calibrate on, such as val or test.")]
ReferenceSplit = Annotated[str | None, typer.Option(help="Part of the data set to take as known-good, such as train.")]
Resamples = Annotated[int, typer.Option(**limits("resamples"), help="Bootstrap resamples behind the intervals.")]
ResamplesSeed = Annotated[int, typer.Option(**limits("seed"), help="Of the resamples.")]


Reference = Annotated[
    Path | None,
    typer.Option(help="Known-good images, e.g. the training set. Default: half of the calibration images."),
]
ExpectDamage = Annotated[
    float, typer.Option(**limits("expect_damage"), help="Share of incoming images that may be damaged.")
]
ExpectUnknown = Annotated[
    float, typer.Option(**limits("expect_unknown"), help="Share of incoming images that may be of no known class.")
]
EffortLevel = Annotated[
    Effort,
    typer.Option(help="fast: one pass; balanced: and a second opinion, a flip; thorough: and more views, all dropout."),
]
Passes = Annotated[
    int | None,
    typer.Option(
        **limits("passes"),
        help="MC dropout sub-networks.",
        show_default="30; but for thorough only where they cost little",
    ),
]
Cascaded = Annotated[
    bool, typer.Option("--cascade/--no-cascade", help="Look deeper only at images whose verdict it could still change.")
]
CascadeLoss = Annotated[
    float, typer.Option(**limits("cascade_loss"), help="Share of E-AURC that the cascade may lose.")
]
CascadeShare = Annotated[
    float | None,
    typer.Option(
        **limits("cascade_share"),
        help="Look deeper at no more than this share of the images, where that gains most; in place of a loss.",
    ),
]
SecondOpinion = Annotated[
    str | None, typer.Option(help="Second opinion: efficientnet-lite0, or the model spec of a frozen backbone.")
]
OtherSecondOpinion = Annotated[
    str | None,
    typer.Option("--embedder", help="Model spec of the second opinion, in place of what the screener names."),
]
Views = Annotated[str, typer.Option(help="Test-time augmentation: auto, names such as flip,shift, or both.")]

Group = Annotated[
    str | None, typer.Option(help="Column of the manifest that says which images belong together, e.g. patient.")
]
GroupBy = Annotated[
    str | None, typer.Option(help="Which images belong together: folder, or a regular expression found in the name.")
]
DropDuplicates = Annotated[
    bool, typer.Option("--drop-duplicates", help="Leave out calibration images that the reference holds too.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder for answers of the networks, which another fit then need not run again.",
        show_default="~/.cache/uncertainty/passes",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no answers of the networks, and use none.")]

KeepClassOrder = Annotated[
    bool, typer.Option("--keep-class-order", help="Fit though another order of the class names would fit far better.")
]


class Format(StrEnum):
    """How verdicts are written."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class Adapt(StrEnum):
    """What p_wrong is adapted to."""

    BATCH = "batch"


AdaptTo = Annotated[Adapt | None, typer.Option("--adapt", help="Fit p_wrong to the shares of these images, together.")]


class Engine(StrEnum):
    """Where images are screened."""

    LOCAL = "local"
    RAY = "ray"


Actors = Annotated[
    int | None,
    typer.Option(**limits("actors"), help="Ray: processes that hold the network. Default: one a processor, or a GPU."),
]
GpusPerActor = Annotated[
    float | None, typer.Option(**limits("gpus_per_actor"), help="Ray: e.g. 1, or 0.5 for two on one GPU.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="Ray: of a cluster, such as auto. Default: RAY_ADDRESS, or this machine.")
]


TOOLS = ", ".join(TARGETS)
Target = StrEnum("Target", {name: name for name in TARGETS})  # type: ignore[misc]  # from the one list there is
