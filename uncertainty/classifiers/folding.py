"""Batch norm as part of the convolution before it, activations in place: the same answers, but for rounding, sooner.

A convolution w x + b with batch norm behind it is one layer (Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", section 3.2):

    w' = s w,  b' = s (b - mean) + beta,  s = gamma / sqrt(variance + eps)

The network itself is left as it was. What was folded holds its own weights, so it runs only while those of the network
are what they were; heat maps and fingerprints never see it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn

from uncertainty.classifiers.feature_layer import FeatureLayer
from uncertainty.classifiers.fold_graph import fold_graph
from uncertainty.classifiers.modes import ROUNDING
from uncertainty.classifiers.onednn import packed, usable
from uncertainty.classifiers.replay import hooked
from uncertainty.classifiers.tracing import Trace
from uncertainty.classifiers.weight_state import WeightState


@dataclass(frozen=True, eq=False)
class Folded:
    """A traced network whose batch norms are folded: `graph` runs it, `trace` is what it was made of.

    `norms` is their number, `replaced` are the layers that it stands in for, `sources` the tensors that it folded,
    `state` what these were. `plain` is the same with torch's own convolutions, which other libraries can read, where
    this has those of oneDNN.
    """

    graph: fx.GraphModule
    trace: Trace
    norms: int
    replaced: tuple[nn.Module, ...]
    sources: tuple[Tensor, ...]
    state: WeightState
    plain: Folded | None = None

    def __call__(self, inputs: Tensor) -> Any:
        """Run the network; only while it `holds`."""
        return self.graph(inputs)

    def holds(self) -> bool:
        """Whether the network is still what was folded."""
        return self.trace.holds() and self.weights_hold()

    def weights_hold(self) -> bool:
        """Whether no layer that it stands in for has a hook, other settings or other weights.

        Other weights are other tensors, tensors that torch has seen written to, or other values at 64 places of each.
        """
        return not any(map(hooked, self.replaced)) and self.state.holds(self.replaced, self.sources)


def fold(
    trace: Trace, module: nn.Module, inputs: Tensor, layer: FeatureLayer | None, autocast: str | None = None
) -> Folded | None:
    """Fold a traced network; None where there is nothing to fold, or it answers in another way.

    `inputs` are images that it is tried on: logits and features must be those of the module but for rounding.
    """
    try:
        graph, norms, replaced, sources = fold_graph(trace.graph)
        if norms == 0:
            return None
        folded = Folded(graph, trace, norms, replaced, sources, WeightState.of(replaced, sources))
        if not _alike(folded, module, inputs, layer, ROUNDING[autocast]):
            return None
    except Exception:  # the user's code, on other modules than its own: anything may be raised
        return None
    return folded if autocast else _by_onednn(folded, module, inputs, layer)


def _by_onednn(plain: Folded, module: nn.Module, inputs: Tensor, layer: FeatureLayer | None) -> Folded:
    """Return what oneDNN runs by its own names; the folded network as it is where it can't, or answers otherwise."""
    try:
        if not usable(inputs):
            return plain
        graph, layers, tensors = packed(plain.graph, inputs)
        own = {id(part) for part in module.modules()}
        replaced = (*plain.replaced, *(one for one in layers if id(one) in own))
        sources = (*plain.sources, *tensors)
        made = replace(plain, graph=graph, replaced=replaced, sources=sources, plain=plain)
        made = replace(made, state=WeightState.of(replaced, sources))
        return made if _alike(made, module, inputs, layer, ROUNDING[None]) else plain
    except Exception:  # names that torch keeps for itself may go or change
        return plain


def _alike(folded: Folded, module: nn.Module, inputs: Tensor, layer: FeatureLayer | None, rounding: float) -> bool:
    pairs = zip(_seen(module, inputs, layer), _seen(folded, inputs, layer), strict=True)
    return all(bool((a - b).abs().max() <= rounding * a.abs().max()) for a, b in pairs)


def _seen(run: Callable[[Tensor], Tensor], inputs: Tensor, layer: FeatureLayer | None) -> list[Tensor]:
    """Return logits and features, as copies: a module may hand out the same memory again."""
    catches: AbstractContextManager[list[Tensor]] = layer.caught() if layer else nullcontext([])
    with catches as caught:
        logits = run(inputs.clone()).clone()
    return [logits, *caught[-1:]]
