"""A network that a service has for itself: the same answers, without a look at its weights before each batch."""

import numpy as np
import torch
from torch import nn

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.held_network import held
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.classifiers.tracing import Trace
from uncertainty.classifiers.weight_state import WeightState


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
        own = held(classifier, evaluated=True).network
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


def test_features_are_those_of_the_layer_that_was_asked_for():
    """A part that would skip that layer is not run."""
    module = network_of(True).network.module
    classifier = Classifier.from_module(module, preprocess=Preprocess(size=8), features="2")
    found = held(classifier).network(IMAGES)
    assert np.array_equal(found.features, classifier.network(IMAGES).features)
    with torch.no_grad():
        expected = module.eval()[:3](torch.from_numpy(IMAGES)).mean((2, 3)).numpy()
    np.testing.assert_allclose(found.features, expected, atol=1e-6)


def test_one_of_the_user_is_looked_at_before_each_batch(monkeypatch):
    classifier = network_of(True)
    looks = []
    holds = WeightState.holds
    monkeypatch.setattr(WeightState, "holds", lambda self, *given: looks.append(1) or holds(self, *given))
    own = held(classifier).network
    looks.clear()
    for _ in range(3):
        own(IMAGES)
    assert not looks
    for batch in range(1, 4):
        classifier.network(IMAGES)
        assert len(looks) >= batch
