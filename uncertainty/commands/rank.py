"""`uncertainty rank`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uncertainty.commands.options import TOOLS, Group, GroupBy, Overwrite, Screened, Target
from uncertainty.commands.shared import say, say_notes
from uncertainty.errors import InputError
from uncertainty.figures import number_of, percent, probability
from uncertainty.images.label_text import NO_LABEL
from uncertainty.images.remote import AnyFile, RemotePath, located
from uncertainty.storage.mirror import folder_at
from uncertainty.verbs.ranges import limits

if TYPE_CHECKING:
    import pyarrow as pa

Exported = Annotated[
    Target | None, typer.Option(metavar="TOOL", help=f"Export the list too, to a place beside it: {TOOLS}.")
]
Strategy = Annotated[
    str,
    typer.Option(
        help="spread; covering, to train a classifier on the labels; uncertainty, top_of_clusters, weighted_kmeans, "
        "weighted_k_centre, facility_location, badge, k_centre, power or random."
    ),
]
Explore = Annotated[
    float, typer.Option(**limits("explore"), help="Share drawn at random, so that accuracy can be estimated.")
]
QuotaPer = Annotated[
    str | None,
    typer.Option(
        help="predicted, or a column of the manifest: as many images for each value. doubt, of several labels an "
        "image: as many for each class whose decision is in doubt."
    ),
]
DoubtOf = Annotated[
    str | None,
    typer.Option(metavar="CLASS", help="Of several labels an image: rank by how likely wrong the decision on it is."),
]
Exclude = Annotated[
    list[Path] | None,
    typer.Option(help="Labels that are there (a table or class folders) or an earlier ranking; can be given again."),
]
ExcludeHopeless = Annotated[
    bool, typer.Option("--exclude-hopeless", help="Leave out images in which nobody could see anything.")
]
StopBelow = Annotated[
    float | None, typer.Option(**limits("stop_below"), help="Say so if fewer errors than this share are expected.")
]


def rank(
    out: Screened,
    n: Annotated[int, typer.Option("-n", **limits("n"), help="How many images.")] = 200,
    file: Annotated[
        Any,
        typer.Option("-o", "--out", parser=located, metavar="FILE", help="File to write: .csv, .parquet or .jsonl."),
    ] = None,
    to: Exported = None,
    strategy: Strategy = "spread",
    explore: Explore = 0.0,
    quota_per: QuotaPer = None,
    doubt_of: DoubtOf = None,
    exclude: Exclude = None,
    exclude_hopeless: ExcludeHopeless = False,
    stop_below: StopBelow = None,
    group: Group = None,
    group_by: GroupBy = None,
    seed: Annotated[int, typer.Option(**limits("seed"), help="Of the random part, and of strategies that draw.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """List the images to label next: uncertainty rank OUT -n 200 --explore 0.1."""
    from uncertainty.annotation.expected_yield import should_stop
    from uncertainty.checks.class_columns import DECISION
    from uncertainty.images.groups import Grouping
    from uncertainty.workflows.rank import rank_folder

    target: AnyFile = file or folder_at(out) / "ranking.csv"
    exported = None if to is None else _place(target, to, overwrite)
    found = rank_folder(
        out,
        n,
        target,
        strategy=strategy,
        explore=explore,
        quota_per=quota_per,
        doubt_of=doubt_of,
        exclude=exclude or (),
        exclude_hopeless=exclude_hopeless,
        seed=seed,
        grouping=Grouping(group, group_by),
        overwrite=overwrite,
    )
    say_notes(found.notes)
    _say_first(found.table, "p_wrong" if doubt_of is None else DECISION + doubt_of)
    say(str(found.expected))
    if stop_below is not None and should_stop(found.expected, stop_below):
        say(f"time to stop: {percent(found.expected.share)} of these are expected to be errors, below {stop_below:.1%}")
    say(f"{number_of(len(found.table), 'image')}, the first to label first, written to {target}")
    if to is not None and exported is not None and isinstance(target, Path):
        _export(target, to, exported, overwrite)


def _say_first(table: pa.Table, ranked_by: str) -> None:
    from uncertainty.annotation.class_doubts import DOUBTFUL
    from uncertainty.annotation.ranking import BY_CHANCE
    from uncertainty.commands.tables import shown

    for row in table.slice(0, 10).to_pylist():
        label, name = shown(row["predicted_label"]) or NO_LABEL, shown(row["file_name"])
        drawn = "  (drawn)" if row["drawn_by"] == BY_CHANCE else ""
        told = row.get(DOUBTFUL)
        doubts = f"  (in doubt: {shown(told)})" if told else ""
        say(f"{row['rank']:>4}  {shown(ranked_by)} {probability(row[ranked_by]):>6}  {label}  {name}{doubts}{drawn}")


def _place(target: AnyFile, to: Target, overwrite: bool) -> Path:
    """Return where the list is exported to, beside it; refused before anything is written where that is not free."""
    from uncertainty.exports.export import check_free
    from uncertainty.exports.targets import TABLES

    if isinstance(target, RemotePath):
        raise InputError(f"--to exports to this machine, and {target} is at a URL; give -o FILE for a file here")
    place = target.with_name(f"{target.stem}-{to}{TABLES.get(to, '')}")
    if to not in TABLES and not overwrite:
        check_free(place)
    return place


def _export(target: Path, to: Target, place: Path, overwrite: bool) -> None:
    from uncertainty.exports.export import export

    done = export(target, to, place, overwrite=overwrite)
    say_notes(done.notes)
    say(f"{done.images} of them exported for {to} to {done.path}")
