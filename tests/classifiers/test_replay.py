from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import answers, classifier, inputs, uncut, unfolded
from experiments.shared import resnet20
from uncertainty import Classifier, Preprocess
from uncertainty.classifiers import dropout, replay
from uncertainty.classifiers.even_products import EvenProducts

CUT = {
    "head only": networks.simple,
    "functional, skip connection": networks.functional,
    "in place after the cut": networks.in_place,
    "one module twice": networks.twice,
    "feature maps": lambda: networks.convolutional(nn.Dropout2d(0.5)),
    "tokens": lambda: networks.tokenised(lambda m, t: m.drop(t)),
    "dropout first of all": lambda: networks.made(
        lambda m, x: m.fc(networks.hidden(m, m.drop(x))), drop=nn.Dropout(0.2)
    ),
}


@pytest.mark.parametrize("make", CUT.values(), ids=list(CUT))
def test_cut_equals_full_passes_exactly(make: Callable[[], nn.Module]) -> None:
    one, x = classifier(make()), inputs(6)
    assert one.notes == ()
    assert one.network.replay is not None
    cut, full = answers(one, x), answers(uncut(one), x)
    assert (cut.logits == full.logits).all()
    assert (cut.features == full.features).all()
    np.testing.assert_allclose(cut.mc_probs, full.mc_probs, atol=1e-6)


def test_resnet_is_cut_exactly() -> None:
    preprocess = Preprocess(size=32, mean=resnet20.MEAN, std=resnet20.STD)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one = Classifier.from_module(resnet20.network(), preprocess=preprocess)
    x = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    assert one.network.replay is not None
    full = answers(uncut(one), x, 3).mc_probs
    assert (answers(unfolded(one), x, 3).mc_probs == full).all()
    np.testing.assert_allclose(answers(one, x, 3).mc_probs, full, atol=1e-5)


def test_path_that_depends_on_the_data_gives_the_same_numbers() -> None:
    branching, straight, x = classifier(networks.branching(True)), classifier(networks.branching(False)), inputs(6)
    assert branching.notes == straight.notes == ()
    assert {type(one.network.replay).__name__ for one in (branching, straight)} == {"Resume", "Traced"}
    slow, quick = answers(branching, x), answers(straight, x)
    assert (slow.logits == quick.logits).all()
    assert (slow.features == quick.features).all()
    assert (slow.mc_probs == quick.mc_probs).all()


def test_path_that_depends_on_the_data_is_followed() -> None:
    one, x = classifier(networks.branching(True)), inputs(3)
    x[1] = 2e9
    module = one.network.module.eval()
    with torch.no_grad(), EvenProducts():
        np.testing.assert_array_equal(answers(one, x).logits, module(torch.from_numpy(x)).numpy())


def counted(module: nn.Module, *layers: str) -> dict[str, int]:
    counts = dict.fromkeys(layers, 0)

    def count(name: str) -> None:
        counts[name] += 1

    for name in layers:
        module.get_submodule(name).register_forward_hook(lambda *_, name=name: count(name))
    return counts


def test_prefix_runs_once_a_batch() -> None:
    module = networks.simple()
    one = classifier(module)
    counts = counted(module, "hidden", "drop", "fc")
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 3), dtype=np.uint8)
    one.run(images, passes=7, batch_size=4)
    # Three batches; each has one plain pass and seven sub-networks.
    assert counts == {"hidden": 3, "drop": 3 * 8, "fc": 3 * 8}


def test_without_a_cut_all_of_it_runs_each_time() -> None:
    module = networks.branching(True)
    one = classifier(module)
    counts = counted(module, "hidden", "fc")
    answers(one, inputs(4), passes=7)
    assert counts == {"hidden": 8, "fc": 8}


def test_hooks_see_the_same_either_way() -> None:
    seen: list[Tensor] = []
    module = networks.functional()
    one, x = classifier(module), inputs(4)
    module.get_submodule("fc").register_forward_hook(lambda m, args, out: seen.append(out.clone()))
    answers(one, x, passes=3)
    cut, seen[:] = list(seen), []
    answers(uncut(one), x, passes=3)
    assert len(cut) == len(seen) == 4
    assert all(torch.equal(a, b) for a, b in zip(cut, seen, strict=True))


