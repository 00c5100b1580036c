"""What the graph of a file tells: which output are the scores, of what kind, and where their features are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uncertainty.errors import ModelError

# Kinds of nodes are called as ONNX calls them.
_SAME = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "ZipMap")
_SAME_VALUES = (*_SAME, "QuantizeLinear", "DequantizeLinear")
# What may follow the last layer: it keeps the order of the scores, or averages them over places.
_FOLLOWS = (*_SAME_VALUES, "Softmax", "LogSoftmax", "Sigmoid", "Relu", "Tanh", "Clip")
_AVERAGES = ("GlobalAveragePool", "ReduceMean", "AveragePool")
_WITH_CONSTANTS = ("Add", "Sub", "Mul", "Div")
_WHOLE_NUMBERS = ("MatMulInteger", "ConvInteger")  # layers whose result is then multiplied by its steps
_LAYERS = ("Gemm", "MatMul", "Conv", *_WHOLE_NUMBERS)
_OF_PROBABILITIES = {"Softmax": True, "Sigmoid": True, "LogSoftmax": False, "Normalizer": True}


@dataclass(frozen=True)
class Node:
    """One step of a graph: what goes in and comes out, by name.

    `probabilities` and `classes` are what it says itself of scores that it makes.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    probabilities: bool | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Output:
    """An output of a file: `sides` are its shape, None what is left open, () where nothing is declared.

    `numbers` says that it holds real numbers, `maps` that it holds maps from classes to such.
    """

    name: str
    sides: tuple[int | None, ...]
    numbers: bool = True
    maps: bool = False

    @property
    def scores(self) -> bool:
        """Whether it has numbers for each image: (n, c), (n, c, 1, 1), or maps."""
        rows = not self.sides or (len(self.sides) > 1 and all(side == 1 for side in self.sides[2:]))
        return self.maps or (self.numbers and rows)

    def __str__(self) -> str:
        return f"{self.name} ({', '.join('n' if side is None else str(side) for side in self.sides)})"


@dataclass(frozen=True)
class Ends:
    """Names of the tensors that are read, and what they are.

    `probabilities` is None where no node tells; `binary` says that one sigmoid is all that there is; `classes` are
    names that a node of the graph holds.
    """

    scores: str
    features: str | None
    probabilities: bool | None
    binary: bool
    classes: tuple[str, ...] | None


