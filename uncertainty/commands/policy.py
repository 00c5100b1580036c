"""`uncertainty policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.policy_options import with_policy_options
from uncertainty.commands.shared import say
from uncertainty.figures import number_of


@with_policy_options
def policy(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    policy: Any,
    apply: Annotated[
        Path | None, typer.Option(help="Folder of a finished screening by it, to flag anew; no network is run.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
) -> None:
    """Plan, then change what is flagged, without a new fit: uncertainty policy SCREENER --budget 0.05 --apply OUT."""
    from uncertainty.workflows.policy import apply_policy, plan_policy
    from uncertainty.workflows.reflag import finished, reflag

    change = plan_policy(screener, policy)
    done = None if apply is None else finished(apply, change.after)  # refused before anything is said or changed
    say(str(change.after.plan()))
    if dry_run or (policy is None and apply is None):
        say("nothing was changed")
        return
    if policy is not None:
        apply_policy(change)
        before = change.before.decision.policy
        say(f"{change.after.decision}\nthe policy before, {before}, is kept in the manifest's history")
    if done is not None:
        summary = reflag(done, change.after)
        was = done.summary["flagged"]
        images = number_of(summary["images"], "image")
        say(f"{apply}: {summary['flagged']} of {images} flagged, before it were {was}")
