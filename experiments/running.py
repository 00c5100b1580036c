"""What the experiments share: their command line, the loop over splits, and what they write."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import results_file, tables
from experiments.cache import DEFAULT_CACHE
from experiments.measuring import REGIMES, measured
from experiments.splits import Split
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN

SPLITS = 20
Make = Callable[[int], Split]


@dataclass(frozen=True)
class Options:
    """Number of splits; where outputs are kept, where CIFAR-10 lies, and where results go."""

    splits: int = SPLITS
    cache: Path = DEFAULT_CACHE
    data: Path | None = None
    out: Path = results_file.RESULTS


def options(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    return Options(**vars(command_line(description).parse_args(arguments)))


def command_line(description: str | None) -> ArgumentParser:
    """Return the parser of what all experiments are told; an experiment may add to it."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--splits", type=int, default=SPLITS, help="how many (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="outputs of networks (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10 and the weights of the ResNet-20")
    parser.add_argument("--out", type=Path, default=results_file.RESULTS, help="results (default: %(default)s)")
    return parser


def run(name: str, title: str, about: str, make: Mapping[tuple[str, ...], Make], chosen: Options) -> None:
    """Measure all splits, print the tables, and write them and the numbers; `make` gives the split of some regimes."""
    rows = []
    for seed in range(chosen.splits):
        say(f"{name}: split {seed + 1} of {chosen.splits}")
        parts = [measured(of(seed), regimes) for regimes, of in make.items()]
        rows.append({key: {k: v for part in parts for k, v in part[key].items()} for key in ("regimes", "kinds")})
    result = {
        "title": title,
        "about": about,
        "splits": list(range(chosen.splits)),
        "expected": [EXPECT_DAMAGE, EXPECT_UNKNOWN],
        **results_file.transposed(rows),
    }
    results_file.write(chosen.out / f"{name}.json", result)
    page = tables.document(results_file.read(chosen.out)[name])
    (chosen.out / f"{name}.md").write_text(page, encoding="utf-8")
    sys.stdout.write(page)


def say(what: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(what + "\n")


ALL = tuple(REGIMES)
