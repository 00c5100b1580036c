"""One forward pass over a batch: logits, features, and the T dropout sub-networks, without touching the module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncertainty.checks.array_values import frozen
from uncertainty.classifiers.channels_last import takes_channels_last
from uncertainty.classifiers.compiled import Compiled
from uncertainty.classifiers.dropout import Masks, SharedMasks, one_sub_network
from uncertainty.classifiers.dropout_found import dropout_of
from uncertainty.classifiers.even_products import EvenProducts
from uncertainty.classifiers.feature_layer import FeatureLayer, find_feature_layer, named_layer, pooled
from uncertainty.classifiers.folding import Folded, fold
from uncertainty.classifiers.forward import Forward
from uncertainty.classifiers.habits import Habits, habits_of
from uncertainty.classifiers.held_parts import held_compiled, held_folded, held_replay
from uncertainty.classifiers.modes import AUTOCAST, evaluating, is_compiled, placed
from uncertainty.classifiers.output_form import Adapted, OutputForm, original
from uncertainty.classifiers.replay import AstrayError, Replay
from uncertainty.classifiers.runtimes.base import Runtime
from uncertainty.classifiers.tracing import Trace
from uncertainty.classifiers.training_only import in_training
from uncertainty.classifiers.views import view_logits
from uncertainty.defaults import FEW_PASSES, MC_PASSES
from uncertainty.errors import ModelError, in_one_line


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module, where its features come from and how its dropout is replayed.

    It holds for the module as it was when probed: other weights may be loaded into it, but with another layer, device
    or global that its forward pass reads it needs a new probe. `outputs` is the number of logits; `feature_layer` is
    None where nothing is like a last layer; `dropout` says whether dropout was called and can be shared by all images;
    `replay` is None where the graph could not be cut, and T sub-networks then take T full passes; `notes` says so.
    `dropout_cost` is what one sub-network costs, as a share of the multiplications of a full pass. `channels_last` says
    that convolutions get their inputs in that order of memory, which is faster; `autocast` in which precision torch may
    run them. `habits` say how it must be run so that an answer depends on the image alone; `answers` (k, c) are its
    logits for noise, and those of one sub-network. `switched` are modules that drop units in their training mode alone
    (fused attention), which is set for the sub-networks and does nothing else there. `folded` gives the same answers
    with less work, as long as the weights are those that were folded. `runtime` runs what it can in torch's place, see
    `other_runtime.py`. `held` says that nobody will change the module any more, see `held_network.py`.
    """

    module: nn.Module
    outputs: int
    feature_layer: FeatureLayer | None
    dropout: bool
    replay: Replay | None
    notes: tuple[str, ...]
    dropout_cost: float = 1.0
    channels_last: bool = False
    autocast: str | None = None
    habits: Habits = field(default_factory=Habits)
    answers: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    masks: Masks = field(default_factory=Masks)
    switched: tuple[nn.Module, ...] = ()
    folded: Folded | None = None
    compiled: Compiled | None = None
    runtime: Runtime | None = None
    held: bool = False

    @classmethod
    def probe(
        cls,
        module: nn.Module,
        example: NDArray[np.float32],
        autocast: str | None = None,
        form: OutputForm | None = None,
    ) -> Network:
        """Run the module on a few noisy copies of one example (channels, h, w) to find out what it can tell."""
        if autocast not in (None, *AUTOCAST):
            raise ModelError(f"autocast is {autocast!r}; it must be one of {', '.join(AUTOCAST)}")
        if not isinstance(module, nn.Module):
            raise ModelError(f"the model is {type(module).__name__}; give a torch.nn.Module")
        images = noisy(module, example)
        module = _adapted(module, form or OutputForm(), images)
        run = partial(_answer, module)
        with evaluating(module):
            before = images.clone()
            logits, layer = find_feature_layer(module, lambda: checked(_run(module, before), len(before)))
            if form and form.features:
                layer = named_layer(module, form.features, lambda: run(images), len(images))
            habits, logits = habits_of(module, run, images, logits, writes=not torch.equal(before, images))
            with habits.plain(len(images)):
                last = not habits.writes and takes_channels_last(module, images, logits)
            if last:
                images = images.contiguous(memory_format=torch.channels_last)
            dropout = dropout_of(module, run, images, habits.alone)
        with evaluating(module, autocast):
            trace = _trace(module)
            folded = fold(trace, module, images, layer, autocast) if trace and not habits.held else None
            replay = dropout.cut(module, images, autocast, trace, folded)
        if replay and habits.alone:
            replay = replace(replay, stacks=False)
        notes = _notes(layer, dropout.notes(module, replay is not None), habits)
        told = _numpy(torch.cat([logits, *dropout.answers]))
        return cls(
            module,
            logits.shape[1],
            layer,
            dropout.shared,
            replay,
            notes,
            replay.share if replay else 1.0,
            last,
            autocast,
            habits,
            told,
            switched=dropout.switched,
            folded=folded,
        )

    @property
    def original(self) -> nn.Module:
        """The module as it was given, without what reads its answers."""
        return original(self.module)

    @property
    def runs_by(self) -> str | None:
        """What runs its plain passes, as a spec says it; None: torch."""
        return None if self.runtime is None else str(self.runtime)

    def __call__(
        self, inputs: NDArray[Any] | Tensor, passes: int = 0, seed: int = 0, views: Sequence[str] = ()
    ) -> Forward:
        """Run (b, channels, h, w), `passes` dropout sub-networks on it, and the network on its `views`.

        Raises ModelError where the answer is not of the shape that it had when probed, and whatever the module raises.
        """
        if self.habits.alone and len(inputs) > 1:
            rows = (inputs[k : k + 1] for k in range(len(inputs)))
            return Forward.joined([self(row, passes, seed, views) for row in rows])
        x = self._placed(inputs)
        with evaluating(self.module, self.autocast):
            now = self.looked_at()
            with EvenProducts():
                with self.habits.plain(len(x)):
                    answer, captured, prefix = now._plain(x, passes)
                logits = self._numbers(answer, len(x))
                samples = now._samples(x, prefix, passes, seed) if self.dropout and passes else None
                viewed = now._views(x, views) if views else None
        return Forward(logits, self._features(captured, len(x)), samples, tta_logits=viewed)

    def looked_at(self) -> Network:
        """Return it, in eval mode, with the lighter parts that hold now; before a mode begins, which slows looks."""
        if self.held:
            return self
        compiled = held_compiled(self.compiled)  # which gives features itself
        with self._caught():  # what would skip the layer whose features are caught does not hold
            folded, replay = held_folded(self.folded), held_replay(self.replay)
        return replace(self, folded=folded, compiled=compiled, replay=replay, held=True)

    def _plain(self, x: Tensor, passes: int) -> tuple[Any, list[Tensor], tuple[Any, ...] | None]:
        """Return the answer, what was caught of the features, and the values that cross the cut if they were made."""
        if self.compiled and self.compiled.weights_hold():
            made = self.compiled(x)
            return made[0], list(made[1:]), self.replay.prefix(x) if self.replay and passes else None
        with self._caught() as captured:
            answer, prefix = self.replay.begin(self._own(x)) if self.replay else (None, None)
            if answer is None:
                answer = self._lightest()(self._own(x))
        return answer, captured, prefix

    def deeper(
        self,
        seen: Forward,
        inputs: NDArray[Any] | Tensor,
        passes: int = 0,
        seed: int = 0,
        views: Sequence[str] = (),
    ) -> Forward:
        """Add dropout sub-networks and views to what was seen of the same images."""
        if self.habits.alone and len(inputs) > 1:
            rows = [slice(k, k + 1) for k in range(len(inputs))]
            return Forward.joined([self.deeper(seen.take(row), inputs[row], passes, seed, views) for row in rows])
        x = self._placed(inputs)
        with evaluating(self.module, self.autocast):
            now = self.looked_at()
            with EvenProducts():
                if self.dropout and passes:
                    with self.habits.plain(len(x)):
                        prefix = now.replay.prefix(self._own(x)) if now.replay else None
                    seen = replace(seen, mc_logits=now._samples(x, prefix, passes, seed))
                return replace(seen, tta_logits=now._views(x, views)) if views else seen

    def _placed(self, inputs: NDArray[Any] | Tensor) -> Tensor:
        if self.runtime is not None and self.runtime.waits:
            raise ModelError(f"runtime={self.runtime} must be shown images first, as `uncertainty fit` does")
        # A copy of what is read-only, of which torch warns.
        x = inputs if isinstance(inputs, Tensor) else torch.from_numpy(np.require(inputs, requirements="W"))
        form = torch.channels_last if self.channels_last else torch.contiguous_format
        return placed(self.module, x).contiguous(memory_format=form)

    def _run(self, x: Tensor) -> Any:
        return self.module(self._own(x))

    def folds(self) -> bool:
        """Whether plain passes run the folded network, as the network is now."""
        with evaluating(self.module):
            return self.folded is not None and self.folded.holds()

    def _lightest(self) -> Callable[[Tensor], Any]:
        """Return what answers plain passes of one batch; to find out takes as long as a small pass."""
        if self.compiled and self.compiled.weights_hold():
            return self.compiled.answer
        if self.runtime and self.replay and self.replay.runs_lighter():
            return self.replay.answer
        return self.folded if self.folded and self.folded.holds() else self.module

    def _own(self, x: Tensor) -> Tensor:
        return x.clone() if self.habits.writes else x

    def _views(self, x: Tensor, views: Sequence[str]) -> NDArray[np.float32]:
        network = self._lightest()

        def run(view: Tensor) -> Tensor:
            # As numbers at once: a module may hand out the same memory again.
            return torch.tensor(self._numbers(network(self._own(view)), len(view)))

        with self.habits.plain(len(x)):
            return _numpy(view_logits(run, x, views))

    def _numbers(self, answer: Any, images: int) -> NDArray[np.float32]:
        """Return what was answered as numbers of our own, (images, outputs)."""
        logits = _numpy(checked(answer, images))
        if logits.shape[1] != self.outputs:
            raise ModelError(f"the model answers with {logits.shape[1]} outputs; at its probe it had {self.outputs}")
        return logits

    def answers_as_probed(self, example: NDArray[np.float32]) -> bool:
        """Whether the module answers as it did when it was probed on this example, to the bit."""
        images = noisy(self.module, example)
        run = partial(_answer, self.module)
        with evaluating(self.module):
            with self.habits.plain(len(images)):
                found = [run(images)]
            if self.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            if self.dropout:
                with in_training(self.switched):
                    found += one_sub_network(run, images, alone=False)
        return np.array_equal(_numpy(torch.cat(found)), self.answers)

    def _caught(self) -> AbstractContextManager[list[Tensor]]:
        return self.feature_layer.caught() if self.feature_layer else nullcontext([])

    def _features(self, captured: list[Tensor], images: int) -> NDArray[np.float32] | None:
        if self.feature_layer is None:
            return None
        if not captured:
            raise ModelError("the last layer of the model was not run; wrap it anew after a layer was replaced")
        features = _numpy(pooled(captured[-1]))
        if features.shape != (images, self.feature_layer.width):
            raise ModelError(f"the model gives features of shape {features.shape} for {images} images")
        return features

    def _samples(self, x: Tensor, prefix: tuple[Any, ...] | None, passes: int, seed: int) -> NDArray[np.float32]:
        if prefix is not None and self.replay is not None:
            with suppress(AstrayError):
                return _numpy(self.replay.samples(prefix, len(x), passes, seed, self.masks))
        samples = []
        for pass_index in range(passes):
            with in_training(self.switched), SharedMasks(len(x), seed, pass_index, masks=self.masks):
                samples.append(self._numbers(self._run(x), len(x)))
        return np.stack(samples, axis=1)

    def affordable(self, passes: int | None) -> tuple[int, bool]:
        """Return how many dropout sub-networks to run, and whether they cost more than a few passes, all together.

        For None as many as usual; but none where they would cost that much.
        """
        asked = MC_PASSES if passes is None else passes
        dear = self.dropout and asked * self.dropout_cost > FEW_PASSES
        return (0, False) if dear and passes is None else (asked, dear)

    def left_out(self, passes: int) -> tuple[str, ...]:
        """Say that dropout is not run, where that is because of what it costs."""
        cost = MC_PASSES * self.dropout_cost
        if passes or not self.dropout or cost <= FEW_PASSES:
            return ()
        return (
            f"MC dropout is off: {MC_PASSES} sub-networks would cost {cost:.1f} passes of this network; "
            "--effort thorough runs them",
        )


