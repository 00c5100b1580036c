"""`uncertainty monitor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncertainty.commands.options import Details, Group, GroupBy, Overwrite, Screened
from uncertainty.commands.shared import console, say
from uncertainty.storage.mirror import folder_at
from uncertainty.verbs.ranges import limits

if TYPE_CHECKING:
    from uncertainty.monitoring.batch import Monitoring


def monitor(
    out: Screened,
    screener: Annotated[Path, typer.Option(help="Folder that `uncertainty fit` wrote.")],
    false_alarms: Annotated[
        float, typer.Option(**limits("false_alarms"), help="Share of unchanged batches that alarm.")
    ] = 0.01,
    in_order: Annotated[bool, typer.Option("--in-order", help="Rows are in the order of their arrival.")] = False,
    group: Group = None,
    group_by: GroupBy = None,
    seed: Annotated[int, typer.Option(**limits("seed"), help="Of resamples and permutations.")] = 0,
    overwrite: Overwrite = False,
    details: Details = False,
) -> None:
    """Estimate accuracy without labels, and raise a drift alarm: uncertainty monitor OUT --screener SCREENER."""
    from uncertainty.commands.tables import least_accurate, shown
    from uncertainty.images.groups import Grouping
    from uncertainty.screening.second_pass import MONITORING
    from uncertainty.workflows.monitor import monitor_folder

    found = monitor_folder(
        out,
        screener,
        level=false_alarms,
        in_order=in_order,
        seed=seed,
        grouping=Grouping(group, group_by),
        overwrite=overwrite,
    )
    for line in (*found.words(), *least_accurate(found)):
        say(line)
    if found.oddest:
        say(f"most unlike calibration: {', '.join(map(shown, found.oddest))}")
    if details and found.accuracy.estimates:
        _print_tables(found)
    more = "" if details else "; --details prints other estimates of accuracy, and that of each class"
    say(f"{MONITORING} written to {folder_at(out)}{more if found.accuracy.estimates else ''}")


def _print_tables(found: Monitoring) -> None:
    from uncertainty.commands.tables import class_accuracy_table, decision_accuracy_table, estimates_table

    console().print(estimates_table(found.accuracy))
    if found.decisions is None:
        console().print(class_accuracy_table(found.accuracy, found.classes))
    else:
        console().print(decision_accuracy_table(found.decisions, found.classes))
