"""`python -m experiments.multilabel.adapted_labels --data FOLDER`: p_wrong of images and of single decisions, fitted to
a batch by `screen --adapt batch`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.multilabel.multilabel import screener_of
from experiments.multilabel.page import TITLES
from experiments.multilabel.sets import digits_maker, tiles_maker
from experiments.multilabel.solar import solar_maker
from experiments.shared import results_file
from experiments.shared.command_line import Options, command_line, say
from experiments.shared.image_sets import require_packages
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits
from experiments.shared.splits import REGIMES, Split
from uncertainty import ModelOutputs, Screener
from uncertainty.labels.tables import table_decisions
from uncertainty.screener.batch_level import ADAPTED_TO_BATCH

NAME = "adapted_labels"
SETS = ("tiles", "digits", "solar")
STREAMS = REGIMES | {
    "every": "all damaged by unseen kinds",
    "fewer": "seven in ten gone that carry one of two labels",
    "more": "half gone that carry neither of two labels",
}
SPLITS, IMAGES, POOL, KEPT = 5, 600, 1000, 0.3
Labels = NDArray[np.int64]
HEAD = """# Several labels: p_wrong adapted to a batch

What `screen --adapt batch` does where an image may have several labels. A screener is fitted as users fit it and
screens a batch of each stream, with and without it: {images} images in distribution; as many of which half, or all, are
damaged by kinds that calibration never saw; those in distribution and a quarter as many with unknown content; and of up
to {pool} in distribution what is left where seven in ten of the images go that carry one of two labels drawn by lot, or
half of those that carry neither. {splits} splits; labels of a batch only judge.

*Predicted* is mean p_wrong. *Off* is how far that lies from the error rate, in points, without sign and averaged over
the splits; *class* that of the decisions on one label, averaged over labels too, *the two* over those two whose shares
are others in the last two streams. *Adapted to* says in how many batches the shares of damaged images and of those like
nothing known were adapted, the shares of the labels, or nothing. All splits of the tiles share network and pictures.
How firmly shares of labels are held to those of calibration (a ridge of 5), and that p_wrong as calibrated is moved and
not that of clean images, was chosen on draws with other shares from the first split of each set, of digits also from
the second and from one that is not among these."""


def streams(split: Split, seed: int) -> tuple[dict[str, ModelOutputs], Labels]:
    """Return the batches of a split, by the name of the stream, and the two labels whose shares are others in some."""
    rng = np.random.default_rng([seed, 31])
    order = rng.permutation(len(split.test_clean))
    pool = split.test_clean.take(order[:POOL])
    two = rng.choice(pool.n_classes, 2, replace=False)
    carries, lot = (pool.labels[:, two] == 1).any(axis=1), rng.random(len(pool))
    batches = {
        "clean": split.test_clean.take(order[:IMAGES]),
        "damaged": split.test_damaged,
        "unknown": split.test_unknown,
        "every": split.every_test_damaged,
        "fewer": pool.take(np.flatnonzero(~carries | (lot < KEPT))),
        "more": pool.take(np.flatnonzero(carries | (lot < 0.5))),
    }
    return batches, two


def levels(screener: Screener, batch: ModelOutputs, two: Labels) -> dict[str, Any]:
    """Return error rates of images and decisions, and what is predicted as calibrated and as adapted to the batch."""
    wrong, each = batch.wrong, batch.wrong_decisions
    found: dict[str, Any] = {"images": len(batch), "wrong": float(wrong.mean()), "wrong decisions": float(each.mean())}
    for way, adapt in (("usual", None), ("adapted", "batch")):
        verdicts = screener.screen_outputs(batch, adapt=adapt)
        p, decisions = verdicts.table["p_wrong"].to_numpy(), table_decisions(verdicts.table, screener.model.classes)
        assert decisions is not None
        off = np.abs(decisions.mean(axis=0) - each.mean(axis=0))
        found[way] = {"images": float(p.mean()), "decisions": float(decisions.mean())}
        found[way] |= {"of a class": float(off.mean()), "of the two": float(off[two].mean())}
        found["to"] = verdicts.provenance.get(ADAPTED_TO_BATCH, {}).get("to")
    return found


def measured(make: Callable[[int], Split], count: int) -> dict[str, Any]:
    """Return the levels of all streams of all splits: lists over the splits."""
    splits = []
    for seed in range(count):
        split = make(seed)
        screener = screener_of(split)
        batches, two = streams(split, seed)
        splits.append({name: levels(screener, batch, two) for name, batch in batches.items()})
        say(f"split {seed}")
    return dict(results_file.transposed(splits))


def page(result: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    head = ["images", "stream", "wrong", "predicted", "adapted", "off", "adapted, off"]
    splits = max(len(streams["clean"]["images"]) for streams in result.values())
    images, decisions = (
        [*head, "adapted to"],
        [*head, "class, off", "adapted, class, off", "the two", "adapted, the two"],
    )
    return "\n\n".join(
        [
            HEAD.format(images=IMAGES, pool=f"{POOL:,}", splits=splits),
            f"## Images\n\n{table(images, list(_lines(result, 'images')))}",
            f"## Decisions\n\n{table(decisions, list(_lines(result, 'decisions')))}\n",
        ]
    )


def _lines(result: dict[str, Any], what: str) -> Iterator[list[str]]:
    for name, found in result.items():
        for stream, title in STREAMS.items():
            one = found[stream]
            truth = np.array(one["wrong" if what == "images" else "wrong decisions"])
            ways = [np.array(one[way][what]) for way in ("usual", "adapted")]
            cells = [TITLES[name], title, *(_percent(over_splits(list(x)).value) for x in (truth, *ways))]
            cells += [_points(float(np.abs(p - truth).mean())) for p in ways]
            if what == "images":
                yield [*cells, ", ".join(f"{to} {n}" for to, n in sorted(Counter(one["to"]).items()))]
            else:
                pairs = [(key, way) for key in ("of a class", "of the two") for way in ("usual", "adapted")]
                yield [*cells, *(_points(float(np.mean(one[way][key]))) for key, way in pairs)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def main() -> None:
    """Measure the sets that are asked for, and write the page; of the others it keeps the numbers that it has."""
    parser = command_line(__doc__)
    parser.add_argument("--sets", default=",".join(SETS), help="which (default: %(default)s)")
    parser.set_defaults(splits=SPLITS)
    chosen = vars(parser.parse_args())
    wanted = chosen.pop("sets").split(",")
    if odd := [name for name in wanted if name not in SETS]:
        parser.error(f"--sets names {', '.join(odd)}; there are {', '.join(SETS)}")
    options = replace(Options(), **chosen)
    require_packages()
    makers: dict[str, Callable[[], Callable[[int], Split]]] = {
        "tiles": partial(tiles_maker, options.folder, options.cache),
        "digits": partial(digits_maker, options.cache, 5),
        "solar": partial(solar_maker, options.folder, options.cache),
    }
    made = {name: measured(makers[name](), options.splits) for name in wanted}
    there = results_file.load(options.out, NAME) if (options.out / f"{NAME}.json").exists() else {}
    results_file.publish(options.out, NAME, {n: (there | made)[n] for n in SETS if n in there | made}, page)


if __name__ == "__main__":
    main()
