"""From a saved screener and a policy to what it would flag, and to the screener that flags so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uncertainty.decisions.policies import Policy
from uncertainty.errors import InputError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST, read_manifest
from uncertainty.screener.backups import changing


@dataclass(frozen=True)
class PolicyChange:
    """A screener in its folder before, and as it would be; the same where nothing was asked."""

    folder: Path
    before: Screener
    after: Screener


def plan_policy(screener: Path, policy: Policy | None) -> PolicyChange:
    """Decide the thresholds of another policy for a saved screener; nothing is written."""
    before = Screener.load(screener, None)
    return PolicyChange(screener, before, before if policy is None else before.with_policy(policy))


def apply_policy(change: PolicyChange) -> Screener:
    """Put the screener with its new policy in place; the policy before is kept in its history.

    Raises InputError where another process has changed the screener since it was planned.
    """
    with changing(change.folder):
        if read_manifest(change.folder / MANIFEST).id != change.before.id:
            raise InputError(f"{change.folder} was changed by another process meanwhile; plan the policy again")
        change.after.save(change.folder)
    return change.after