class Graph:
    """Nodes in the order in which they run, outputs, and names of what is constant."""

    def __init__(self, nodes: Iterable[Node], outputs: Sequence[Output], constants: Iterable[str]) -> None:
        self.makers = {name: node for node in nodes for name in node.outputs if name}
        self.outputs = {output.name: output for output in outputs}
        self.constants = set(constants)

    def ends(self, output_name: str | None, features: str | None) -> Ends:
        """Find what is to be read, or what the user names; ModelError where nobody can know."""
        if output_name is not None and output_name not in self.outputs:
            raise ModelError(f"output_name={output_name!r} is no output of it; it has {', '.join(self.outputs)}")
        if features is not None and features not in self.makers:
            last = ", ".join([*self.makers][-6:])
            raise ModelError(f"features={features!r} is no tensor of it; its last ones are {last}")
        candidates = self._candidates()
        chosen = output_name or self._scores(candidates)
        scores = self._before_maps(chosen)
        end = self._end(scores)
        found = features or self._second(chosen, candidates, output_name) or self._input_of_last_layer(scores)
        one = end is not None and end.kind == "Sigmoid" and self.outputs[chosen].sides[1:] == (1,)
        return Ends(scores, found, _tells_probabilities(end), one, self._classes_of(chosen, end))

    def _candidates(self) -> list[str]:
        found = [output.name for output in self.outputs.values() if output.scores]
        if not found:
            shapes = ", ".join(map(str, self.outputs.values())) or "there is none"
            raise ModelError(f"none of its outputs has scores of shape (n, classes): {shapes}")
        return found

    def _scores(self, candidates: list[str]) -> str:
        """Return the output that the others lead to, before its softmax where it has both; or the first of two."""
        for name in candidates:
            if set(candidates) - {name} <= self._before(name):
                return next((other for other in candidates if other in self._line(name) - {name}), name)
        ends = [self._end(name) for name in candidates]
        if len(candidates) > 2 or all(end is not None and end.kind in _OF_PROBABILITIES for end in ends):
            raise ModelError(f"it has several outputs of scores; say output_name= and one of {', '.join(candidates)}")
        return candidates[0]

    def _second(self, chosen: str, candidates: list[str], said: str | None) -> str | None:
        """Return the output that is features: beside the scores, and not the same numbers in another form."""
        others = [name for name in candidates if name != chosen and not self._is_form_of(name, chosen)]
        others = [name for name in others if self.outputs[name].sides[1:] != (1,)]
        if said is not None or len(others) != 1:
            others = [name for name in others if name in self._before(chosen)]
        return others[0] if len(others) == 1 else None

    def _is_form_of(self, one: str, other: str) -> bool:
        """Whether one output is the other before or after a softmax."""
        return other in self._line(one) or one in self._line(other)

    def _line(self, name: str) -> set[str]:
        """Return a tensor, and what it was before all that only changes its form."""
        found = {name}
        while (node := self.makers.get(name)) is not None and node.kind in _FOLLOWS:
            name = node.inputs[0]
            found.add(name)
        return found

    def _before(self, name: str) -> set[str]:
        """Return every tensor that another one follows from."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            node = self.makers.get(waiting.pop())
            new = set(node.inputs) - found if node is not None else set()
            found |= new
            waiting += new
        return found

    def _before_maps(self, name: str) -> str:
        """Return the array that maps from classes to numbers are made of."""
        node = self.makers.get(name)
        return node.inputs[0] if node is not None and node.kind == "ZipMap" else name

    def _end(self, name: str) -> Node | None:
        """Return the last node that changes values."""
        while (node := self.makers.get(name)) is not None and node.kind in _SAME_VALUES:
            name = node.inputs[0]
        return node

    def _input_of_last_layer(self, name: str) -> str | None:
        """Follow the scores back to the layer with weights that makes them; None where there is none like that."""
        while (node := self.makers.get(name)) is not None:
            variable = [one for one in node.inputs if one and not self._is_constant(one)]
            if node.kind in _LAYERS:
                return self._before_rounding(variable[0]) if variable == [node.inputs[0]] else None
            variable = variable if len(variable) == 1 else [one for one in variable if self._is_of_whole_numbers(one)]
            sole = node.kind in _WITH_CONSTANTS and len(variable) == 1
            if not sole and node.kind not in (*_FOLLOWS, *_AVERAGES):
                return None
            name = variable[0] if sole else node.inputs[0]
        return None

    def _is_of_whole_numbers(self, name: str) -> bool:
        end = self._end(name)
        return end is not None and end.kind in _WHOLE_NUMBERS

    def _before_rounding(self, name: str) -> str:
        node = self.makers.get(name)
        return node.inputs[0] if node is not None and node.kind == "QuantizeLinear" else name

    def _is_constant(self, name: str) -> bool:
        node = self.makers.get(name)
        if name in self.constants:
            return True
        return node is not None and bool(node.inputs) and all(self._is_constant(one) for one in node.inputs if one)

    def _classes_of(self, name: str, end: Node | None) -> tuple[str, ...] | None:
        """Return the names by which maps are keyed, or that the last node has for labels."""
        nodes = [self.makers.get(name), end]
        return next((node.classes for node in nodes if node is not None and node.classes), None)


def _tells_probabilities(node: Node | None) -> bool | None:
    """Say by the last node whether scores are probabilities; None where it does not tell."""
    if node is None or node.probabilities is not None:
        return None if node is None else node.probabilities
    return _OF_PROBABILITIES.get(node.kind)
