"""On a GPU a classifier answers as on the processor, but for rounding; skipped where there is none."""

import copy

import numpy as np
import pytest
import torch
from conftest import SIDE, stripes, tiny_network

from uncertainty.classifiers import Classifier, Preprocess

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]


@pytest.fixture(scope="module")
def both():
    network = tiny_network(0)
    preprocess = Preprocess(size=SIDE, mean=(0.5,) * 3, std=(1.0,) * 3)
    made = (copy.deepcopy(network).to(device) for device in ("cpu", "cuda"))
    return [Classifier.from_module(one, ["cat", "dog", "eel"], preprocess) for one in made]


@pytest.mark.parametrize("views", [(), ("flip",)])
def test_the_same_answers(both, views):
    """Dropout is the same sub-networks, since masks are drawn on the processor."""
    here, there = (one.run(stripes(40, seed=3)[0], passes=5, views=views) for one in both)
    for column in ("logits", "features", "mc_probs", *(["tta_probs"] if views else [])):
        np.testing.assert_allclose(getattr(there, column), getattr(here, column), atol=1e-4, err_msg=column)


def test_batches_do_not_matter(both):
    pixels = stripes(40, seed=3)[0]
    one, other = (both[1].run(pixels, passes=5, batch_size=size) for size in (40, 7))
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
    np.testing.assert_allclose(one.mc_probs, other.mc_probs, atol=1e-4)
