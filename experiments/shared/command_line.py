"""What the experiments share: their command line, the loop over splits, and what they write."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.shared import results_file
from experiments.shared.cache import DEFAULT_CACHE

SPLITS = 20


@dataclass(frozen=True)
class Options:
    """Number of splits; where outputs are kept, where CIFAR-10 and other cases lie, and where results go."""

    splits: int = SPLITS
    cache: Path = DEFAULT_CACHE
    data: Path | None = None
    out: Path = results_file.RESULTS
    portfolio: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder of --data, for those that cannot do without; SystemExit where it was not given."""
        if self.data is None:
            raise SystemExit("--data was not given; it is a folder with CIFAR-10, see experiments/README.md")
        return self.data


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
    parser.add_argument("--portfolio", type=Path, help="folder with more cases as arrays, see portfolio")
    return parser


def say(what: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(what + "\n")