def noisy(module: nn.Module, example: NDArray[np.float32]) -> Tensor:
    """Return what a module is probed on: noise from a seed, since in a blank image two networks can look alike."""
    noise = torch.randn((3, *example.shape), generator=torch.Generator().manual_seed(0))
    return placed(module, torch.from_numpy(example) + noise)


def _trace(module: nn.Module) -> Trace | None:
    try:
        return Trace.of(module)
    except Exception:  # the user's code, run with stand-ins for tensors: anything may be raised
        return None


def _adapted(module: nn.Module, form: OutputForm, images: Tensor) -> nn.Module:
    """Return a module that answers with logits: this one where it does, compiled ones as they were before."""
    if is_compiled(module):
        module = module._orig_mod  # type: ignore[assignment]
    with evaluating(module):
        answer = _run(module, images.clone())
    return module if form.is_plain(answer) else Adapted(module, form)


def checked(answer: Any, images: int) -> Tensor:
    """Return what a module answered if it is one tensor of logits (images, classes); else ModelError."""
    if not isinstance(answer, Tensor):
        raise ModelError(f"the model returns {type(answer).__name__}; at its probe it returned a tensor")
    return OutputForm().logits(answer, images)


def _answer(module: nn.Module, images: Tensor) -> Tensor:
    return checked(_run(module, images.clone()), len(images)).clone()


def _run(module: nn.Module, images: Tensor) -> Any:
    try:
        return module(images)
    except ModelError:
        raise
    except Exception as error:  # the user's code: anything may be raised
        raise ModelError(f"the model fails on an input of shape {tuple(images.shape)}: {in_one_line(error)}") from error


def _notes(layer: FeatureLayer | None, dropout: Sequence[str], habits: Habits) -> tuple[str, ...]:
    lost = (
        "the logits don't come from a linear layer, so there are no features and no neighbour estimators; "
        "features=NAME names a layer that has them"
    )
    return (*([lost] if layer is None else []), *dropout, *habits.notes)


def _numpy(tensor: Tensor) -> NDArray[np.float32]:
    """Return a copy: a module may hand out memory that it writes to again."""
    return frozen(np.array(tensor.detach().to(torch.float32).cpu().numpy()))
