"""Networks of the experiment: a seed gives the same weights whatever was drawn before; what is measured of chance."""

from functools import partial

import numpy as np
import pytest
import torch

from experiments.multilabel.judged import cleanlab_score, ece_by_chance
from experiments.multilabel.networks import kept_network, trained
from uncertainty import ModelOutputs
from uncertainty.demo.canvas_network import CanvasNetwork


def test_a_seed_gives_the_same_weights_from_the_first_to_the_last():
    inputs, labels = torch.rand(6, 3, 20, 20, generator=torch.Generator().manual_seed(0)), np.eye(6, 2, dtype=np.int64)
    made = []
    for seed in (0, 0, 1):
        torch.rand(3)
        made.append(trained(partial(CanvasNetwork, 2), inputs, labels, 1, seed).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not torch.equal(made[0]["fc.weight"], made[2]["fc.weight"])


def test_a_network_is_trained_once_and_read_from_then_on(tmp_path):
    made = []

    def train():
        made.append(CanvasNetwork(2))
        return made[-1]

    file = tmp_path / "kept" / "network.safetensors"
    first, again = (kept_network(file, partial(CanvasNetwork, 2), train) for _ in range(2))
    assert len(made) == 1
    assert not again.training
    assert all(torch.equal(first.state_dict()[name], value) for name, value in made[0].state_dict().items())
    assert all(torch.equal(again.state_dict()[name], value) for name, value in made[0].state_dict().items())


def test_confidences_are_averaged_from_the_highest_to_the_lowest():
    logits = np.log([[9.0, 1 / 4, 3.0]])  # confidences 0.9, 0.8 and 0.75
    found = cleanlab_score(ModelOutputs(ids=["a"], logits=logits, task="multilabel"))
    assert found.tolist() == pytest.approx([1 - (0.8 * 0.75 + 0.2 * (0.8 * 0.8 + 0.2 * 0.9))], abs=1e-6)


def test_ece_of_few_rows_is_above_0_by_chance():
    p = np.linspace(0, 1, 100_000)
    assert ece_by_chance(p) < 0.01 < ece_by_chance(p[::200])
