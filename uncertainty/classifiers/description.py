"""What a classifier is made of, before it is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from uncertainty.classifiers.decision_thresholds import Thresholds
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.outputs import Task


class Before(NamedTuple):
    """The network of a Classifier, as it was probed, and what the probe depended on beside the module."""

    network: Any
    preprocess: Preprocess
    form: Any


@dataclass(frozen=True, eq=False)
class Description:
    """The arguments of `Classifier.from_module`, which says what they mean.

    `assumed` are the settings of `preprocess` that nobody stated; `notes` what else is to be told of the model.
    `settled` are keys of the spec that were decided by what is installed here; they are kept in the spec, so that it
    means the same elsewhere. `runtime` is what runs it in
    torch's place, see `runtimes/base.py`. `before` is what an earlier probe found: none is needed where all is as then.
    """

    module: Any
    classes: Sequence[str] | None = None
    preprocess: Preprocess = field(default_factory=Preprocess)
    task: Task = "multiclass"
    decision_thresholds: Thresholds | None = None
    autocast: str | None = None
    spec: str | None = None
    output: str = "logits"
    binary: bool = False
    features: str | None = None
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settled: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None
    before: Before | None = None
