"""A network that a service has for itself: the same answers, without a look at its weights before each batch."""

import numpy as np
import torch
from torch import nn

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.tracing import Trace
from uncertainty.classifiers.weight_state import WeightState
from uncertainty.service.held_network import held


def network_of(dropout):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.Linear(4, 3),
        )
    return Classifier.from_module(module, preprocess=Preprocess(size=8))


IMAGES = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)


def refuse(self, *_):
    raise AssertionError("it was looked at once more")


def test_it_answers_the_same_and_is_not_looked_at_again(monkeypatch):
    for dropout in (True, False):
        classifier = network_of(dropout)
        assert classifier.network.folds()
        expected = classifier.network(IMAGES, 5, 1)
        own = held(classifier).network
        with monkeypatch.context() as patch:
            patch.setattr(Trace, "holds", refuse)
            patch.setattr(WeightState, "holds", refuse)
            found = own(IMAGES, 5, 1)
        assert np.array_equal(found.logits, expected.logits)
        assert np.array_equal(found.features, expected.features)
        assert (found.mc_logits is None) == (not dropout)
        assert not dropout or np.array_equal(found.mc_logits, expected.mc_logits)
        assert not any(part.training for part in classifier.network.module.modules())


def test_what_was_changed_before_is_seen():
    """A hook that would be skipped, and other weights than those that were folded."""
    seen = []
    classifier = network_of(True)
    classifier.network.module[0].register_forward_hook(lambda *_: seen.append(1))
    held(classifier).network(IMAGES)
    assert seen

    classifier = network_of(True)
    before = classifier.network(IMAGES).logits
    with torch.no_grad():
        classifier.network.module[0].weight.mul_(2)
        classifier.network.module[1].weight.mul_(2)
    after = held(classifier).network(IMAGES).logits
    assert not np.array_equal(after, before)
    assert np.array_equal(after, classifier.network(IMAGES).logits)
