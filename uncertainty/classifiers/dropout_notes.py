"""What is said of a network's dropout: whether it is replayed, and what of it can't be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import jit, nn

from uncertainty.classifiers.training_only import is_depth

_MIXED = "dropout mixes images along its first axis, so the MC dropout estimators are off"
_UNCUT = "the graph can't be cut before its dropout, so T dropout passes cost T full passes"
_SWITCHED = (
    "dropout inside attention, or after a look at `training`, is run in full: T dropout passes cost T full passes"
)
_OFF = "the MC dropout estimators are off"


@contextmanager
def silent_dropout(module: nn.Module, heard: Sequence[nn.Module] = ()) -> Iterator[list[str]]:
    """Name the layers that say they drop units, and are not called in what runs meanwhile; filled in at the end.

    `heard` are modules that drop units by themselves, with the probability of a layer of theirs.
    """
    silent: list[str] = []
    apart = {id(layer) for part in heard for layer in (part, *part.children())}
    layers = {name: layer for name, layer in module.named_modules() if _drops(layer) and id(layer) not in apart}
    called: set[str] = set()
    handles = [
        layer.register_forward_hook(lambda *_, name=name: called.add(name))
        for name, layer in layers.items()
        if not isinstance(layer, nn.MultiheadAttention)  # in evaluation its dropout is never run, and can't be
    ]
    try:
        yield silent
    finally:
        for handle in handles:
            handle.remove()
        silent += [name for name in layers if name not in called]


def dropout_notes(
    module: nn.Module, silent: Sequence[str], other: str, called: bool, shared: bool, cut: bool, switched: bool
) -> list[str]:
    """Return notes: `called` says that a pass calls dropout, `shared`, `cut` and `switched` what became of it.

    `silent` are layers whose dropout is never called, `other` a module whose training mode does more than drop units.
    """
    unheard = f"that of {silent[0]!r} runs in training alone, or inside fused attention, or never" if silent else ""
    more = f"{other!r} drops units in training alone, where it does other things too" if other else ""
    if not called:
        seen = [*filter(None, (unheard, more)), *_seen(module)]
        if not seen:
            return [f"the model calls no dropout in evaluation, so {_OFF}"]
        return [f"the model calls no dropout that can be replayed ({'; '.join(seen)}), so {_OFF}"]
    if not shared:
        return [_MIXED]
    partial = [f"{len(silent)} dropout layers can't be replayed: {unheard}"] if silent else []
    partial += [f"not all dropout can be replayed: {more}"] if more else []
    return partial if cut else [*partial, _SWITCHED if switched else _UNCUT]


def _drops(layer: nn.Module) -> bool:
    if isinstance(layer, nn.MultiheadAttention):
        return bool(layer.dropout > 0)
    return isinstance(layer, nn.modules.dropout._DropoutNd) and layer.p > 0


def _is_quantised(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.dropout._DropoutNd) and "quantized" in type(layer).__module__


def _seen(module: nn.Module) -> Iterator[str]:
    """Yield what else looks like dropout in a network that called none."""
    layers = list(module.modules())
    said = [getattr(layer, "no_dropout", None) for layer in layers]
    yield from (why for why in said if isinstance(why, str))
    if any(isinstance(layer, jit.ScriptModule) for layer in layers):
        yield "it is scripted, and dropout inside can't be seen"
    if any(_is_quantised(layer) for layer in layers):
        yield "its dropout works on whole numbers, which can't be scaled"
    if any(type(layer).__module__.partition(".")[0] == "keras" for layer in layers):
        yield "it is of Keras, whose dropout is not torch's"
    paths = [type(layer).__name__ for layer in layers if is_depth(layer)]
    if paths:
        yield f"{paths[0]} leaves out whole layers in training, which is no dropout of units"
