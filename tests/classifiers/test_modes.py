"""Networks that were compiled, exported, frozen or cast, as they are brought."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from classifiers import networks
from classifiers.networks import answers, classifier, hidden, inputs, made
from uncertainty.errors import ModelError


class Holding(nn.Module):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x)


@pytest.mark.parametrize("inside", [False, True])
def test_a_compiled_network_answers_as_it_was_written_dropout_included(inside: bool) -> None:
    module = networks.simple()
    compiled = torch.compile(module, backend="eager")
    one, other = classifier(module), classifier(Holding(compiled) if inside else compiled)
    assert (one.sha256 == other.sha256) != inside
    first, again = answers(one, inputs(4)), answers(other, inputs(4))
    for name in ("logits", "features", "mc_probs"):
        np.testing.assert_allclose(getattr(first, name), getattr(again, name), atol=1e-6)


def exported() -> nn.Module:
    batch = {0: torch.export.Dim("batch")}
    return torch.export.export(networks.plain().eval(), (torch.zeros(2, 3, 4, 4),), dynamic_shapes=(batch,)).module()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        exported,
        lambda: Holding(exported()),
        lambda: torch.jit.freeze(torch.jit.trace(networks.plain().eval(), torch.zeros(2, 3, 4, 4))),
    ],
)
def test_programs_without_training_and_evaluation_are_run_as_they_are(make: Callable[[], nn.Module]) -> None:
    expected = answers(classifier(networks.plain()), inputs(5)).logits
    np.testing.assert_allclose(answers(classifier(make()), inputs(5)).logits, expected, atol=1e-5)


@pytest.mark.parametrize(("kind", "close"), [(torch.bfloat16, 0.05), (torch.float16, 0.01), (torch.float64, 1e-5)])
def test_images_are_cast_to_the_precision_of_the_weights(kind: torch.dtype, close: float) -> None:
    one = classifier(networks.simple().to(kind))
    found, expected = answers(one, inputs(4)), answers(classifier(networks.simple()), inputs(4))
    np.testing.assert_allclose(found.logits, expected.logits, atol=close * abs(expected.logits).max())
    assert found.features is not None
    assert found.mc_probs.std() > 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: networks.plain().to("meta"), "hold no values"),
        (lambda: made(lambda m, x: m.fc(hidden(m, x)).to_sparse()), r"answers with torch.sparse_coo"),
    ],
)
def test_what_can_not_be_run_is_refused_with_its_cause(make: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        classifier(make())


def test_a_module_that_compiles_itself_has_its_dropout() -> None:
    module = networks.simple()
    module.compile(backend="eager")
    found, expected = answers(classifier(module), inputs(4)), answers(classifier(networks.simple()), inputs(4))
    np.testing.assert_allclose(found.mc_probs, expected.mc_probs, atol=1e-6)


def test_an_exported_program_has_its_features_and_its_dropout() -> None:
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(networks.simple().eval(), (torch.zeros(2, 3, 4, 4),), dynamic_shapes=(batch,))
    one, expected = classifier(program.module()), answers(classifier(networks.simple()), inputs(5))
    assert one.notes == ()
    found = answers(one, inputs(5))
    for name in ("logits", "features", "mc_probs"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_a_scripted_part_takes_no_hooks_and_needs_none() -> None:
    trunk = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(48, 16)))
    module = made(lambda m, x: m.fc(m.drop(m.trunk(x))), trunk=trunk, drop=nn.Dropout(0.5))
    found = answers(classifier(module), inputs(4))
    assert found.features.shape == (4, 16)
    assert found.mc_probs.std() > 0
    with pytest.raises(ModelError, match="features='trunk' is scripted"):
        classifier(module, features="trunk")


class Whole(nn.Module):
    """A network that is quantised from its input to its head."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
        self.before, self.after = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.after(self.layers(self.before(x)))
        return answer


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_a_quantised_network_has_features_and_says_why_no_dropout() -> None:
    module = Whole().eval()
    module.qconfig = torch.ao.quantization.default_qconfig
    prepared = torch.ao.quantization.prepare(module)
    prepared(torch.from_numpy(inputs(64)))
    one = classifier(torch.ao.quantization.convert(prepared))
    assert answers(one, inputs(4)).features.shape == (4, 16)
    assert "its dropout works on whole numbers, which can't be scaled" in one.notes[0]
