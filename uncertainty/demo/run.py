"""The demo: train a classifier, then the same commands that users type, then how right the flags were."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from uncertainty.demo.canvases import write_canvases
from uncertainty.demo.images import DAMAGED_SHARE, write_digits
from uncertainty.errors import InputError
from uncertainty.figures import probability
from uncertainty.images.label_text import NO_LABEL
from uncertainty.verdicts import Verdicts

_SHOWN = 5


def run(
    folder: Path, command: Callable[[list[str]], None], say: Callable[[str], None], *, several: bool = False
) -> None:
    """Run the demo into an empty folder; `command` runs one command line of `uncertainty`, `say` prints one.

    `several`: with pictures that hold several digits each.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; give the demo a folder of its own with --out")
    from uncertainty.demo.network import one_thread

    network = "canvas_network" if several else "network"
    model = f"uncertainty.demo.{network}:classifier?weights={folder / 'model.safetensors'}"
    screener, out = folder / "screener", folder / "out"
    sets = ["--reference", str(folder / "reference"), "--calibration", str(folder / "calibration")]
    commands = (
        ["fit", "--model", model, *sets, "-o", str(screener)],
        ["screen", str(screener), str(folder / "incoming"), "-o", str(out)],
        ["rank", str(out), "-n", "20"],
        ["evaluate", str(out), "--labels", str(folder / "labels.csv")],
        ["report", str(out), "--labels", str(folder / "labels.csv")],
    )
    with one_thread():
        say(_trained(folder, several))
        for arguments in commands:
            say(f"\n$ uncertainty {shlex.join(arguments)}")
            command(arguments)
    say(_ending(out, folder / "labels.csv"))


def _trained(folder: Path, several: bool) -> str:
    from uncertainty.demo import canvas_network, network

    if several:
        pictures = write_canvases(folder)
        network.save(canvas_network.train(pictures.images, pictures.labels, seed=0), folder / "model.safetensors")
    else:
        digits = write_digits(folder)
        network.save(network.train(digits.images, digits.labels, seed=0), folder / "model.safetensors")
    counts = {name: len(list((folder / name).rglob("*.png"))) for name in ("reference", "calibration", "incoming")}
    how = ", several in a picture," if several else ""
    return (
        f"Wrote scikit-learn's digits{how} to {folder}: {counts['reference']} reference images, on which a small "
        f"network was trained just now, {counts['calibration']} for calibration, {counts['incoming']} incoming, "
        f"of which {DAMAGED_SHARE:.0%} are damaged."
    )


def _ending(out: Path, labels: Path) -> str:
    from uncertainty.evaluation.screening_quality import join_labels
    from uncertainty.labels.by_name import read_labels

    table = join_labels(Verdicts.read(out).table, read_labels(labels))
    flagged = np.array(table["flagged"])
    wrong = ~np.array(table["correct"])
    looked_at, errors = int(flagged.sum()), int(wrong.sum())
    by_softmax = np.argsort(-np.array(table["est_least_confidence"]), kind="stable")[:looked_at]
    lines = [f"\nFlagged {looked_at} of {len(wrong)} images. The most suspicious:"]
    for row in Verdicts(table).flagged.slice(0, _SHOWN).to_pylist():
        lines.append(f"  {_said(row)}  p_wrong {probability(row['p_wrong'], 2)}  {', '.join(row['reasons'])}")
    lines += [
        f"Of {errors} errors the flags caught {int(wrong[flagged].sum())}; the same number of images chosen by max "
        f"softmax would have caught {int(wrong[by_softmax].sum())}, by chance {errors * looked_at / len(wrong):.0f}.",
        f"Accuracy of all incoming images {1 - wrong.mean():.1%}, "
        f"of those not flagged {1 - wrong[~flagged].mean():.1%}.",
        f"Everything is in {out}; open {out / 'report.html'} in a browser",
    ]
    return "\n".join(lines)


def _said(row: dict[str, Any]) -> str:
    truth = "right" if row["correct"] else f"wrong, it is {row['label']}"
    return f"{row['file_name']}  taken for {row['predicted_label'] or NO_LABEL} ({truth})"
