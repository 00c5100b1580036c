"""What is asked of a ranking, in one value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from uncertainty.annotation.batch_selection import DEFAULT, STRATEGIES
from uncertainty.errors import InputError
from uncertainty.images.groups import APART, Grouping

DOUBT = "doubt"


@dataclass(frozen=True)
class RankingSettings:
    """How many images to list, and which.

    Raises InputError: n below 1, an unknown strategy, a share outside 0..1.

    Parameters
    ----------
    n : how many.
    strategy : one of STRATEGIES, which chooses among the candidates.
    explore : share of the n that is drawn evenly from all candidates that the strategy did not choose, near-duplicates
        too, so that the labels can speak for all of them.
    quota_per : "predicted", "doubt" or a column of the manifest: each value gets the same number of images, as far as
        it has them. An image with several predicted labels counts for each of them. The values of "doubt" are the
        classes whose decision is in doubt, and each takes the images that it is likeliest wrong in.
    doubt_of : a class of several an image: not images are ranked by p_wrong but this decision on them.
    exclude_hopeless : leave out images in which nobody could see anything, see `selecting.HOPELESS`.
    seed : of the random part, and of strategies that draw.
    grouping : which images belong together, by a column of the manifest or by their names; one of them is listed, the
        others wait as near-duplicates do.

    """

    n: int
    strategy: str = DEFAULT
    explore: float = 0.0
    quota_per: str | None = None
    doubt_of: str | None = None
    exclude_hopeless: bool = False
    seed: int = 0
    grouping: Grouping = APART

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"-n is {self.n}; ask for at least one image")
        if self.strategy not in STRATEGIES:
            raise InputError(f"no strategy is called {self.strategy!r}; choose one of {', '.join(STRATEGIES)}")
        if not 0 <= self.explore <= 1:
            raise InputError(f"explore is {self.explore:g}; it is a share of the images, from 0 to 1")
        if self.doubt_of is not None and self.quota_per == DOUBT:
            raise InputError(
                f"doubt_of ranks the doubts of {self.doubt_of!r} alone, quota_per={DOUBT!r} those of each class; give "
                "one of them"
            )
