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
        """Fill in augmented views where the user named none: thorough has those that the classifier bears."""
        return ("auto",) if not named and self is Effort.THOROUGH else named

    def passes(self, given: int | None) -> int | None:
        """Fill in dropout sub-networks where the user gave no number: thorough runs them whatever they cost."""
        return MC_PASSES if given is None and self is Effort.THOROUGH else given
