"""`python -m experiments.multilabel.multilabel --data FOLDER`: errors of networks of several labels, by image and by
decision, and promises of precision and recall.

Of the sets that are not asked for, the page keeps the numbers that it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from experiments.multilabel import sets
from experiments.multilabel.answers import DRAWS, measured_answers, require_mapie
from experiments.multilabel.judged import judged
from experiments.multilabel.page import page
from experiments.multilabel.solar import solar_maker
from experiments.shared import results_file
from experiments.shared.command_line import Options, command_line, say
from experiments.shared.fitted_screener import kinds_by_original, named_as_originals
from experiments.shared.image_sets import require_packages
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import bare_split
from uncertainty import ModelOutputs, Screener

NAME = "multilabel"
EFFORTS = {"fast": ("embedding", "tta_probs"), "balanced": ()}
"""Which columns each effort does without."""
SETS = ("tiles", "digits", "solar")
Make = Callable[[int], Split]


def streams(split: Split) -> dict[str, ModelOutputs]:
    """Return what arrives, by regime."""
    return {"clean": split.test_clean, "damaged": split.test_damaged, "unknown": split.test_unknown}


def screener_of(split: Split) -> Screener:
    """Fit a screener as users do, with the package's defaults."""
    return Screener.fit_outputs(
        split.reference,
        split.calibration,
        damaged=named_as_originals(split.calibration_damaged),
        foreign=named_as_originals(split.calibration_foreign),
        damage_kinds=kinds_by_original(split.calibration_damaged),
    )


def measured(make: Make, count: int, draws: int) -> dict[str, Any]:
    """Measure all splits of a set, and promises on the outputs of the first."""
    found = dict(results_file.transposed(list(_splits(make, count))))
    first = make(0)
    clean = ModelOutputs.concatenate([first.calibration, first.test_clean])
    return found | ({"answers": measured_answers(clean, draws)} if draws else {})


def _splits(make: Make, count: int) -> Iterator[dict[str, Any]]:
    for seed in range(count):
        split, found = make(seed), {}
        for effort, without in EFFORTS.items():
            if effort == "balanced" and not split.calibration.has("embedding"):
                continue
            seen = bare_split(split, without)
            screener = screener_of(seen)
            found[effort] = {regime: judged(screener, stream) for regime, stream in streams(seen).items()}
        say(f"split {seed}: {found['fast']['clean']['e_aurc p_wrong']:.1f}")
        yield found


def main() -> None:
    """Measure the sets that are asked for, and write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", default=",".join(SETS), help="which (default: %(default)s)")
    parser.add_argument("--embedded", type=int, default=5, help="splits of digits at balanced (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of promises; 0: no MAPIE (default: %(default)s)")
    chosen = vars(parser.parse_args())
    wanted, embedded, draws = (chosen.pop(name) for name in ("sets", "embedded", "draws"))
    if odd := [name for name in wanted.split(",") if name not in SETS]:
        parser.error(f"--sets names {', '.join(odd)}; there are {', '.join(SETS)}")
    options = replace(Options(), **chosen)
    require_packages()
    if draws:
        require_mapie()
    makers: dict[str, Callable[[], Make]] = {
        "tiles": lambda: sets.tiles_maker(options.folder, options.cache),
        "digits": lambda: sets.digits_maker(options.cache, embedded),
        "solar": lambda: solar_maker(options.folder, options.cache),
    }
    made = {name: measured(makers[name](), options.splits, draws) for name in wanted.split(",")}
    there = results_file.load(options.out, NAME) if (options.out / f"{NAME}.json").exists() else {}
    results_file.publish(options.out, NAME, {n: (there | made)[n] for n in SETS if n in there | made}, page)


if __name__ == "__main__":
    main()
