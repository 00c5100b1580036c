"""`uncertainty doctor`."""

from __future__ import annotations

from uncertainty.commands.shared import console, say_notes


def doctor() -> None:
    """Say what is installed, what is missing, and where models run: uncertainty doctor."""
    from uncertainty.commands.tables import doctor_table, doctor_warnings

    console().print(doctor_table())
    say_notes(doctor_warnings())
