"""`pt2:FILE`: what `torch.export.save` wrote, read where the user trusts it: reading it may run code."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from uncertainty.classifiers.description import Description
from uncertainty.classifiers.formats._archive import what_it_is
from uncertainty.classifiers.formats._exported import ENTRY, told
from uncertainty.classifiers.formats._exported_layers import NAMED, with_layers, without_dropout
from uncertainty.classifiers.formats._fixed_batch import FixedBatch, WithFeatures
from uncertainty.classifiers.formats.base import Format, Request
from uncertainty.classifiers.formats.module import ASSUMED
from uncertainty.classifiers.modes import check_device, device_of
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import ModelError, in_one_line

logger = logging.getLogger("uncertainty")

METADATA = f"{ENTRY}.json"
"""The file inside that holds classes, preprocessing, task and decision thresholds, where there is one."""
_SAME = 1e-4  # of the largest value
_AT_ONCE = 32  # images of a program that takes some at least


def describe(request: Request) -> Description:
    """Read the program, its input and what stands beside it."""
    path = request.path
    check_device(request.device)
    program, metadata = _read(path)
    if request.device is not None:
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, request.device)
    try:
        takes = _Takes.of(program)
        takes.refuse_other(request.options.get("size"))
        module = _module(program, takes, request.options.get("features"), path)
    except ModelError as error:
        raise ModelError(f"{path.name} can't be screened: {error}") from error
    known = told(metadata, path)
    if known:
        return Description(module, **known)
    preprocess, stated = takes.preprocess
    return Description(module, preprocess=preprocess, assumed=tuple(k for k in ASSUMED if k not in stated))


def _read(path: Path) -> tuple[Any, str]:
    found = {METADATA: ""}
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            program = torch.export.load(path, extra_files=found)
    except Exception as error:  # a file of any kind: anything may be raised
        why = what_it_is(path, "pt2") or f"{in_one_line(error.__cause__ or error, 300)}; export it anew with this torch"
        raise ModelError(f"{path} can't be read as an exported program (torch {torch.__version__}): {why}") from error
    return program, str(found[METADATA] or "")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch logs of a file that it can't read, page after page."""
    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


@dataclass(frozen=True)
class _Takes:
    """What a program takes: channels and sides, None where these are open; from `least` to `most` images at a time."""

    channels: int | None
    sides: tuple[int | None, int | None]
    least: int
    most: int | None

    @classmethod
    def of(cls, program: Any) -> _Takes:
        """Read what a program says of its input; ModelError where that is not one batch of images."""
        names = program.graph_signature.user_inputs
        values = [n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder" and n.name in names]
        tensors = [value for value in values if isinstance(value, Tensor)]
        if len(names) != 1 or len(tensors) != 1:
            raise ModelError(f"it takes {len(names)} inputs, and a classifier of images takes one; export it with one")
        shape = tensors[0].shape
        if len(shape) != 4:
            shown = ", ".join(map(str, shape))
            raise ModelError(
                f"its input has the shape ({shown}), with no axis for the images of a batch beside channels, height "
                "and width; export it with (n, channels, height, width)"
            )
        channels, height, width = (side if isinstance(side, int) else None for side in shape[1:])
        if channels not in (None, 1, 3) and shape[3] in (1, 3):
            raise ModelError(f"its input has the shape ({', '.join(map(str, shape))}); channels come second, 1 or 3")
        least, most = _range(program, shape[0])
        return cls(channels, (height, width), least, most)

    @property
    def preprocess(self) -> tuple[Preprocess, tuple[str, ...]]:
        """What it tells of preprocessing, and the names of what it tells."""
        known: dict[str, Any] = {"grayscale": True} if self.channels == 1 else {}
        if self.channels not in (None, 1, 3):
            known["channels"] = self.channels
        if None not in self.sides:
            known["size"] = self.sides
        return Preprocess(**known), tuple(known)

    def refuse_other(self, size: str | None) -> None:
        """Raise ModelError for a size that the program does not take."""
        mine = "x".join(str(side or "any") for side in self.sides)
        said = None if size is None else (size if "x" in size else f"{size}x{size}")
        if said is not None and any(
            side and str(side) != s for side, s in zip(self.sides, said.split("x"), strict=False)
        ):
            raise ModelError(f"it takes images of {mine} (height x width), and the spec says {said}; leave size= away")


def _range(program: Any, rows: Any) -> tuple[int, int | None]:
    """Return how many images a program takes at least and at most."""
    if isinstance(rows, int):
        return rows, rows
    limits = program.range_constraints.get(rows.node.expr)
    if limits is None:
        return 1, None
    least, most = (int(limit) if str(limit).isdigit() else None for limit in (limits.lower, limits.upper))
    return max(least or 1, 1), most


class Exported(nn.Module):
    """An exported program, always in evaluation."""

    no_dropout: str

    def __init__(self, program: nn.Module, feature_name: str | None) -> None:
        super().__init__()
        self.program, self.feature_name = program, feature_name

    def forward(self, images: Tensor) -> Any:
        """Answer as it does."""
        return self.program(images)

    def get_submodule(self, target: str) -> nn.Module:
        """Find layers by the names that they had in the network that was exported."""
        inside = super().get_submodule("program")
        if target != self.feature_name:
            return (
                super().get_submodule(target) if target.partition(".")[0] == "program" else inside.get_submodule(target)
            )
        return inside.get_submodule(NAMED if hasattr(inside, NAMED) else target)


def _module(program: Any, takes: _Takes, features: str | None, path: Path) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph_module = program.module()
    if with_layers(graph_module, features):
        logger.warning("%s was exported in training mode; here its dropout is off in plain passes", path)
    for layer in graph_module.modules():
        layer.training = False
    module = Exported(graph_module, features)
    if not any("dropout" in str(node.target) for node in graph_module.graph.nodes if node.op == "call_function"):
        module.no_dropout = "an exported program keeps the dropout that was written into it, and this one has none"
    if (takes.least <= 1 and takes.most is None) or _takes_any(module, takes):
        return module
    without_dropout(graph_module)
    how = f"{takes.most} images" if takes.most == takes.least else f"{takes.least} to {takes.most or 'any number of'}"
    layer = module.get_submodule(features) if features else None
    fixed = FixedBatch(WithFeatures(module, layer), takes.most or _AT_ONCE, takes.least, feature_name=features)
    fixed.no_dropout = f"it is fixed to batches of {how}, through all of its graph"
    return fixed


def _takes_any(module: nn.Module, takes: _Takes) -> bool:
    """Whether only a check held the program to its number of images: rows get the same answers among others."""
    shape = (takes.channels or 3, *(side or 64 for side in takes.sides))
    many = max(takes.least, 2)
    images = torch.randn((many + 1, *shape), generator=torch.Generator().manual_seed(0)).to(device_of(module))
    try:
        with torch.no_grad():
            expected = tree_leaves(module(images[: takes.least]))
            others = [tree_leaves(module(rows)) for rows in (images, images[:1])]
    except Exception:  # shapes that are written into the graph: anything may be raised
        return False
    return all(_alike(a, b) for found in others for a, b in zip(found, expected, strict=True))


def _alike(found: Any, expected: Any) -> bool:
    """Whether the rows that both have are the same."""
    if not isinstance(found, Tensor) or not found.dim() or not expected.dim() or found.shape[1:] != expected.shape[1:]:
        return False
    rows = min(len(found), len(expected))
    return bool((found[:rows] - expected[:rows]).abs().max() <= _SAME * expected.abs().max())


FORMAT = Format(describe, keys=("size", "features"), runs_code=True)
