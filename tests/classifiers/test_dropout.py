from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import answers, classifier, inputs
from uncertainty.classifiers.dropout import SharedMasks
from uncertainty.errors import ModelError
from uncertainty.outputs import probs_from_logits

# Seen on a CPU with float32: 1e-7. Larger batches may take other BLAS kernels, never other masks.
SAME = 1e-6
ELEMENTWISE = {
    "Dropout": nn.Dropout(0.3),
    "Dropout in place": nn.Dropout(0.3, inplace=True),
    "F.dropout": lambda x: F.dropout(x, 0.3, training=False),
    "torch.dropout": lambda x: torch.dropout(x, 0.3, False),
}
CHANNELWISE = {
    "Dropout1d": (nn.Dropout1d(0.3), (5, 400, 7)),
    "Dropout2d": (nn.Dropout2d(0.3), (5, 400, 3, 2)),
    "Dropout3d": (nn.Dropout3d(0.3), (5, 400, 2, 2, 2)),
}
MANY = [
    networks.simple,
    networks.functional,
    networks.in_place,
    networks.twice,
    lambda: networks.branching(True),
    lambda: networks.convolutional(nn.Dropout(0.5)),
    lambda: networks.convolutional(nn.Dropout2d(0.5)),
    lambda: networks.convolutional(nn.AlphaDropout(0.5)),
    lambda: networks.convolutional(nn.FeatureAlphaDropout(0.5)),
    lambda: networks.tokenised(lambda m, t: m.drop(t)),
]
every_network = pytest.mark.parametrize("make", MANY)


def masked(layer: Callable[[Tensor], Tensor], x: Tensor, seed: int = 0, pass_index: int = 0) -> Tensor:
    with SharedMasks(len(x), seed, pass_index):
        return layer.eval()(x) if isinstance(layer, nn.Module) else layer(x)


@every_network
def test_a_score_does_not_depend_on_batch_order_or_split(make: Callable[[], nn.Module]) -> None:
    one = classifier(make())
    x = inputs(13)
    whole = answers(one, x).mc_probs
    assert whole.shape == (13, 8, 3)
    assert whole.std(axis=1).max() > 1e-3
    order = np.random.default_rng(1).permutation(13)
    assert abs(answers(one, x[order]).mc_probs - whole[order]).max() < SAME
    for size in (1, 2, 5, 12):
        parts = [answers(one, x[i : i + size]).mc_probs for i in range(0, 13, size)]
        assert abs(np.concatenate(parts) - whole).max() < SAME


@every_network
def test_seed_and_pass_make_the_network(make: Callable[[], nn.Module]) -> None:
    one, x = classifier(make()), inputs(6)
    first = answers(one, x).mc_probs
    assert (answers(one, x).mc_probs == first).all()
    assert (answers(classifier(make()), x).mc_probs == first).all()
    assert abs(answers(one, x, seed=1).mc_probs - first).max() > 1e-3
    # Fewer passes are the first of many.
    assert (answers(one, x, passes=3).mc_probs == first[:, :3]).all()
    assert all(abs(first[:, t] - first[:, 0]).max() > 1e-4 for t in range(1, 8))


def test_torchs_own_generator_is_neither_used_nor_moved() -> None:
    one, x = classifier(networks.simple()), inputs(4)
    torch.manual_seed(1)
    first, state = answers(one, x).mc_probs, torch.get_rng_state()
    torch.manual_seed(2)
    assert (answers(one, x).mc_probs == first).all()
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_mean_over_many_passes_is_the_plain_forward_of_a_linear_head() -> None:
    one, x = classifier(networks.simple()), inputs(5)
    forward = one.network(x, 4000, 0)
    samples = forward.mc_logits
    assert samples is not None
    error = abs(samples.mean(axis=1) - forward.logits) / (samples.std(axis=1) / np.sqrt(4000))
    assert error.max() < 4.5


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_units_are_dropped_with_probability_p_and_the_rest_scaled(name: str) -> None:
    x = torch.ones(3, 20_000)
    found = masked(ELEMENTWISE[name], x.clone())
    assert found.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert (found == found[0]).all()
    assert float((found[0] == 0).float().mean()) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 20_000))


