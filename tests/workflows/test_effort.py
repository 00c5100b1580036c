"""What balanced and thorough mean."""

import pytest

from uncertainty.workflows.effort import Effort


@pytest.mark.parametrize(
    ("effort", "given", "expected"),
    [
        ("fast", (None, ()), (None, ())),
        ("balanced", (None, ()), ("efficientnet-lite0", ("auto", "flip"))),
        ("balanced", ("mine:model", ("flip",)), ("mine:model", ("flip",))),
        ("thorough", (None, ()), ("efficientnet-lite0", ("auto",))),
        ("thorough", (None, ("shift",)), ("efficientnet-lite0", ("shift",))),
    ],
)
def test_effort_fills_in_what_was_not_named(effort, given, expected):
    embedder, views = given
    assert (Effort(effort).embedder(embedder), Effort(effort).views(views)) == expected
    assert Effort(effort).passes(None) == (30 if effort == "thorough" else None)
    assert Effort(effort).passes(7) == 7
