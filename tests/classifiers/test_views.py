from __future__ import annotations

import numpy as np
import pytest
import torch

from classifiers import networks
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.classifiers.views import VIEWS, bearable, check_views, view_logits
from uncertainty.errors import InputError

EVERY = [(name, view) for name, views in VIEWS.items() for view in views]


@pytest.mark.parametrize(("name", "view"), EVERY)
@pytest.mark.parametrize("side", [1, 2, 8, 33])
def test_a_view_has_the_size_of_the_image(name, view, side):
    images = torch.rand(2, 3, side, side)
    assert view(images).shape == images.shape


def test_flips_and_turns_undo_themselves():
    x = torch.rand(2, 3, 8, 8)
    for name in ("flip", "flip_vertical"):
        (view,) = VIEWS[name]
        assert torch.equal(view(view(x)), x)
    left, right = VIEWS["rotate"]
    assert torch.equal(left(right(x)), x)


def test_shifts_go_four_ways_and_repeat_the_border():
    x = torch.arange(256.0).reshape(1, 1, 16, 16)
    down, up, right, left = (view(x) for view in VIEWS["shift"])
    assert torch.equal(down[..., 1:, :], x[..., :-1, :])
    assert torch.equal(down[..., 0, :], x[..., 0, :])
    assert torch.equal(up[..., :-1, :], x[..., 1:, :])
    assert torch.equal(right[..., :, 1:], x[..., :, :-1])
    assert torch.equal(left[..., :, :-1], x[..., :, 1:])


def test_names_are_checked_and_kept_once():
    assert check_views(["flip", "shift", "flip"]) == ("flip", "shift")
    with pytest.raises(InputError, match="there is no view 'mirror'; known are flip, shift"):
        check_views(["mirror"])


def test_logits_of_views_are_those_of_the_viewed_images():
    x = torch.rand(3, 3, 8, 8)
    weights = torch.rand(3 * 8 * 8, 5)
    run = lambda images: images.flatten(1) @ weights  # noqa: E731
    logits = view_logits(run, x, ["flip", "rotate"])
    assert logits.shape == (3, 3, 5)
    assert torch.equal(logits[:, 0], run(x.flip(-1)))


def test_classifier_runs_them_on_request_whatever_the_batch():
    classifier = Classifier.from_module(networks.plain(), preprocess=Preprocess(size=4))
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    outputs = classifier.run(images, views=("flip", "shift"), batch_size=5)
    assert outputs.tta_probs.shape == (5, 5, outputs.n_classes)
    again = classifier.run(images, views=("flip", "shift"), batch_size=2)
    np.testing.assert_allclose(again.tta_probs, outputs.tta_probs, atol=1e-6)
    assert classifier.run(images).tta_probs is None
    flipped = classifier.run(np.ascontiguousarray(images[:, :, ::-1]))
    np.testing.assert_allclose(outputs.tta_probs[:, 0], flipped.probs, atol=1e-6)


def test_views_that_a_classifier_does_not_bear_are_left_out():
    n, names = 200, [name for name, views in VIEWS.items() for _ in views]
    labels = np.arange(n) % 2
    right = np.eye(2)[labels]
    views = np.stack([right if name in ("flip", "zoom") else right[:, ::-1] for name in names], axis=1)
    outputs = ModelOutputs(ids=np.arange(n).astype(str), logits=5 * right, labels=labels, tta_probs=views)
    kept, chosen = bearable(outputs)
    assert kept == ("flip", "zoom")
    np.testing.assert_array_equal(chosen.tta_probs, np.stack([right, right], axis=1))
    none, bare = bearable(ModelOutputs(**{**vars(outputs), "tta_probs": views[:, :, ::-1] * 0 + [0.5, 0.5]}))
    assert none == ()
    assert bare.tta_probs is None


def test_views_of_several_labels_are_kept_by_their_known_decisions():
    labels = np.array([[1, 0, -1]] * 10)
    said = np.where(labels == 1, 0.6, 0.1)  # the last is not known, and any answer to it will do
    views = np.stack([said, np.where(labels < 0, 0.9, said), 1 - said], axis=1)
    outputs = ModelOutputs(
        ids=[str(i) for i in range(10)],
        logits=np.log(said / (1 - said)),
        labels=labels,
        tta_probs=np.concatenate([views, views[:, 2:], views[:, 2:]], axis=1),
        task="multilabel",
        decision_thresholds=[0.55, 0.5, 0.5],
    )
    kept, chosen = bearable(outputs, ("flip", "zoom", "flip_vertical", "rotate"))
    assert kept == ("flip", "zoom")
    assert chosen.tta_probs.shape == (10, 2, 3)
