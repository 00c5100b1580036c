"""Networks that can't be traced: only what follows their first dropout is computed anew for each sub-network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifiers.networks import HIDDEN, Rows, answers, classifier, hidden, inputs, made, uncut
from uncertainty.classifiers.resume import Resume

UNCUT = "the graph can't be cut before its dropout, so T dropout passes cost T full passes"


def untraced(forward: Callable[[Any, Tensor], Any], **layers: nn.Module) -> nn.Module:
    """A network that looks at numbers before anything else, which can't be traced."""

    def looking(m: Any, x: Tensor) -> Any:
        return forward(m, -x if bool((x > 1e9).any()) else x)

    return made(looking, **(dict(drop=nn.Dropout(0.5)) | layers))


def in_place(m: Any, x: Tensor) -> Tensor:
    h = hidden(m, x)
    dropped = m.drop(h)
    return m.fc(h.mul_(2).add_(dropped))


def unpacked(m: Any, x: Tensor) -> Tensor:
    first, *others = hidden(m, x)
    return m.fc(m.drop(torch.stack([first, *others])))


def around(m: Any, x: Tensor) -> Tensor:
    h = hidden(m, x)
    low, high = h.chunk(2, dim=1)
    return m.fc(torch.cat([m.drop(low), high], dim=1) + h)


CUT: dict[str, Callable[[], nn.Module]] = {
    "head": lambda: untraced(lambda m, x: m.fc(m.drop(hidden(m, x)))),
    "two layers of a head": lambda: untraced(
        lambda m, x: m.fc(hidden(m, x)),
        drop=nn.Identity(),
        fc=nn.Sequential(nn.Dropout(0.4), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(0.4), nn.Linear(HIDDEN, 3)),
    ),
    "skip connection and parts of a tensor": lambda: untraced(around),
    "in place after the cut": lambda: untraced(in_place),
    "rows of a tensor by themselves": lambda: untraced(unpacked),
    "an answer with logits": lambda: untraced(lambda m, x: {"logits": m.fc(m.drop(hidden(m, x)))}),
    "features beside the logits": lambda: untraced(lambda m, x: (m.fc(m.drop(h := hidden(m, x))), h)),
    "dropout first of all": lambda: untraced(lambda m, x: m.fc(hidden(m, m.drop(x)))),
}


@pytest.mark.parametrize("make", CUT.values(), ids=list(CUT))
def test_resumed_equals_full_passes(make: Callable[[], nn.Module]) -> None:
    one, x = classifier(make()), inputs(6)
    assert one.notes == ()
    assert isinstance(one.network.replay, Resume)
    found, full = answers(one, x), answers(uncut(one), x)
    assert (found.logits == full.logits).all()
    assert (found.features == full.features).all()
    np.testing.assert_allclose(found.mc_probs, full.mc_probs, atol=1e-6)
    np.testing.assert_allclose(answers(one, x[2:3]).mc_probs, found.mc_probs[2:3], atol=1e-6)


def test_only_what_follows_the_first_dropout_is_computed_anew() -> None:
    one, x = classifier(CUT["head"]()), inputs(16)
    with Rows() as computed:
        answers(one, x, passes=7)
    assert computed.rows == [16, 16, 7 * 16]  # the hidden layer, the head of the plain pass, the head of all seven


def test_a_path_that_follows_the_masks_is_taken_for_each_sub_network() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.drop(hidden(m, x))
        return m.fc(-h if float(h.sum()) > float(hidden(m, x).sum()) else h)

    one, x = classifier(untraced(forward)), inputs(4)
    np.testing.assert_allclose(answers(one, x).mc_probs, answers(uncut(one), x).mc_probs, atol=1e-6)


def test_another_path_than_at_the_probe_is_run_in_full() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = hidden(m, x)
        other = h.cos()
        if bool((x > 1e3).any()):
            return m.fc(m.drop(h) + other.sin())
        return m.fc(m.drop(h))

    one, x = classifier(made(forward, drop=nn.Dropout(0.5))), inputs(4)
    assert isinstance(one.network.replay, Resume)
    x[0, 0, 0, 0] = 2e3
    assert (answers(one, x).mc_probs == answers(uncut(one), x).mc_probs).all()


def test_what_a_module_keeps_of_a_pass_is_never_a_stand_in() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.last = hidden(m, x)
        return m.fc(m.drop(m.last.cos()))

    module = untraced(forward)
    one, x = classifier(module), inputs(4)
    assert answers(one, x).mc_probs is not None
    assert one.notes == (UNCUT,)
    assert module.last.shape == (4, HIDDEN)


def test_hooks_see_whole_passes() -> None:
    seen: list[int] = []
    module = CUT["head"]()
    one, x = classifier(module), inputs(4)
    before = answers(one, x, passes=3).mc_probs
    module.get_submodule("hidden").register_forward_hook(lambda m, args, out: seen.append(out.numel()))
    np.testing.assert_allclose(answers(one, x, passes=3).mc_probs, before, atol=1e-6)
    assert seen == [4 * HIDDEN] * 4


def test_with_a_hook_it_is_not_cut_and_told() -> None:
    module = CUT["head"]()
    module.get_submodule("hidden").register_forward_hook(lambda m, args, out: out * 2)
    assert classifier(module).notes == (UNCUT,)
