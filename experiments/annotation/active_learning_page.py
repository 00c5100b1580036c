"""The page and the figure of active_learning, made from its numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.annotation.active_learning_loop import labels_needed
from experiments.annotation.active_learning_strategies import OURS
from experiments.shared.image_sets import TITLES
from experiments.shared.markdown import table
from experiments.shared.results_file import Mean, over_splits

RANDOM = "random"
PEERS = ("skactiveml ", "baal ")
REDRAWS = 500
DRAWN = {
    RANDOM: ("#888888", "--"),
    "skactiveml UncertaintySampling": ("#e08214", "-"),
    "skactiveml Falcun": ("#d6604d", ":"),
    "BADGE": ("#8073ac", "-"),
    "k-centre": ("#1b9e4b", "-"),
    OURS: ("#1a2e66", "-"),
}
ABOUT = """\
# Labels saved by what is labelled next

Labels are bought in batches from a pool without labels; after each batch the same classifier, a logistic regression on
frozen features, is trained on all labels so far, and judged on a fixed test set. Every strategy starts from the same
random batch. 2 % of the pool are bought a step, 20 steps, the first batch counted, so 40 % in the end.

- Digits: pixels, pool 1,000, test 797, 20 labels a step.
- Solar cells: EfficientNet-Lite0 features, four classes, pool 1,750, test 874, 35 a step.
- CIFAR-10: EfficientNet-Lite0 features of photographs at 128 pixels, pool 3,000, test 5,000, 60 a step.

**Labels saved**: labels that the mean curve needs until it first has the accuracy that random has at the end, between
steps on straight lines, against the whole budget; a curve that never gets there saves nothing. In brackets a 95 %
interval, over {redraws:,} draws of seeds with replacement. **By seed**: the same for every seed alone, against
random's end of that seed, with a t-interval over the seeds; single curves are noisy and cross early by luck, random's
own by as much as its row says. **Area**: mean accuracy over all steps, in per cent.

