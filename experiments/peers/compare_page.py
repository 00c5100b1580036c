"""The page of the comparison, made from its numbers alone: python -m experiments.peers.compare_page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from experiments.peers import compare_plots
from experiments.peers.compare_numbers import (
    BASELINE,
    OURS,
    SINGLE,
    Cell,
    best,
    cells,
    efforts_of,
    everywhere,
    of_project,
    projects,
    relative_cost,
)
from experiments.shared.image_sets import TITLES
from experiments.shared.markdown import FEW_ERRORS, percent, table
from experiments.shared.results_file import RESULTS, change, load, over_splits, republish
from uncertainty.defaults import MC_PASSES

NAME = "compare"
ABOUT = """\
Every score here reads the same outputs of the same classifiers: logits, features of the last layer, {passes} dropout
sub-networks. Detectors of other projects run in their own code, with their default arguments, and with the sign that
their documentation gives; none was turned round or tuned by its result. They are fitted on the same known-good images
with labels as ours; those that take validation data get the same calibration images. `p_wrong` alone weighs evidence by
the errors in calibration, and by damaged and unrecognisable copies of its images: most detectors have no way to use
those. Sets, classifiers and streams are those of [README.md](../README.md). Splits: {splits}."""
EFFORTS = """\
`fast` is one forward pass, with dropout replayed in the head where that is cheap (digits, solar cells); besides what
the others read it looks at brightness, blur and the like of the pixels. `balanced` adds a second, independent backbone,
and `thorough` augmented views, and dropout on CIFAR-10, where it stands in the middle of the network. No other project
uses a second backbone or views, so `fast` is the comparison on nearly equal information (on CIFAR-10 it has less than
those that read dropout), and the other two say what more is worth. An empty field was not measured, see
[efforts.md](efforts.md)."""
READING = """\
E-AURC x1000: lower is better, 0 is a perfect ranking. Means over the splits; intervals are 95 % t-intervals over them.
The splits cut one pool of images anew, so the intervals say how much depends on the cut. The best of others is chosen
in hindsight, anew for each row, which nobody could do beforehand."""
COSTS = """\
What each score reads besides the logits, and what an image costs in passes of the classifier, the pass itself included:
multiplications, counted, so the same on every machine. Dropout passes are replayed in the head for every score alike
where they can be: a project's own code would run them in full. What a score itself computes from the outputs is not
counted. Of augmented views the mean over splits is counted, since only those are kept that the classifier bears."""
MISSING = (
    "An experiment of its own will stand here: how `p_wrong` does when calibration holds 10, 20, 50, 100 or 200 errors."
)


def document(results: dict[str, Any], few_errors: str = MISSING) -> str:
    """Return the page."""
    found = list(cells(results))
    parts = [
        "# Comparison with other projects",
        ABOUT.format(passes=MC_PASSES, splits=_splits(results)),
        EFFORTS,
        "## Summary",
        READING,
        _summary(found),
        _verdict(found),
        "### The best detector of each project",
        "In hindsight, for each row.",
        _by_project(found),
        "### One score for everything",
        _everywhere(found),
        "## Figures",
        f"![Risk-coverage curves]({compare_plots.CURVES})",
        f"![Quality against cost]({compare_plots.COSTS})",
        "## Few errors in calibration",
        f"{FEW_ERRORS[0]}\n\n{few_errors}\n\n{FEW_ERRORS[1]}",
        "## Every score",
        "Sorted by E-AURC. `p_wrong` is ours; scores of the project `uncertainty` are our estimators, each alone.",
        *(_details(cell) for cell in found),
        "## What each needs and costs",
        COSTS,
        _costs(results),
        "## What could not be compared",
        "\n".join(f"- {line}" for line in [*results["left_out"], *_failures(results)]),
        "## Versions",
        ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".",
        "## Repeat it",
        _REPEAT,
    ]
    return "\n\n".join(parts) + "\n"


def _splits(results: dict[str, Any]) -> str:
    counts = {
        TITLES[name]: len(next(iter(result["regimes"].values()))["images"]) for name, result in results["sets"].items()
    }
    missing = [title for name, title in TITLES.items() if name not in results["sets"]]
    told = ", ".join(f"{title} {count}" for title, count in counts.items())
    return f"{told}. Not measured yet: {', '.join(missing)}" if missing else told


def _summary(found: list[Cell]) -> str:
    efforts = efforts_of(found)
    head = ["images", "stream", "max softmax", "best of others", "our best single estimator"]
    head += [f"`{effort}`, against the best of others" for effort in efforts]
    rows = []
    for cell in found:
        peer, single = best(cell, others=True), best(cell, others=False)
        row = [cell.images, cell.stream, cell.thousandths(BASELINE)]
        row += [f"{cell.thousandths(name)} ({name})" for name in (peer, single)]
        rows.append([*row, *(_against(cell, f"{OURS} {effort}", peer) for effort in efforts)])
    return table(head, rows)


def _against(cell: Cell, name: str, peer: str) -> str:
    if name not in cell.scores:
        return ""
    return f"**{cell.thousandths(name)}** {percent(change(cell.e_aurc(name), cell.e_aurc(peer)))}"


def _verdict(found: list[Cell]) -> str:
    """Return which cells each effort wins, which are undecided and which it loses, against the best of others."""
    lines = []
    for effort in efforts_of(found):
        sides: dict[str, list[str]] = {"better": [], "undecided": [], "worse": []}
        for cell in (c for c in found if f"{OURS} {effort}" in c.scores):
            peer = best(cell, others=True)
            mean = change(cell.e_aurc(f"{OURS} {effort}"), cell.e_aurc(peer))
            side = "better" if mean.high < 0 else "worse" if mean.low > 0 else "undecided"
            sides[side].append(f"{cell.images}, {cell.stream} {percent(mean)}")
        told = [f"{side} in {len(where)}" for side, where in sides.items()]
        lines.append(f"- `{effort}` against the best of others: {', '.join(told)} of {sum(map(len, sides.values()))}.")
        lines += [f"  - {side}: {'; '.join(sides[side])}." for side in ("undecided", "worse") if sides[side]]
    return "Better and worse are said where the whole interval is on that side.\n\n" + "\n".join(lines)


def _by_project(found: list[Cell]) -> str:
    names = projects(found)
    rows = []
    for cell in found:
        row = [cell.images, cell.stream]
        for project in names:
            name = min(of_project(cell, project), key=cell.mean, default=None)
            row.append("" if name is None else f"{cell.thousandths(name)} ({name.removeprefix(f'{project} ')})")
        rows.append(row)
    return table(["images", "stream", *names], rows)


def _everywhere(found: list[Cell], most: int = 5) -> str:
    ranking = everywhere(found)
    ours = [name for name, _, _ in ranking if name.startswith(f"{OURS} ")]
    others = [n for n, _, _ in ranking if n not in ours and found[0].project(n) != SINGLE][:most]
    singles = [n for n, _, _ in ranking if found[0].project(n) == SINGLE][:most]
    chosen = [row for row in ranking if row[0] in (*ours, *others, *singles)]
    rows = [[_named(name), f"{mean:+.1f} %", f"{worst:+.1f} %"] for name, mean, worst in chosen]
    about = (
        f"Change of E-AURC against max softmax, mean and worst over all {len(found)} rows of the summary: what a user "
        f"gets who must choose one score beforehand. The best {most} of others and of our single estimators, and "
        "`p_wrong` where it was measured in every row."
    )
    return f"{about}\n\n{table(['score', 'mean', 'worst'], rows)}"


def _details(cell: Cell) -> str:
    """Return the table of one set and regime, folded."""
    names = sorted(cell.scores, key=cell.mean)
    head = ["score", "project", "E-AURC x1000", "against max softmax", "AUROC of errors", "AURC x1000", "AUGRC x1000"]
    rows = []
    for name in names:
        numbers = [cell.metric(name, key, factor, n) for key, factor, n in _METRICS]
        against = "" if name == BASELINE else percent(change(cell.e_aurc(name), cell.e_aurc(BASELINE)))
        plain = name.removeprefix(f"{cell.project(name)} ") if cell.project(name) != OURS else f"**{name}**"
        rows.append([plain, cell.project(name), numbers[0], against, *numbers[1:]])
    images, errors, calibration = (
        over_splits(cell.counts[k]).value for k in ("images", "errors", "calibration_errors")
    )
    title = f"{cell.images}, {cell.stream}"
    counts = f"{images:.0f} images and {errors:.0f} errors a split; calibration had {calibration:.0f} errors."
    return f"<details><summary>{title}</summary>\n\n{counts}\n\n{table(head, rows)}\n\n</details>"


_METRICS = (("e_aurc", 1000, 1), ("auroc", 1, 3), ("aurc", 1000, 1), ("augrc", 1000, 1))


def _named(name: str) -> str:
    return f"**{name}**" if name.startswith(f"{OURS} ") else name


def _costs(results: dict[str, Any]) -> str:
    sets = [name for name in results["sets"]]
    rows = []
    for name, about in results["scores"].items():
        values = [relative_cost(results, images, name) for images in sets]
        needs = ", ".join(need for need in about["needs"] if need not in ("logits", "probs"))
        if any(value is not None for value in values):
            rows.append([_named(name), needs, *("" if value is None else f"{value:.3g}" for value in values)])
    return table(["score", "needs besides logits", *(TITLES[name] for name in sets)], rows)


def _failures(results: dict[str, Any]) -> list[str]:
    return [
        f"{name} on {TITLES[images]}: {why}."
        for images, result in results["sets"].items()
        for name, why in result["failed"].items()
    ]


def prune(results: dict[str, Any]) -> None:
    """Keep the curves that are drawn, as means over the splits; the numbers of all scores stay."""
    for cell in cells(results):
        drawn = compare_plots.drawn(cell)
        curves = {name: values for name, values in cell.counts["curves"].items() if name in drawn}
        cell.counts["curves"] = {
            name: [sum(at) / len(at) for at in zip(*per_split, strict=True)] for name, per_split in curves.items()
        }


def write(folder: Path) -> str:
    """Draw the figures into the folder of compare.json and write the page; what others wrote into it stays."""
    compare_plots.draw(load(folder, NAME), folder)
    others = few_errors(folder / f"{NAME}.md")
    return republish(folder, NAME, lambda results: document(results, others))


def few_errors(page: Path) -> str:
    """Return what stands between the markers of a page, or that nothing does yet."""
    if not page.exists():
        return MISSING
    begin, end = FEW_ERRORS
    return page.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip()


_REPEAT = """\
    python -m venv peers && peers/bin/pip install '.[peers,experiments,embedder]'
    python -m venv safetycage && safetycage/bin/pip install safetycage==0.0.57
    OMP_NUM_THREADS=1 peers/bin/python -m experiments.peers.compare --data FOLDER --splits 5 \\
        --safetycage safetycage/bin/python

FOLDER is that of [README.md](../README.md). The peers need another torch than the package's tests, so they get an
environment of their own; SafetyCage pins NumPy 1.25 and scikit-learn 1.1 and gets a third.
`peers/bin/python -m experiments.peers.compare_page` makes page and figures again from `compare.json`."""

if __name__ == "__main__":
    sys.stdout.write(write(RESULTS))
