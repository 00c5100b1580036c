"""How much evidence a fit gathers for each image, in one word."""

from __future__ import annotations

from enum import StrEnum

from uncertainty.defaults import MC_PASSES


class Effort(StrEnum):
    """How much evidence to gather for each image."""

    FAST = "fast"
    BALANCED = "balanced"
    THOROUGH = "thorough"

    def embedder(self, named: str | None) -> str | None:
        """Fill in a second opinion where the user named none: all but fast have one."""
        return "efficientnet-lite0" if not named and self is not Effort.FAST else named

    def views(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """Fill in views where the user named none, if the classifier bears them: balanced the flip, thorough all."""
        of_effort = {Effort.FAST: (), Effort.BALANCED: ("auto", "flip"), Effort.THOROUGH: ("auto",)}
        return named or of_effort[self]

    def passes(self, given: int | None) -> int | None:
        """Fill in dropout sub-networks where the user gave no number: thorough runs them whatever they cost."""
        return MC_PASSES if given is None and self is Effort.THOROUGH else given
