"""How many copies of calibration images teach anything: python -m experiments.detection.copies --data FOLDER.

Of the damaged or of the foreign copies of calibration so many are kept, several times a split; all else stays. `fast`
effort. This is what `uncertainty.combination.copies.MOST` was chosen by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.shared import results_file, splits
from experiments.shared.combiner_evidence import TITLES, Seen, seen, taken
from experiments.shared.command_line import Options, options, say
from experiments.shared.markdown import table
from experiments.shared.splits import REGIMES
from experiments.shared.thorough_splits import bare_split
from uncertainty.combination.copies import MOST
from uncertainty.combination.evidence_rows import Evidence
from uncertainty.combination.fit import combine
from uncertainty.combination.mixture import Condition
from uncertainty.metrics import e_aurc

COUNTS = (100, 250, 500, 1000, 1500)
DRAWS = 3
NAME = "copies"
KINDS: tuple[Condition, ...] = ("damaged", "foreign")
ABOUT = """\
E-AURC of `p_wrong` at `fast` effort when so many copies of calibration images are damaged, or of no known class,
against a copy of each image: mean over {draws} draws of each of {splits} splits, and the worst draw, in per cent. Plus
is worse. CIFAR-10 has 2,500 calibration images, digits 650 (520 where the network knows eight). The package makes at
most {damaged:,} damaged and {foreign:,} foreign copies."""


def some_copies(evidence: Evidence, kind: Condition, count: int, seed: int) -> Evidence:
    """Keep so many copies of a kind; together they weigh what all of them did."""
    own = np.flatnonzero(evidence.rows(kind))
    kept = np.ones(len(evidence.wrong), dtype=bool)
    kept[own] = False
    kept[np.random.default_rng([seed, count]).choice(own, count, replace=False)] = True
    weights = evidence.weights.copy()
    weights[own] *= len(own) / count
    return taken(kept, replace(evidence, weights=weights))


def measured(split: Seen) -> dict[str, Any]:
    """Return E-AURC by kind of copies, their number, and stream; JSON values."""
    found: dict[str, Any] = {"all": _judged(split, split.calibration)}
    for kind in KINDS:
        available = int(split.calibration.rows(kind).sum())
        for count in (c for c in COUNTS if c < available):
            draws = [_judged(split, some_copies(split.calibration, kind, count, draw)) for draw in range(DRAWS)]
            found[f"{kind} {count}"] = results_file.transposed(draws)
    return found


def _judged(split: Seen, evidence: Evidence) -> dict[str, float]:
    combiner = combine(evidence).combiner
    return {regime: e_aurc(s.wrong, combiner.p_wrong(s.signals)) for regime, s in split.streams.items()}


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    rows = [
        [TITLES[name], *key.split(), *(_cell(by_regime.get(k), numbers["all"].get(k)) for k in REGIMES)]
        for name, numbers in results.items()
        for key, by_regime in numbers.items()
        if key != "all"
    ]
    counts = {len(next(iter(numbers["all"].values()))) for numbers in results.values()}
    about = " ".join(ABOUT.format(draws=DRAWS, splits=" or ".join(map(str, sorted(counts))), **MOST).split())
    head = ["images", "copies", "how many", *REGIMES.values()]
    return f"# How many copies of calibration images teach\n\n{about}\n\n{table(head, rows)}\n"


def _cell(draws: list[list[float]] | None, every: list[float] | None) -> str:
    if draws is None or every is None:
        return ""
    changes = [100 * (value / base - 1) for split, base in zip(draws, every, strict=True) for value in split]
    return f"{np.mean(changes):+.2f} % ({max(changes):+.1f} %)"


def _sets(chosen: Options) -> dict[str, Iterator[Seen]]:
    made = {
        "digits": (seen(splits.digits_split(k), ("clean", "damaged")) for k in range(chosen.splits)),
        "digits_unknown": (seen(splits.digits_unknown_split(k), ("unknown",)) for k in range(chosen.splits)),
    }
    return made if chosen.data is None else made | {"cifar10": _cifar10(chosen)}


def _cifar10(chosen: Options) -> Iterator[Seen]:
    make = splits.cifar10_maker(chosen.folder, chosen.cache)
    return (seen(bare_split(make(k), ("tta_probs",)), tuple(REGIMES)) for k in range(chosen.splits))


def main(chosen: Options) -> None:
    """Measure and publish."""
    results: dict[str, Any] = {}
    for name, made in _sets(chosen).items():
        rows = []
        for split in made:
            say(f"{name}: split {len(rows) + 1} of {chosen.splits}")
            rows.append(measured(split))
        results[name] = results_file.transposed(rows)
    results_file.publish(chosen.out, NAME, results, document)


if __name__ == "__main__":
    main(options(__doc__))