def assert_same(found: Any, expected: Any) -> None:
    """But for rounding: several sub-networks at once are other products of matrices, on some processors."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def doubled(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
    return (args[0] * 2,)


@pytest.mark.parametrize("when", ["before", "after"])
def test_hook_on_a_part_that_is_taken_apart_is_not_skipped(when: str) -> None:
    module, x = networks.simple(), inputs(4)
    if when == "before":
        module.register_forward_pre_hook(doubled)
    one = classifier(module)
    if when == "after":
        module.register_forward_pre_hook(doubled)
    expected = answers(classifier(networks.simple()), x * 2)
    found = answers(one, x)
    assert_same(found.logits, expected.logits)
    assert_same(found.mc_probs, expected.mc_probs)


def test_removed_hook_leaves_no_trace() -> None:
    def inside() -> nn.Module:
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(48, networks.HIDDEN))
        return networks.made(lambda m, x: m.fc(m.drop(m.trunk(x))), trunk=trunk, drop=nn.Dropout(0.5))

    module, x = inside(), inputs(4)
    handle = module.get_submodule("trunk").register_forward_pre_hook(doubled)
    one = classifier(module)
    handle.remove()
    assert (answers(one, x).logits == answers(classifier(inside()), x).logits).all()


def test_head_before_the_first_dropout_still_gives_features() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = networks.hidden(m, x)
        logits = m.fc(h)
        m.aside(m.drop(h))
        return logits

    module = networks.made(forward, aside=nn.Linear(networks.HIDDEN, 2), drop=nn.Dropout(0.5))
    one, x = classifier(module), inputs(4)
    assert (answers(one, x).features == answers(uncut(one), x).features).all()


def test_weights_loaded_later_are_the_ones_that_run() -> None:
    one, x = classifier(networks.functional()), inputs(4)
    with torch.no_grad():
        one.network.module.load_state_dict({k: v * 1.5 for k, v in one.network.module.state_dict().items()})
    assert_same(answers(one, x).mc_probs, answers(uncut(one), x).mc_probs)


def stacked(one: Classifier, x: np.ndarray, passes: int) -> np.ndarray:
    forward = one.network(x, passes, 3)
    assert forward.mc_logits is not None
    return forward.mc_logits


@pytest.mark.parametrize("make", CUT.values(), ids=list(CUT))
def test_sub_networks_of_one_batch_equal_each_alone(make: Callable[[], nn.Module]) -> None:
    one, x = classifier(make()), inputs(5)
    assert one.network.replay is not None
    assert one.network.replay.stacks
    alone = replace(one, network=replace(one.network, replay=replace(one.network.replay, stacks=False)))
    np.testing.assert_allclose(stacked(one, x, 7), stacked(alone, x, 7), atol=1e-5)


def test_masks_of_a_sub_network_are_the_same_however_many_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    one, x = classifier(networks.functional()), inputs(4)
    whole = stacked(one, x, 9)
    monkeypatch.setattr(replay, "_AT_ONCE", 3 * 4 * networks.HIDDEN)
    np.testing.assert_allclose(stacked(one, x, 9), whole, atol=1e-5)
    np.testing.assert_allclose(stacked(one, x, 4), whole[:, :4], atol=1e-5)


def test_dropout_in_the_head_runs_once_for_all_sub_networks() -> None:
    one = classifier(networks.simple())
    with networks.Rows() as computed:
        answers(one, inputs(16), passes=7)
    assert computed.rows == [16, 16, 7 * 16]  # the hidden layer, the head of the plain pass, the head of all seven


def test_what_depends_on_the_number_of_images_is_not_stacked() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        n, h = x.shape[0], networks.hidden(m, x)
        return m.fc(m.drop(h).reshape(n, -1)[:, : networks.HIDDEN])

    one, x = classifier(networks.made(forward, drop=nn.Dropout(0.5))), inputs(4)
    assert one.network.replay is not None
    assert not one.network.replay.stacks
    np.testing.assert_allclose(answers(one, x).mc_probs, answers(uncut(one), x).mc_probs, atol=1e-6)


def test_a_constant_that_crosses_the_cut_is_shared_by_all_copies() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.fc(m.drop(networks.hidden(m, x)) + m.shift)

    module = networks.made(forward, drop=nn.Dropout(0.5))
    module.register_buffer("shift", torch.linspace(-1, 1, networks.HIDDEN).expand(4, -1)[:1].clone())
    one, x = classifier(module), inputs(4)
    assert one.network.replay is not None
    assert one.network.replay.stacks
    np.testing.assert_allclose(answers(one, x).mc_probs, answers(uncut(one), x).mc_probs, atol=1e-6)


def test_masks_are_drawn_once_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    draw = dropout._drawn
    monkeypatch.setattr(dropout, "_drawn", lambda *key: drawn.append(key) or draw(*key))
    one = classifier(networks.simple())
    drawn.clear()
    first = answers(one, inputs(4), 5).mc_probs
    assert len(drawn) == 5
    answers(one, inputs(7, seed=1), 5)
    assert len(drawn) == 5
    assert (answers(one, inputs(4), 5).mc_probs == first).all()
    answers(one, inputs(4), 5, seed=1)
    assert len(drawn) == 10


def test_masks_beyond_the_room_are_drawn_again() -> None:
    masks, drawn = dropout.Masks(room=12), []

    def draw(key: int) -> Callable[[], Tensor]:
        return lambda: drawn.append(key) or torch.full((2,), float(key))  # type: ignore[func-returns-value]

    for key in (1, 1, 2, 2, 1):
        assert masks.get(key, draw(key)).tolist() == [key, key]
    assert drawn == [1, 2, 1]
    too_large = dropout.Masks(room=4)
    assert [too_large.get(3, draw(3)).tolist() for _ in range(2)] == [[3, 3]] * 2
    assert drawn == [1, 2, 1, 3, 3]
