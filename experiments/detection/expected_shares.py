"""What it costs and gives to expect damaged and unknown images: python -m experiments.detection.expected_shares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.detection.stream_quality import SHARES
from experiments.shared import results_file
from experiments.shared.command_line import options
from experiments.shared.markdown import percent, table
from experiments.shared.results_file import change, over_splits
from experiments.shared.splits import REGIMES
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN

MOST = 2.0
"""Per cent of E-AURC on clean images that the defaults may cost on each set."""
LEGEND = """\
E-AURC x1000 of p_wrong for shares of the incoming images that are expected to be damaged and to be of no known class
(`--expect-damage`, `--expect-unknown`): mean over the splits, and its change against expecting neither. Lower is
better. The streams are clean, as calibration is; half damaged by kinds that calibration never saw; and with one image
in five of no known class."""
RULE = """\
The defaults of the package, {:g} and {:g}, are in bold. The rule was to expect as much as costs at most {:g} % of
E-AURC on clean images of every set. With 95 % t-intervals over the splits, the defaults cost {}."""
_FIRST = "{} {}".format(*SHARES[0])


def document(results: dict[str, dict[str, Any]]) -> str:
    """Return the page, from the results of all experiments."""
    columns = [(name, regime) for regime in REGIMES for name in results if regime in results[name]["regimes"]]
    head = ["expect_damage", "expect_unknown", *(f"{results[name]['title']}, {regime}" for name, regime in columns)]
    tried = [results[name]["regimes"][regime]["e_aurc_by_shares"] for name, regime in columns]
    rows = []
    for damage, unknown in SHARES:
        row = [f"{damage:g}", f"{unknown:g}", *(_cell(by_shares, f"{damage} {unknown}") for by_shares in tried)]
        chosen = (damage, unknown) == (EXPECT_DAMAGE, EXPECT_UNKNOWN)
        rows.append([f"**{cell}**" if chosen else cell for cell in row])
    rule = RULE.format(EXPECT_DAMAGE, EXPECT_UNKNOWN, MOST, _costs(results))
    return "\n\n".join(["# What the expected shares cost and give", LEGEND, table(head, rows), rule]) + "\n"


def _cell(by_shares: dict[str, Any], shares: str) -> str:
    relative = change(by_shares[shares], by_shares[_FIRST]).value
    return f"{1000 * over_splits(by_shares[shares]).value:.1f}" + (f" ({relative:+.1f} %)" if shares != _FIRST else "")


def _costs(results: dict[str, dict[str, Any]]) -> str:
    chosen = f"{EXPECT_DAMAGE} {EXPECT_UNKNOWN}"
    clean = {r["title"]: r["regimes"]["clean"]["e_aurc_by_shares"] for r in results.values()}
    return ", ".join(f"{percent(change(by[chosen], by[_FIRST]))} on {title}" for title, by in clean.items())


def main(folder: Path) -> None:
    """Print and write the page."""
    page = document(results_file.read(folder))
    (folder / "expected_shares.md").write_text(page, encoding="utf-8")
    sys.stdout.write(page)


if __name__ == "__main__":
    main(options(__doc__).out)
