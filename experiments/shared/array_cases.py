"""Cases that are given as arrays, one .npz file each: what networks say of images that need not be here.

Two layouts are read. A frozen backbone has features `F` (n, d), labels `y` (n,), a second opinion `opinion` (n, e) and,
where there are any, features of flipped images `flip` (n, d): a dropout head is trained in each split on one half,
which is the reference too; a quarter calibrates and a quarter is screened. A whole network has sets of rows, each with
logits `_L`, features `_F`, labels `_y`, second opinion `_opinion` and views `_tta` (n, v, c) after its name: `ref`,
`cal`, `calA` (damaged), `test`, `testB` (damaged by other kinds) and `ood` (of no known class).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from experiments.shared.command_line import Options
from experiments.shared.costs import Costs
from experiments.shared.splits import ALL, Split, through_head, with_views
from experiments.shared.thorough_splits import Parts
from uncertainty import ModelOutputs
from uncertainty.classifiers.network import Network
from uncertainty.outputs import Floats

Arrays = Mapping[str, NDArray[Any]]
DAMAGED_SHARE = 1 / 3
"""Of the calibration rows of a whole network, so many more are damaged ones, as users have them among theirs."""
EPOCHS = 60


def files(folder: Path) -> dict[str, Path]:
    """Return the cases of a folder by name; SystemExit where there is none."""
    found = {path.stem: path for path in sorted(folder.glob("*.npz"))}
    if not found:
        raise SystemExit(f"{folder} holds no .npz file; --portfolio is a folder with arrays, one file a case")
    return found


def array_parts(file: Path, chosen: Options) -> Parts:
    """Return the splits of a case. Costs are not known here, dropout stands in a head."""
    costs = Costs(second=1.0, dropout=0.0, dear=False)
    return costs, ([(ALL, array_split(file, seed))] for seed in range(chosen.splits))


def array_split(file: Path, seed: int) -> Split:
    """Make the split of a seed; rows are shuffled, and logits are float64."""
    with np.load(file, allow_pickle=False) as opened:
        arrays = {name: opened[name] for name in opened.files}
    if "F" in arrays:
        return frozen_backbone(arrays, seed)
    if "ref_L" in arrays:
        return whole_network(arrays, seed)
    raise SystemExit(f"{file} has neither F nor ref_L, but {', '.join(sorted(arrays))}")


def frozen_backbone(arrays: Arrays, seed: int) -> Split:
    """Train a head on one half of the rows, calibrate on a quarter and screen a quarter."""
    labels, raw = arrays["y"].astype(np.int64), arrays["F"].astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(labels))
    train, calibration, test = np.split(order, [len(order) // 2, 3 * len(order) // 4])
    mean, spread = raw[train].mean(axis=0), raw[train].std(axis=0) + 1e-6
    module = trained_head((raw[train] - mean) / spread, labels[train], seed)
    head = Network.probe(module, np.zeros(raw.shape[1], dtype=np.float32))
    ids = np.array([str(row) for row in range(len(labels))])
    inputs = ModelOutputs(ids=ids, logits=(raw - mean) / spread, labels=np.zeros(len(labels), dtype=np.int64))
    seen = through_head(head, inputs, seed=seed, classes=int(labels.max()) + 1)
    if "flip" in arrays:
        flipped = (arrays["flip"].astype(np.float32) - mean) / spread
        seen = with_views(head, seen, dict(zip(ids.tolist(), flipped[:, None], strict=True)))
    outputs = replace(seen, logits=_double(seen.logits), labels=labels, embedding=arrays["opinion"].astype(np.float32))
    none = outputs.take([])
    return _split(outputs.take(train), outputs.take(calibration), outputs.take(test), none, none)


def trained_head(features: Floats, labels: NDArray[np.int64], seed: int) -> nn.Module:
    """Train a head with dropout on features (n, d); the same seed gives the same weights."""
    classes = int(labels.max()) + 1
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = (nn.Dropout(0.2), nn.Linear(features.shape[1], 256), nn.ReLU(), nn.Dropout(0.5))
        head = nn.Sequential(*layers, nn.Linear(256, classes))
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=1e-2)
        inputs, targets = torch.tensor(features), torch.tensor(labels)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(inputs)).split(128):
                optimizer.zero_grad()
                nn.functional.cross_entropy(head(inputs[rows]), targets[rows]).backward()
                optimizer.step()
    return head.eval()


def whole_network(arrays: Arrays, seed: int) -> Split:
    """Shuffle all sets; the damaged stream is one half of the test rows and damaged copies of the other."""
    rng = np.random.default_rng(seed)
    parts = {name: _rows(arrays, name) for name in ("ref", "cal", "calA", "test", "testB", "ood")}
    order, half = rng.permutation(len(parts["cal"])), rng.permutation(len(parts["test"]))
    damaged = order[: round(DAMAGED_SHARE * len(order))]
    k = len(half) // 2
    mixed = ModelOutputs.concatenate([parts["test"].take(half[:k]), parts["testB"].take(half[k:])])
    with_unknown = ModelOutputs.concatenate([parts["test"], parts["ood"]])
    streams = (stream.take(rng.permutation(len(stream))) for stream in (parts["test"], mixed, with_unknown))
    calibration = ModelOutputs.concatenate([parts["cal"].take(order), parts["calA"].take(damaged)])
    return _split(parts["ref"], calibration, *streams)


def _split(
    reference: ModelOutputs,
    calibration: ModelOutputs,
    clean: ModelOutputs,
    damaged: ModelOutputs,
    unknown: ModelOutputs,
) -> Split:
    """Return a split without copies of calibration rows."""
    none = calibration.take([])
    return Split(reference, calibration, none, none, clean, damaged, unknown, none)


def _rows(arrays: Arrays, name: str) -> ModelOutputs:
    logits, labels = _double(arrays[f"{name}_L"]), arrays[f"{name}_y"].astype(np.int64)
    columns = {"features": "F", "embedding": "opinion", "tta_probs": "tta"}
    there = {column: arrays[f"{name}_{key}"] for column, key in columns.items() if f"{name}_{key}" in arrays}
    return ModelOutputs(
        ids=[f"{name}/{row}" for row in range(len(labels))],
        logits=logits,
        labels=labels,
        **{column: values.astype(np.float32) for column, values in there.items()},
    )


def _double(logits: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(logits, dtype=np.float64)
