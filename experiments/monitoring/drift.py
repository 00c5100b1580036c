"""False alarms and power of the drift alarm: python -m experiments.monitoring.drift --data FOLDER."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.monitoring.accuracy_without_labels import over_sets, rows_of
from experiments.shared import image_sets, results_file
from experiments.shared.command_line import Options, options
from experiments.shared.fitted_screener import fitted
from experiments.shared.markdown import table
from experiments.shared.splits import Split
from uncertainty import Screener
from uncertainty.monitoring.baseline import Rows
from uncertainty.monitoring.drift import Column, detect, values_of
from uncertainty.monitoring.stream import first_alarm

SPLITS, CLEAN, DRIFTED, STREAMS = 1, 500, 10, 25
SIZES, LEVELS = (50, 200, 1000), (0.01, 0.05)
PERMUTATIONS = 99
STREAM, CHANGE = 400, 200
ABOUT = """\
# The drift alarm

**Batches.** False alarms: calibration and a clean batch are drawn anew from the clean rows that fitted no estimator,
{clean} times for each size; per cent of batches that alarm at level 1 % and 5 %. Power: per cent of {drifted} batches
that alarm at level 1 % when half of their rows, or all, are damaged by one kind, or a fifth are of no known class. A
batch larger than what a split has is left out. {permutations} permutations (the package takes 999); splits: {splits}.

