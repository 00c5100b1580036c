"""Make every page that p_wrong's figures are on again, and the tables that other pages take from them:
python -m experiments.detection.all_pages --data FOLDER --portfolio FOLDER.

Each page in its turn and with its own number of splits, or with those of `--splits` where that is less: the numbers of
all pages are then of one state of the package. What lacks its data is left out and said so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from experiments.detection import (
    cascade,
    cifar10,
    combiners,
    copies,
    digits,
    efforts,
    estimator_choice,
    expected_shares,
    few_errors,
    portfolio,
    readme_summary,
    second_opinions,
    solar_cells,
)
from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say

PAGES: dict[str, tuple[Callable[[Options], None], int]] = {
    "digits": (digits.main, 10),
    "solar_cells": (solar_cells.main, 10),
    "cifar10": (cifar10.main, 5),
    "efforts": (efforts.main, 5),
    "cascade": (cascade.main, 2),
    "portfolio": (portfolio.main, 4),
    "few_errors": (few_errors.main, 3),
    "estimator_choice": (estimator_choice.main, 2),
    "combiners": (combiners.main, 3),
    "copies": (copies.main, 3),
    "second_opinions": (second_opinions.main, 3),
}
"""The pages in order, each with how many splits it is of."""


def main(chosen: Options) -> None:
    """Make all pages; the tables of the README are of the committed results alone."""
    for name, (make, splits) in PAGES.items():
        begin = time.monotonic()
        try:
            make(replace(chosen, splits=min(splits, chosen.splits)))
        except SystemExit as missing:
            say(f"{name} is left out: {missing}")
        say(f"{name}: {time.monotonic() - begin:.0f} s")
    expected_shares.main(chosen.out)
    if chosen.out == results_file.RESULTS:
        readme_summary.main()


if __name__ == "__main__":
    main(options(__doc__))
