"""A policy is planned without a trace, then put in place, as a notebook would do it."""

import pytest

from uncertainty.decisions.policies import Policy
from uncertainty.screener import Screener
from uncertainty.workflows.policy import apply_policy, plan_policy


@pytest.fixture
def saved(world, tmp_path):
    world.screener.save(tmp_path / "screener")
    return tmp_path / "screener"


def test_a_plan_changes_nothing_until_it_is_applied(saved):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    change = plan_policy(saved, Policy.of(budget=0.3))
    assert (change.before.budget, change.after.budget) == (0.1, 0.3)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    apply_policy(change)
    assert Screener.load(saved).budget == 0.3
    assert len(Screener.load(saved).history) == 1


def test_without_a_policy_the_plan_is_the_present_one(saved):
    change = plan_policy(saved, None)
    assert change.after is change.before
