"""Whatever a network does beside answering: an answer depends on the image alone, or it is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from classifiers import networks
from classifiers.networks import HIDDEN, answers, classifier, hidden, inputs, made, tokens
from uncertainty.errors import ModelError

CONV = dict(conv=nn.Conv2d(3, 8, 3, padding=1), fc=nn.Linear(8, 3))


def quantised() -> nn.Module:
    with pytest.warns(Warning, match="deprecated"):
        module: nn.Module = torch.ao.quantization.quantize_dynamic(
            networks.simple().eval(), {nn.Linear}, dtype=torch.qint8
        )
    return module


def handing_out_its_buffer(m: Any, x: Tensor) -> Tensor:
    m.memory[: len(x)] = m.fc(m.drop(hidden(m, x)))
    return m.memory[: len(x)]


def with_memory() -> nn.Module:
    module = made(handing_out_its_buffer, drop=nn.Dropout(0.5))
    module.memory = torch.zeros(64, 3)
    return module


def writing_into_its_input() -> nn.Module:
    return made(lambda m, x: m.fc(m.drop(hidden(m, x.mul_(0.5)))), drop=nn.Dropout(0.5))


def changing_its_features() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = hidden(m, x)
        logits = m.fc(h)
        h.zero_()
        return logits

    return made(forward)


ALWAYS_ON: dict[str, Callable[[], nn.Module]] = {
    "F.dropout": lambda: made(lambda m, x: m.fc(F.dropout(hidden(m, x), 0.3))),
    "F.dropout2d": lambda: made(lambda m, x: m.fc(F.dropout2d(m.conv(x), 0.3).mean((2, 3))), **CONV),
    "fused attention": lambda: made(
        lambda m, x: m.fc(F.scaled_dot_product_attention(*[tokens(m, x)] * 3, dropout_p=0.5).mean(1)),
        hidden=nn.Linear(12, HIDDEN),
    ),
    "a module in training": lambda: made(lambda m, x: m.fc(m.drop.train()(hidden(m, x))), drop=nn.Dropout(0.4)),
}


@pytest.mark.parametrize("kind", ALWAYS_ON)
def test_dropout_that_is_always_on_is_held_in_plain_passes(kind: str) -> None:
    one, x = classifier(ALWAYS_ON[kind]()), inputs(12)
    assert any("drops units in evaluation too" in note for note in one.notes)
    first = one.network(x, 5, 0, ("flip",))
    again = one.network(x, 5, 0, ("flip",))
    for name in ("logits", "features", "mc_logits", "tta_logits"):
        assert (getattr(first, name) == getattr(again, name)).all()
    assert first.mc_logits is not None
    assert first.mc_logits.std(axis=1).max() > 1e-3
    parts = np.concatenate([one.network(x[i : i + 1], 5, 0).mc_logits for i in range(12)])
    np.testing.assert_allclose(parts, first.mc_logits, atol=1e-5)
    deeper = one.network.deeper(one.network(x), x, 5, 0, ("flip",))
    np.testing.assert_allclose(deeper.tta_logits, first.tta_logits, atol=1e-5)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.fc(hidden(m, x) + torch.randn(len(x), HIDDEN)),
        lambda m, x: m.fc(hidden(m, x + 0.5 * torch.rand_like(x))),
        lambda m, x: m.fc(hidden(m, x[:, :, torch.randperm(4)])),
        lambda m, x: m.fc(hidden(m, x) * torch.bernoulli(torch.full((len(x), HIDDEN), 0.7))),
        lambda m, x: m.fc(hidden(m, x) + 1e-3 * torch.randn(len(x), HIDDEN)),
        lambda m, x: m.fc(hidden(m, x) * (torch.rand(()) > 0.1)),
        lambda m, x: m.fc(hidden(m, x) * (1 if random.random() > 0.1 else 2)),
        lambda m, x: m.fc(hidden(m, x) * (1 if np.random.random() > 0.1 else 2)),
    ],
)
def test_other_randomness_is_refused_with_its_cause(forward: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match="answers the same image differently each time, and not by a dropout"):
        classifier(made(forward))


def test_random_numbers_that_change_no_answer_do_no_harm() -> None:
    assert classifier(made(lambda m, x: m.fc(hidden(m, x) + 0 * torch.rand(())))).network.habits.held is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: made(lambda m, x: m.fc(m.odd(hidden(m, x))), odd=nn.BatchNorm1d(HIDDEN, track_running_stats=False)),
        lambda: made(
            lambda m, x: m.fc(m.odd(m.conv(x)).mean((2, 3))),
            **CONV, odd=nn.BatchNorm2d(8, track_running_stats=False),
        ),
        lambda: made(
            lambda m, x: m.fc(m.odd(m.conv(x)).relu().mean((2, 3))),
            **CONV, odd=nn.BatchNorm2d(8, track_running_stats=False),
        ),
    ],
)  # fmt: skip
def test_batch_norm_without_running_statistics_is_refused_by_name(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(ModelError, match=r"depend on the other images of the batch: its batch norm 'odd' has no"):
        classifier(make())


class NeverEvaluated(nn.BatchNorm1d):
    def train(self, mode: bool = True) -> NeverEvaluated:
        return super().train(True)


def test_a_batch_norm_that_stays_in_training_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"its batch norm 'odd' stays in training mode after eval\(\)"):
        classifier(made(lambda m, x: m.fc(m.odd(m.conv(x).flatten(2)).mean(2)), **CONV, odd=NeverEvaluated(8)))


@pytest.mark.parametrize(
    "forward", [lambda m, x: m.fc(hidden(m, x) - hidden(m, x).mean(0)), lambda m, x: m.fc(hidden(m, x)).softmax(0)]
)
def test_where_images_mean_nothing_alone_it_is_refused(forward: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match="alone every image gets the same one"):
        classifier(made(forward))


MIXES: dict[str, Callable[[], nn.Module]] = {
    "int8": quantised,
    "functional batch norm": lambda: made(
        lambda m, x: m.fc(F.batch_norm(m.conv(x), None, None, training=True).relu().mean((2, 3))), **CONV
    ),
    "a share of the mean": lambda: networks.tokenised(lambda m, t: t + m.drop(t.mean(0, keepdim=True))),
    "the loudest image": lambda: made(lambda m, x: m.fc(hidden(m, x / x.abs().max()))),
}


@pytest.mark.parametrize("kind", MIXES)
def test_where_images_are_mixed_each_runs_alone(kind: str) -> None:
    one, x = classifier(MIXES[kind]()), inputs(12)
    (note,) = [note for note in one.notes if "depend on the other images of the batch" in note]
    assert ("dynamic quantisation" in note) == (kind == "int8")
    assert not any("dropout mixes" in note for note in one.notes)
    whole = one.network(x, 4, 0, ("flip",))
    for i in (0, 7):
        alone = one.network(x[i : i + 1], 4, 0, ("flip",))
        for name, values in alone._arrays().items():
            np.testing.assert_array_equal(getattr(whole, name)[i : i + 1], values)
    deeper = one.network.deeper(one.network(x), x, 4, 0, ("flip",))
    for name, values in deeper._arrays().items():
        np.testing.assert_array_equal(getattr(whole, name), values)


@pytest.mark.parametrize("make", [networks.simple, networks.plain, networks.functional, with_memory])
def test_networks_without_such_habits_have_none_of_these_notes(make: Callable[[], nn.Module]) -> None:
    assert classifier(make()).network.habits.notes == ()


@pytest.mark.parametrize("make", [with_memory, writing_into_its_input, changing_its_features])
def test_memory_that_is_written_again_changes_no_answer(make: Callable[[], nn.Module]) -> None:
    one, x = classifier(make()), inputs(6)
    before = x.copy()
    found = one.network(x, 4, 0, ("flip",))
    kept = {name: values.copy() for name, values in found._arrays().items()}
    one.network(inputs(6, seed=1), 4, 0)
    assert (x == before).all()
    for name, values in kept.items():
        np.testing.assert_array_equal(getattr(found, name), values)
    with torch.no_grad():
        expected = one.network.module.eval()(torch.from_numpy(x.copy())).clone().numpy()
    np.testing.assert_allclose(found.logits, expected, atol=1e-5)
    if found.mc_logits is not None:
        assert found.mc_logits.std(axis=1).max() > 1e-3
    else:
        assert abs(found.features).max() > 0.1


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda z: z.sigmoid(), "all lie between 0 and 1"),
        (lambda z: z.log_softmax(1), None),
        (lambda z: z.relu(), None),
        (lambda z: z.tanh(), None),
        (lambda z: torch.zeros_like(z), None),
    ],
)
def test_outputs_that_look_like_probabilities_are_told(end: Callable[[Tensor], Tensor], said: str | None) -> None:
    notes = classifier(made(lambda m, x: end(m.fc(hidden(m, x))))).notes
    told = [note for note in notes if "look like probabilities" in note]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


def test_a_softmax_is_refused_until_it_is_said() -> None:
    module = made(lambda m, x: m.fc(hidden(m, x)).softmax(1))
    with pytest.raises(ModelError, match=r"sum to 1, so these look like probabilities, .* say output=probabilities"):
        classifier(module)


class Tempered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.temperature, self.scale = networks.simple(), 1.0, torch.ones(3)
        self.listed, self.named, self.settings = [1.0], {"t": 1.0}, SimpleNamespace(t=1.0)

    def forward(self, x: Tensor) -> Tensor:
        others = self.listed[0] * self.named["t"] * self.settings.t
        return self.inner(x) / self.temperature / others * self.scale


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "temperature", 10.0),
        lambda m: setattr(m, "scale", torch.full((3,), 0.1)),
        lambda m: setattr(m.inner, "hidden", nn.Linear(48, HIDDEN)),
        lambda m: m.listed.__setitem__(0, 10.0),
        lambda m: m.named.update(t=10.0),
        lambda m: setattr(m.settings, "t", 10.0),
    ],
)
def test_what_is_changed_after_tracing_is_not_ignored(change: Callable[[Any], None]) -> None:
    module = Tempered()
    one, x = classifier(module), inputs(4)
    before = one.network(x, 3, 0)
    assert one.network.replay is not None
    change(module)
    after = one.network(x, 3, 0)
    with torch.no_grad():
        np.testing.assert_allclose(after.logits, module.eval()(torch.from_numpy(x)).numpy(), atol=1e-5)
    assert after.mc_logits is not None
    assert before.mc_logits is not None
    assert abs(after.mc_logits - before.mc_logits).max() > 1e-2


def test_another_last_layer_needs_a_new_probe() -> None:
    module = networks.simple()
    one = classifier(module)
    module.fc = nn.Linear(HIDDEN, 3)
    with pytest.raises(ModelError, match="wrap it anew after a layer was replaced"):
        one.network(inputs(2))


def drop_path() -> nn.Module:
    class DropPath(nn.Identity):
        pass

    return made(lambda m, x: m.fc(m.path(hidden(m, x))), path=DropPath())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(lambda m, x: m.fc(F.dropout(hidden(m, x)) if m.training else hidden(m, x))), "in evaluation, so"),
        (
            lambda: made(lambda m, x: m.fc(m.drop(hidden(m, x)) if m.training else hidden(m, x)), drop=nn.Dropout(0.5)),
            "that of 'drop' runs in training alone",
        ),
        (drop_path, "DropPath leaves out whole layers in training, which is no dropout of units"),
        (lambda: torch.jit.trace(networks.simple().eval(), torch.zeros(2, 3, 4, 4)), "it is scripted"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_dropout_that_is_not_seen_is_told_as_it_is(make: Callable[[], nn.Module], said: str) -> None:
    (note,) = [note for note in classifier(make()).notes if "MC dropout estimators are off" in note]
    assert note.startswith("the model calls no dropout")
    assert said in note


def test_a_dropout_layer_among_others_that_is_not_replayed_is_named() -> None:
    module = made(
        lambda m, x: m.fc(m.drop(m.odd(hidden(m, x)) if m.training else hidden(m, x))),
        odd=nn.Dropout(0.2),
        drop=nn.Dropout(0.5),
    )
    one = classifier(module)
    assert one.notes == (
        "1 dropout layers can't be replayed: that of 'odd' runs in training alone, or inside fused attention, or never",
    )
    assert answers(one, inputs(3)).mc_probs is not None


def test_an_answer_that_depends_on_the_place_in_the_batch_is_found() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        torch.manual_seed(0)
        return m.fc(hidden(m, x)) * (1 + torch.rand(len(x), 1))

    found = classifier(made(forward)).network.habits
    assert found.alone