{seeds} seeds, {first} to {last}; some strategies may have the first of them alone. The strategy of the package
(`annotation.facility_location`) was chosen on seeds 0 to 4, which draw from the same images. It and the package's other
strategies get the margin of the head, 1 - (p1 - p2), in the place of p_wrong; `p_wrong` instead is a screener's,
calibrated with out-of-fold answers on the labels bought so far. Strategies of scikit-activeml 1.0.1 and Baal 2.1.0 run
with their defaults; a committee of five heads on bootstrap draws serves BALD."""


def page(results: dict[str, Any]) -> str:
    """Return the whole page."""
    seeds = results["seeds"]
    about = ABOUT.format(redraws=REDRAWS, seeds=len(seeds), first=seeds[0], last=seeds[-1])
    parts = [about, "## In short", summary(results), "![accuracy against labels](active_learning.png)"]
    for name, found in results["sets"].items():
        parts += [f"## {TITLES[name]}", set_table(found)]
    return "\n\n".join(parts) + "\n"


def saved(counts: list[int], curves: Any, random: Any) -> float:
    """Return the share of the budget, in per cent, that the mean curve saves against random's end.

    Random has 0.8 at 40 labels; half-way from 0.7 at 20 to 0.9 at 40 is enough:

    >>> saved([20, 40], [[0.7, 0.9]], [[0.6, 0.8]])
    25.0
    """
    return _saved(counts, np.mean(curves, axis=0), float(np.mean(random, axis=0)[-1]))


def _saved(counts: list[int], curve: NDArray[np.float64], target: float) -> float:
    return 100 * (1 - labels_needed(counts, curve.tolist(), target) / counts[-1])


def interval(counts: list[int], curves: Any, random: Any) -> tuple[float, float]:
    """Return a 95 % interval of what is saved: seeds are drawn with replacement, the same for both."""
    rng, one, other = np.random.default_rng(0), np.array(curves), np.array(random)
    draws = rng.integers(len(one), size=(REDRAWS, len(one)))
    targets = other[:, -1][draws].mean(axis=1)
    found = [_saved(counts, curve, t) for curve, t in zip(one[draws].mean(axis=1), targets.tolist(), strict=True)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def by_seed(counts: list[int], curves: Any, random: Any) -> Mean:
    """Return what is saved on every seed alone, over the seeds."""
    return over_splits([saved(counts, [one], [other]) for one, other in zip(curves, random, strict=True)])


def summary(results: dict[str, Any]) -> str:
    """Return what is saved by the strategy of the package and by the best one of another project on each set.

    Only those that have all seeds are compared.
    """
    rows, mine = [], []
    for name, found in results["sets"].items():
        counts, curves = found["counts"], found["curves"]
        whole = [s for s, values in curves.items() if len(values) == len(results["seeds"])]
        shares = {s: saved(counts, curves[s], curves[RANDOM]) for s in whole}
        peers = {s: share for s, share in shares.items() if s.startswith(PEERS)}
        best = max(peers, key=lambda s: peers[s], default="")
        low, high = interval(counts, curves[OURS], curves[RANDOM])
        other = f"{peers[best]:.1f} % ({best})" if peers else ""
        rows.append([TITLES[name], f"**{shares[OURS]:.1f} %** ({low:.1f} to {high:.1f})", other])
        mine.append(shares[OURS])
    rows.append(["mean", f"**{np.mean(mine):.1f} %**", ""])
    return table(["images", f"labels saved, {OURS}", "best strategy of another project, in hindsight"], rows)


def random_of(found: dict[str, Any], curves: Any) -> Any:
    """Return the random curves of the seeds that a strategy has: slow ones may have fewer."""
    return found["curves"][RANDOM][: len(curves)]


def set_table(found: dict[str, Any]) -> str:
    """Return all strategies of a set, the most saving first."""
    counts, curves = found["counts"], found["curves"]
    shares = {name: saved(counts, values, random_of(found, values)) for name, values in curves.items()}
    rows = []
    for name in sorted(shares, key=lambda name: -shares[name]):
        values, random = curves[name], random_of(found, curves[name])
        low, high = interval(counts, values, random)
        alone, area = by_seed(counts, values, random), over_splits([100 * float(np.mean(c)) for c in values])
        ends = [over_splits([100 * c[k] for c in values]) for k in (len(counts) // 2 - 1, len(counts) - 1)]
        rows.append(
            [
                f"**{name}**" if name.startswith("ours") else name,
                str(len(values)),
                f"{shares[name]:.1f} % ({low:.1f} to {high:.1f})",
                f"{alone.value:.1f} ± {alone.half:.1f}",
                *(f"{mean.value:.1f} ± {mean.half:.1f}" for mean in (*ends, area)),
            ]
        )
    half, whole = counts[len(counts) // 2 - 1], counts[-1]
    head = ["strategy", "seeds", "labels saved", "by seed", f"accuracy at {half} labels", f"at {whole}", "area"]
    return table(head, rows)


def draw(results: dict[str, Any], file: Path) -> None:
    """Draw accuracy against labels for the usual strategies, the package's and the best of another project."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    for ax, (name, found) in zip(
        figure.subplots(1, len(results["sets"]), squeeze=False).flat, results["sets"].items(), strict=True
    ):
        for strategy, (colour, line) in DRAWN.items():
            if strategy not in found["curves"]:
                continue
            _band(ax, found["counts"], found["curves"][strategy], strategy, colour, line)
        ax.axhline(100 * np.mean(found["curves"][RANDOM], axis=0)[-1], color="#bbbbbb", linewidth=0.8)
        ax.set_title(f"{TITLES[name]}, {len(results['seeds'])} seeds", fontsize=10)
        ax.grid(alpha=0.25)
    figure.supxlabel("labels bought", fontsize=10)
    figure.supylabel("accuracy on the test set, %", fontsize=10)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=len(DRAWN), fontsize=9)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=80)
    Image.open(picture).convert("RGB").quantize(64).save(file, optimize=True)


def _band(ax: Any, counts: list[int], curves: Any, label: str, colour: str, line: str) -> None:
    points = [over_splits([100 * c[k] for c in curves]) for k in range(len(counts))]
    ax.plot(counts, [p.value for p in points], line, color=colour, label=label, linewidth=1.6)
    ax.fill_between(counts, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.12, linewidth=0)
