"""`uncertainty policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uncertainty.commands.policy_options import with_policy_options


@with_policy_options
def policy(
    screener: Annotated[Path, typer.Argument(help="Folder that `uncertainty fit` wrote.")],
    policy: Any,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
) -> None:
    """Plan, then change what is flagged, without a new fit: uncertainty policy SCREENER --max-error 0.02."""
    from uncertainty.workflows.policy import apply_policy, plan_policy

    change = plan_policy(screener, policy)
    typer.echo(str(change.after.plan()))
    if policy is None or dry_run:
        typer.echo("nothing was changed")
        return
    changed = apply_policy(change)
    before = change.before.decision.policy
    typer.echo(f"{changed.decision}\nthe policy before, {before}, is kept in the manifest's history")
