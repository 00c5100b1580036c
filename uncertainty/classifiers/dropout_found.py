"""What dropout a network has: whether it is called, and whether one mask can be shared by all images of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from uncertainty.classifiers.cut import cut_before_dropout
from uncertainty.classifiers.dropout import calls_dropout, one_sub_network, shares_masks
from uncertainty.classifiers.dropout_notes import dropout_notes, silent_dropout
from uncertainty.classifiers.habits import Run
from uncertainty.classifiers.replay import Replay
from uncertainty.classifiers.training_only import in_training, training_only


@dataclass(frozen=True, eq=False)
class Dropout:
    """What was found of it: whether it is called, and shared by all images; see `dropout_notes` for the others."""

    switched: tuple[nn.Module, ...]
    other: str
    silent: list[str]
    called: bool
    shared: bool
    answers: list[Tensor]

    def cut(self, module: nn.Module, images: Tensor, *how: Any) -> Replay | None:
        """Return a way to run no more than what lies behind the first dropout again, see `cut_before_dropout`."""
        return cut_before_dropout(module, images, *how) if self.shared and not self.switched else None

    def notes(self, module: nn.Module, cut: bool) -> list[str]:
        """Say what is to be told of it."""
        return dropout_notes(module, self.silent, self.other, self.called, self.shared, cut, bool(self.switched))


def dropout_of(module: nn.Module, run: Run, images: Tensor, alone: bool) -> Dropout:
    """Find the dropout of a network that `run` runs; `alone`: each image by itself."""
    switched, other = training_only(module, run, images)
    with in_training(switched):
        with silent_dropout(module, switched) as silent:
            called = calls_dropout(run, images)
        shared = called and (alone or shares_masks(run, images))
        answers = one_sub_network(run, images, alone) if shared else []
    return Dropout(switched, other, silent, called, shared, answers)
