"""Handwritten digits, a small network with dropout: python -m experiments.detection.digits."""

from __future__ import annotations

from experiments.detection.stream_quality import run
from experiments.shared.command_line import Options, options
from experiments.shared.splits import Make, digits_split, digits_unknown_split

ABOUT = """\
scikit-learn's 1,797 digits of 8x8 pixels and the network of `uncertainty demo`, trained anew in each split on 350 of
them; 650 calibrate and 797 are screened. Of no known class are two digits, others in each split, which a network of
its own for that stream never saw: there eight digits are known."""


def main(chosen: Options) -> None:
    """Measure digits."""
    make: dict[tuple[str, ...], Make] = {("clean", "damaged"): digits_split, ("unknown",): digits_unknown_split}
    run("digits", "Digits", ABOUT, make, chosen)


if __name__ == "__main__":
    main(options(__doc__))
