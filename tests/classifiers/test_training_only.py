"""Dropout that runs where a module's own training flag is set, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import HIDDEN, answers, classifier, inputs, made, tokens
from uncertainty import Classifier
from uncertainty.classifiers.dropout import SharedMasks
from uncertainty.classifiers.even_products import EvenProducts
from uncertainty.classifiers.training_only import in_training

FULL = "dropout inside attention, or after a look at `training`, is run in full: T dropout passes cost T full passes"


class Fused(nn.Module):
    """Attention as timm has it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.attn_drop = nn.Dropout(p)

    def forward(self, t: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(t, t, t, dropout_p=self.attn_drop.p if self.training else 0.0)


class Chosen(nn.Module):
    """Attention as transformers has it: a number, and a function that gets it."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.attention_dropout = p

    def forward(self, t: Tensor) -> Tensor:
        p = 0.0 if not self.training else self.attention_dropout
        return F.dropout((t @ t.transpose(1, 2)).softmax(-1), p=p, training=self.training) @ t


class Conditional(nn.Module):
    """Dropout after an `if`."""

    def forward(self, t: Tensor) -> Tensor:
        return F.dropout(t, 0.3) if self.training else t


class WithNoise(nn.Module):
    """In training it does more than drop."""

    def forward(self, t: Tensor) -> Tensor:
        return F.dropout(t + torch.rand_like(t), 0.3) if self.training else t


class Counting(nn.Module):
    """In training it counts, in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, t: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
            t = F.dropout(t, 0.3)
        return t


class Look(nn.Module):
    """torch's own layer, with or without the weights that it can answer with."""

    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(HIDDEN, 2, dropout=0.3, batch_first=True)
        self.need_weights = need_weights

    def forward(self, t: Tensor) -> Tensor:
        found: Tensor = self.attention(t, t, t, need_weights=self.need_weights)[0]
        return found


def network(layer: nn.Module) -> nn.Module:
    return made(lambda m, x: m.fc(m.look(tokens(m, x)).mean(1)), hidden=nn.Linear(12, HIDDEN), look=layer)


FOUND: dict[str, Callable[[], nn.Module]] = {
    "fused": lambda: Fused(0.3),
    "chosen": lambda: Chosen(0.3),
    "after an if": Conditional,
    "torch's, with weights": lambda: Look(True),
    "torch's, without": lambda: Look(False),
}


@pytest.mark.parametrize("make", FOUND.values(), ids=list(FOUND))
def test_it_is_replayed_with_shared_masks(make: Callable[[], nn.Module]) -> None:
    module = network(make())
    one, x = classifier(module.eval()), inputs(5)
    assert one.notes == (FULL,)
    assert len(one.network.switched) == 1
    whole = answers(one, x)
    with torch.no_grad(), EvenProducts():
        np.testing.assert_array_equal(whole.logits, module(torch.from_numpy(x)).numpy())
    assert whole.mc_probs.std(axis=1).max() > 1e-3
    np.testing.assert_allclose(answers(one, x[1:3]).mc_probs, whole.mc_probs[1:3], atol=1e-6)
    assert (answers(one, x).mc_probs == whole.mc_probs).all()
    assert not any(part.training for part in module.modules())


@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_in_parts_is_what_torch_computes(need_weights: bool) -> None:
    layer, t = Look(need_weights), torch.randn((3, 4, HIDDEN), generator=torch.Generator().manual_seed(0))
    expected = layer.eval()(t)
    with in_training([layer.attention]), SharedMasks(3) as masks:
        found = layer(t)
    assert masks.calls == 1
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("make", [WithNoise, Counting])
def test_training_that_does_more_is_left_alone_and_named(make: Callable[[], nn.Module]) -> None:
    module = network(make())
    state = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = classifier(module)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.network.switched == ()
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    (note,) = one.notes
    assert "'look' drops units in training alone, where it does other things too" in note


def test_the_others_are_replayed_beside_one_that_is_left_alone() -> None:
    layers = nn.Sequential(Fused(0.3), WithNoise())
    one = classifier(network(layers))
    assert one.network.switched == (layers[0],)
    assert one.notes[0].startswith("not all dropout can be replayed: 'look.1' drops units")


def test_no_pass_is_spent_where_nothing_speaks_of_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("uncertainty.classifiers.training_only._kept", refuse)
    for module in (networks.plain(), networks.simple(), network(Fused(0.0))):
        assert isinstance(classifier(module), Classifier)