**Streams.** Conformal martingales at level 1 % over all scores and image statistics: per cent of {streams} clean
streams of {length} images that ever alarm; and for streams that change after {change} images, how many alarm, how many
had alarmed before the change, and after how many images more (median)."""


def columns_of(screener: Screener) -> list[Column]:
    """Return what is tested."""
    image = [Column(name, "image") for name in screener.baseline.context_names]
    return [*(Column(e.name, e.family) for e in screener.estimators), *image]


def joined(first: Rows, second: Rows) -> Rows:
    """Return the rows of both."""
    return Rows(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in vars(first)})


def measured(split: Split, other: Split, seed: int) -> dict[str, Any]:
    """Return alarms on clean and drifted batches and streams."""
    screener = fitted(split)
    theirs = screener if other is split else fitted(other)
    damaged = split.every_test_damaged
    unknown = other.test_unknown.take(other.test_unknown.labels == image_sets.UNKNOWN)
    rows = {
        "calibration": rows_of(screener, split.calibration),
        "clean": rows_of(screener, split.test_clean),
        "damaged": rows_of(screener, damaged),
        "their_clean": rows_of(theirs, other.test_clean),
        "unknown": rows_of(theirs, unknown),
    }
    return alarms(screener, theirs, rows, image_sets.kinds(np.asarray(damaged.ids)), seed)


def alarms(
    screener: Screener, theirs: Screener, rows: dict[str, Rows], kinds: NDArray[np.str_], seed: int
) -> dict[str, Any]:
    """Return alarms from what monitoring reads of each set; `kinds` are those of the damaged rows."""
    rng, n = np.random.default_rng([seed, 9]), len(rows["calibration"])
    pools = {str(kind): rows["damaged"].take(kinds == kind) for kind in np.unique(kinds)}
    clean = joined(rows["calibration"], rows["clean"])
    return {
        "clean": {str(size): _clean(screener, clean, n, size, rng) for size in SIZES},
        "half": {kind: _powers(screener, rows["clean"], pool, 0.5, rng) for kind, pool in pools.items()},
        "all": {kind: _powers(screener, rows["clean"], pool, 1.0, rng) for kind, pool in pools.items()},
        "unknown": _powers(theirs, rows["their_clean"], rows["unknown"], 0.2, rng),
        "streams": {
            "clean": _streams(clean, None, n, rng),
            "all damaged": _streams(clean, rows["damaged"], n, rng),
        },
    }


def _clean(screener: Screener, pool: Rows, n_calibration: int, n: int, rng: np.random.Generator) -> Any:
    if n_calibration + n > len(pool):
        return None
    p = []
    for _ in range(CLEAN):
        rows = rng.permutation(len(pool))
        known, seen = pool.take(rows[:n_calibration]), pool.take(rows[n_calibration : n_calibration + n])
        p.append(_p(screener, known, seen, rng)[0])
    return {str(level): int((np.array(p) <= level).sum()) for level in LEVELS}


def _powers(screener: Screener, clean: Rows, pool: Rows, share: float, rng: np.random.Generator) -> dict[str, Any]:
    return {str(n): _power(screener, clean, pool, share, n, rng) for n in SIZES}


def _power(screener: Screener, clean: Rows, pool: Rows, share: float, n: int, rng: np.random.Generator) -> Any:
    some = round(share * n)
    if n - some > len(clean):
        return None
    alarms, named = 0, Counter[str]()
    for _ in range(DRIFTED):
        # With replacement where a kind has fewer rows than the batch asks for.
        changed = pool.take(rng.choice(len(pool), some, replace=some > len(pool)))
        batch = joined(clean.take(rng.permutation(len(clean))[: n - some]), changed)
        p, kind = _p(screener, screener.baseline.rows, batch, rng)
        alarms += p <= LEVELS[0]
        named[kind] += p <= LEVELS[0]
    return {"alarms": alarms, "named": dict(named)}


def _p(screener: Screener, known: Rows, seen: Rows, rng: np.random.Generator) -> tuple[float, str]:
    found = detect(known, seen, columns_of(screener), permutations=PERMUTATIONS, seed=int(rng.integers(1 << 30)))
    return found.p_value or 0.0, found.changes[0].column.kind


def _streams(clean: Rows, after: Rows | None, n_calibration: int, rng: np.random.Generator) -> dict[str, Any]:
    ever, early, delays = 0, 0, []
    length = min(STREAM, len(clean) - n_calibration)
    for _ in range(STREAMS):
        rows = rng.permutation(len(clean))
        values = values_of(clean.take(rows[n_calibration:][:length]))
        if after is not None:
            values[CHANGE:] = values_of(after)[rng.permutation(len(after))[: length - CHANGE]]
        at = first_alarm(values_of(clean)[rows[:n_calibration]], values, LEVELS[0], int(rng.integers(1 << 30)))
        ever += at is not None
        if after is not None and at is not None:
            early += at[0] < CHANGE
            delays += [at[0] - CHANGE] if at[0] >= CHANGE else []
    return {"ever": ever, "early": early, "delay": float(np.median(delays)) if delays else None}


def document(results: dict[str, Any]) -> str:
    """Return the page."""
    n = len(results["splits"])
    about = ABOUT.format(
        clean=CLEAN * n,
        drifted=DRIFTED * n,
        permutations=PERMUTATIONS,
        splits=n,
        streams=STREAMS * n,
        length=STREAM,
        change=CHANGE,
    )
    clean = table(["images", "batch", *(f"alarms at {100 * level:g} %" for level in LEVELS)], list(_false(results)))
    power = table(["images", "change", *map(str, SIZES), "named first"], list(_found(results)))
    streams = table(["images", "stream", "alarm", "before the change", "images until then"], list(_late(results)))
    return f"{about}\n\n## False alarms\n\n{clean}\n\n## Power\n\n{power}\n\n## Streams\n\n{streams}\n"


def _false(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in results["sets"].items():
        for size, levels in found["clean"].items():
            if isinstance(levels, dict):
                yield [name, size, *(f"{_share(levels[str(level)], CLEAN)} %" for level in LEVELS)]


def _found(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in results["sets"].items():
        changes = {f"{kind}, {part}": found[part][kind] for kind in found["all"] for part in ("half", "all")}
        changes["unknown, one in five"] = found["unknown"]
        for change, sizes in changes.items():
            known = [sizes[str(n)] for n in SIZES]
            cells = [_share(k["alarms"], DRIFTED) if isinstance(k, dict) else "" for k in known]
            counts = Counter[str]()
            for k in (k for k in known if isinstance(k, dict)):
                for kind, times in k["named"].items():
                    counts[kind] += sum(t or 0 for t in times)
            yield [name, change, *cells, counts.most_common(1)[0][0] if sum(counts.values()) else ""]


def _late(results: dict[str, Any]) -> Iterator[list[str]]:
    for name, found in results["sets"].items():
        for stream, numbers in found["streams"].items():
            delays = [d for d in numbers["delay"] if d is not None]
            late = f"{np.median(delays):.0f}" if delays else ""
            yield [name, stream, *(f"{_share(numbers[k], STREAMS)} %" for k in ("ever", "early")), late]


def _share(counts: list[Any], trials: int) -> str:
    known = [count for count in counts if count is not None]
    return f"{100 * sum(known) / (trials * len(known)):.1f}"


def main(chosen: Options) -> None:
    """Measure, print and write."""
    seeds = range(min(chosen.splits, SPLITS))
    results = {"splits": list(seeds), "sets": over_sets(chosen, seeds, measured)}
    results_file.publish(chosen.out, "drift", results, document)


if __name__ == "__main__":
    main(options(__doc__))
