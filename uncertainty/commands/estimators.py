"""`uncertainty estimators`."""

from __future__ import annotations

from uncertainty.commands.shared import console


def estimators() -> None:
    """List the estimators, what each reads and what it says: uncertainty estimators."""
    from uncertainty.commands.tables import estimators_table

    console().print(estimators_table())
