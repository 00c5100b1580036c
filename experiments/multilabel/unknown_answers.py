"""`python -m experiments.multilabel.unknown_answers --data FOLDER`: calibration of which some answers are unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from experiments.multilabel.multilabel import EFFORTS, screener_of
from experiments.multilabel.page import TITLES
from experiments.multilabel.sets import digits_maker, tiles_maker
from experiments.multilabel.solar import solar_maker
from experiments.shared import results_file
from experiments.shared.command_line import Options, command_line, say
from experiments.shared.fitted_screener import named_as_originals
from experiments.shared.image_sets import require_packages
from experiments.shared.markdown import table
from experiments.shared.results_file import over_splits
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import bare_split
from uncertainty import ModelOutputs, Screener, metrics
from uncertainty.labels.tables import table_decisions

NAME = "unknown_answers"
SETS = ("tiles", "digits", "solar")
SHARES = (0.0, 0.1, 0.25, 0.5)
SPLITS = 5
HEAD = """# Several labels: unknown answers in calibration

A screener at `fast` is fitted as users fit it, after a share of the answers of calibration was made unknown, drawn
alike over images and labels; damaged copies lack the same answers as their originals. *Whole* is how many of the {n}
images then still have every answer. It screens images in distribution, all of whose answers are known: their error
rate and that of single decisions beside what is predicted, E-AURC x1000 of images, and AUROC of decisions, mean over
labels. {splits} splits."""


def with_unknown(split: Split, share: float, seed: int) -> Split:
    """Return the split with a share of the answers of calibration, and of its copies, unknown."""
    lot = np.random.default_rng([seed, 37]).random(split.calibration.labels.shape) < share
    of = {str(name): row for row, name in enumerate(split.calibration.ids)}

    def hidden(rows: ModelOutputs) -> ModelOutputs:
        originals = [of[str(name)] for name in named_as_originals(rows).ids]
        return replace(rows, labels=np.where(lot[originals], -1, rows.labels))

    return replace(split, calibration=hidden(split.calibration), calibration_damaged=hidden(split.calibration_damaged))


def levels(screener: Screener, stream: ModelOutputs) -> dict[str, float]:
    """Return error rates of images and of decisions, what is predicted, and how well errors are ranked."""
    verdicts = screener.screen_outputs(stream).table
    p, each = verdicts["p_wrong"].to_numpy(), table_decisions(verdicts, screener.model.classes)
    assert each is not None
    wrong, decisions = stream.wrong, stream.wrong_decisions
    told = [metrics.auroc(w, s) for w, s in zip(decisions.T, each.T, strict=True) if w.any() and not w.all()]
    return {
        "wrong": float(wrong.mean()),
        "predicted": float(p.mean()),
        "wrong decisions": float(decisions.mean()),
        "predicted decisions": float(each.mean()),
        "e_aurc": 1000 * metrics.e_aurc(wrong, p),
        "auroc of decisions": float(np.mean(told)),
    }


def measured(make: Callable[[int], Split], count: int) -> dict[str, Any]:
    """Return the levels at all shares of all splits: lists over the splits."""
    splits = []
    for seed in range(count):
        split, found = bare_split(make(seed), EFFORTS["fast"]), {}
        for share in SHARES:
            seen = with_unknown(split, share, seed)
            whole = (seen.calibration.labels >= 0).all(axis=1)
            found[f"{share:g}"] = levels(screener_of(seen), split.test_clean) | {
                "whole": int(whole.sum()),
                "images": len(whole),
            }
        splits.append(found)
        say(f"split {seed}")
    return dict(results_file.transposed(splits))


def page(result: dict[str, Any]) -> str:
    """Return the page in Markdown."""
    known = next(iter(result.values()))["0"]
    head = HEAD.format(n=known["images"][0], splits=max(len(one["0"]["images"]) for one in result.values()))
    columns = ["images", "unknown", "whole", "wrong", "predicted", "decisions wrong", "predicted", "E-AURC", "AUROC"]
    return f"{head}\n\n{table(columns, list(_lines(result)))}\n"


def _lines(result: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in result.items():
        for share in SHARES:
            mean = {key: over_splits(list(values)).value for key, values in found[f"{share:g}"].items()}
            rates = ("wrong", "predicted", "wrong decisions", "predicted decisions")
            yield [
                TITLES[name],
                f"{share:.0%}",
                f"{mean['whole']:.0f}",
                *(f"{100 * mean[key]:.1f} %" for key in rates),
                f"{mean['e_aurc']:.1f}",
                f"{mean['auroc of decisions']:.3f}",
            ]


def main() -> None:
    """Measure all three sets, and write the page."""
    parser = command_line(__doc__)
    parser.set_defaults(splits=SPLITS)
    options = replace(Options(), **vars(parser.parse_args()))
    require_packages()
    makers: dict[str, Callable[[], Callable[[int], Split]]] = {
        "tiles": partial(tiles_maker, options.folder, options.cache),
        "digits": partial(digits_maker, options.cache, 5),
        "solar": partial(solar_maker, options.folder, options.cache),
    }
    made = {name: measured(makers[name](), options.splits) for name in SETS}
    results_file.publish(options.out, NAME, made, page)


if __name__ == "__main__":
    main()
