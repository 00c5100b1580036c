"""From tables of outputs of a model that was run elsewhere to a screener, without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uncertainty.classifiers.progress import Progress
from uncertainty.combination.evidence import Shares
from uncertainty.defaults import CASCADE_LOSS, EXPECT_UNKNOWN
from uncertainty.errors import InputError
from uncertainty.images.manifests import Columns
from uncertainty.output_tables.output_table import OutputTable
from uncertainty.screener import Screener
from uncertainty.screener.fit_settings import FitSettings, one_policy
from uncertainty.screener.from_tables import from_tables

_OF_NETWORKS = (
    *("model", "embedder", "device", "autocast", "runtime", "effort"),
    *("views", "passes", "cascade", "cascade_share"),
)
Source = tuple[Path, Columns]


def fit_tables(
    reference: Source | None,
    calibration: Source,
    classes: Sequence[str] | None,
    progress: Progress,
    asked: Mapping[str, Any],
) -> Screener:
    """Fit a screener; `asked` are the options of `Screener.fit`, of which those of a network are refused.

    Raises InputError for such, and what `from_tables` raises.
    """
    _refuse_network(asked)
    table = OutputTable.open(*calibration, classes)
    if calibration[1].split is None and len(parts := table.parts()) > 1:
        raise InputError(
            f"{table.file.path} holds the parts {', '.join(parts)} of a data set; say which with --split, best one "
            "that the model was not trained on"
        )
    good = None if reference is None else OutputTable.open(*reference, classes)
    settings = FitSettings(
        shares=Shares(0.0, EXPECT_UNKNOWN),
        policy=one_policy(asked.get("budget"), asked.get("policy")),
        seed=asked.get("seed", 0),
        certify_share=asked.get("certify_share", 0.0),
        estimators=asked.get("estimators"),
        classes=classes,
        cascade_loss=asked.get("cascade_loss", CASCADE_LOSS),
        groups=table.groups(calibration[1]),
        keep_class_order=asked.get("keep_class_order", False),
    )
    with progress("fitting", len(table) + (0 if good is None else len(good))) as advance:
        return Screener.of(from_tables(good, table, settings, advance))


def _refuse_network(asked: Mapping[str, Any]) -> None:
    for name in _OF_NETWORKS:
        # A share of 0 was asked for too.
        if asked.get(name) or (name == "cascade_share" and asked.get(name) is not None):
            option = "tta" if name == "views" else name.replace("_", "-")
            raise InputError(
                f"--{option} is for a network; a table of outputs brings what its model said, so leave it out"
            )
