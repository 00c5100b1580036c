"""Run every experiment, then make the tables over all:
python -m experiments.detection.all_image_sets --data FOLDER."""

from __future__ import annotations

from experiments.detection import cifar10, digits, expected_shares, readme_summary, solar_cells
from experiments.shared import results_file
from experiments.shared.command_line import Options, options, say


def main(chosen: Options) -> None:
    """Run all; what lacks its data is left out and said so."""
    for experiment in (digits, solar_cells, cifar10):
        try:
            experiment.main(chosen)
        except SystemExit as missing:
            say(f"{experiment.__name__.rpartition('.')[2]} is left out: {missing}")
    expected_shares.main(chosen.out)
    if chosen.out == results_file.RESULTS:
        readme_summary.main()


if __name__ == "__main__":
    main(options(__doc__))
