"""In which order images are looked at, decided once and kept with the labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from uncertainty.annotation.ranking import select
from uncertainty.annotation.ranking_settings import RankingSettings
from uncertainty.defaults import EXPLORE
from uncertainty.errors import InputError
from uncertainty.verdicts import Verdicts, file_of, folder_of, ranks
from uncertainty.workflows.rank import read_known
from uncertainty.written import fingerprint

FIRST = 2000
"""So many images are chosen by the strategy, and set beside their near-duplicates; all others follow by p_wrong."""


@dataclass(frozen=True)
class Plan:
    """What is looked at first, and how much of it by chance.

    Parameters
    ----------
    explore : share of the images shown that is drawn evenly from all, so that labels speak for all of them.
    second : share of the images that a second person sees too, without the first one's answer.
    strategy : one of those of `uncertainty rank`.
    seed : of both shares, and of strategies that draw.

    """

    explore: float = EXPLORE
    second: float = 0.0
    strategy: str = "uncertainty"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("explore", "second"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name):g}; it is a share of the images, from 0 to 1")

    def about(self, out: Path) -> dict[str, str]:
        """Return what a review by this plan is of, as text."""
        return {name: str(value) for name, value in asdict(self).items()} | {"verdicts": fingerprint(file_of(out))}

    def second_look(self, n: int) -> set[int]:
        """Return which of n images a second person sees."""
        drawn = np.random.default_rng([self.seed, 3]).random(n) < self.second
        return {int(k) for k in np.flatnonzero(drawn)}


def ordered(verdicts: Verdicts, out: Path, plan: Plan) -> tuple[list[int], list[int], list[str]]:
    """Return rows of a verdict table as they are ranked, the same drawn at random, and notes.

    Images that could not be read are in neither. A near-duplicate follows the image that stands for it.
    """
    table = verdicts.table
    p_wrong = np.asarray(table["p_wrong"].to_numpy(zero_copy_only=False), dtype=np.float64)
    readable = np.flatnonzero(~np.isnan(p_wrong) & ~np.asarray(table["error"].is_valid().to_pylist(), dtype=bool))
    if not len(readable):
        raise InputError(f"none of the {len(table)} images in {out} could be read, so there is nothing to review")
    names = table["file_name"].to_pylist()
    known, notes = read_known(folder_of(out), verdicts)
    asked = RankingSettings(min(FIRST, len(readable)), plan.strategy, seed=plan.seed)
    found = select(verdicts, asked, known)
    rows = {name: k for k, name in enumerate(names)}
    first = [
        rows[name]
        for head, others in zip(*(found.table[c].to_pylist() for c in ("file_name", "duplicates")), strict=True)
        for name in (head, *others)
    ]
    by_p_wrong = np.argsort(ranks(p_wrong))
    rest = by_p_wrong[np.isin(by_p_wrong, readable) & ~np.isin(by_p_wrong, first)]
    drawn = np.random.default_rng([plan.seed, 2]).permutation(readable)
    skipped = len(table) - len(readable)
    lost = [f"images that could not be read are not shown: {skipped} of {len(table)}"] * bool(skipped)
    return [*dict.fromkeys(first), *rest.tolist()], drawn.tolist(), [*lost, *notes]