@pytest.mark.parametrize("name", CHANNELWISE)
def test_whole_channels_are_dropped(name: str) -> None:
    layer, shape = CHANNELWISE[name]
    found = masked(layer, torch.ones(shape)).flatten(2)
    assert (found == found[:1, :, :1]).all()
    assert float((found[0, :, 0] == 0).float().mean()) == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.AlphaDropout(0.3), (2, 200_000)), (nn.FeatureAlphaDropout(0.3), (2, 100_000, 2))]
)
def test_alpha_dropout_keeps_mean_and_variance(layer: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = masked(layer, x)
    assert float(found.mean()) == pytest.approx(0, abs=0.02)
    assert float(found.var()) == pytest.approx(1, abs=0.03)
    values, counts = found[0].flatten().unique(return_counts=True)
    # A dropped unit becomes -1.7581; then everything is taken times a plus b, as in section 2 of the paper.
    a = (0.7 * (1 + 0.3 * 1.7580993408**2)) ** -0.5
    b = a * 0.3 * 1.7580993408
    assert float(values[counts.argmax()]) == pytest.approx(-a * 1.7580993408 + b, abs=1e-5)
    assert counts.max() / found[0].numel() == pytest.approx(0.3, abs=0.01)


def test_alpha_dropout_of_channels_takes_whole_channels() -> None:
    x = torch.arange(1.0, 2 * 50 * 4 + 1).reshape(2, 50, 4)
    found = masked(nn.FeatureAlphaDropout(0.5), x)
    dropped = found == found.min()
    assert (dropped == dropped[:1, :, :1]).all()
    assert 10 < int(dropped[0, :, 0].sum()) < 40


def test_a_module_used_twice_has_two_masks() -> None:
    layer = nn.Dropout(0.5).eval()
    with SharedMasks(1, 0, 0) as masks:
        first, second = layer(torch.ones(1, 1000)), layer(torch.ones(1, 1000))
    assert masks.calls == 2
    both = float(((first > 0) & (second > 0)).float().mean())
    assert both == pytest.approx(0.25, abs=0.06)


def test_p_of_one_drops_everything() -> None:
    for layer in (nn.Dropout(1.0), nn.Dropout2d(1.0), nn.AlphaDropout(1.0)):
        assert (masked(layer, torch.ones(2, 3, 4, 4)) == 0).all()


def test_half_precision_stays_half_precision() -> None:
    assert masked(nn.Dropout(0.5), torch.ones(2, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("module", [networks.plain(), networks.simple(p=0.0)], ids=["none", "p=0"])
def test_without_dropout_there_are_no_passes_and_a_note(module: nn.Module) -> None:
    one = classifier(module)
    assert answers(one, inputs(3)).mc_probs is None
    assert one.notes == ("the model calls no dropout in evaluation, so the MC dropout estimators are off",)


def sequence_first(m: Any, t: Tensor) -> Tensor:
    return m.drop(t.transpose(0, 1)).transpose(0, 1)


def sequence_first_flat(m: Any, t: Tensor) -> Tensor:
    turned = t.transpose(0, 1)
    return m.drop(turned.flatten(0, 1)).reshape(turned.shape).transpose(0, 1)


def sequence_first_and_rare(m: Any, t: Tensor) -> Tensor:
    six = torch.cat([t, t[:, :2]], dim=1)  # a whole number of rows for two images, and another for three
    return F.dropout(six.transpose(0, 1), 1e-9, m.training).transpose(0, 1)


@pytest.mark.parametrize("dropout", [sequence_first, sequence_first_flat, sequence_first_and_rare])
def test_dropout_that_mixes_images_is_off_with_a_note(dropout: Callable[[Any, Tensor], Tensor]) -> None:
    one = classifier(networks.tokenised(dropout))
    assert one.notes == ("dropout mixes images along its first axis, so the MC dropout estimators are off",)
    outputs = answers(one, inputs(4))
    assert outputs.mc_probs is None
    assert outputs.features is not None


def test_several_rows_an_image() -> None:
    """Tokens folded into the first axis, image by image, have a mask for each token; tokens along it give the same."""
    folded = classifier(networks.tokenised(lambda m, t: m.drop(t.flatten(0, 1)).reshape(t.shape)))
    apart = classifier(networks.tokenised(lambda m, t: m.drop(t)))
    x = inputs(7)
    assert folded.notes == apart.notes == ()
    assert abs(answers(folded, x).mc_probs - answers(apart, x).mc_probs).max() < SAME
    assert abs(answers(folded, x[3:5]).mc_probs - answers(folded, x).mc_probs[3:5]).max() < SAME


def test_rows_that_are_no_whole_number_an_image_are_refused() -> None:
    with pytest.raises(ModelError, match="sees 5 rows for 2 images"), SharedMasks(2, 0, 0):
        F.dropout(torch.ones(5, 3), 0.5)


def test_transformer_layer_has_its_dropout() -> None:
    """Its quick path in eval mode would leave the dropout out."""
    layer = nn.TransformerEncoderLayer(networks.HIDDEN, 2, 32, dropout=0.3, batch_first=True)
    module = networks.made(
        lambda m, x: m.fc(m.layer(networks.tokens(m, x)).mean(1)), hidden=nn.Linear(12, networks.HIDDEN), layer=layer
    )
    one, x = classifier(module), inputs(5)
    outputs = answers(one, x)
    assert outputs.mc_probs.std(axis=1).max() > 1e-3
    assert abs(answers(one, x[1:3]).mc_probs - outputs.mc_probs[1:3]).max() < SAME


def test_probabilities_are_those_of_the_masked_logits() -> None:
    one, x = classifier(networks.simple()), inputs(3)
    module = one.network.module.eval()
    expected = []
    for t in range(2):
        with torch.no_grad(), SharedMasks(3, 9, t):
            expected.append(probs_from_logits(module(torch.from_numpy(x)).numpy()))
    np.testing.assert_allclose(answers(one, x, passes=2, seed=9).mc_probs, np.stack(expected, axis=1), atol=SAME)
