"""What is asked of a fit, in one value, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uncertainty.combination.evidence import Shares
from uncertainty.decisions.policies import Policy
from uncertainty.defaults import CASCADE_LOSS
from uncertainty.errors import InputError
from uncertainty.estimators.base import Estimator
from uncertainty.images.duplicates import Duplicates


@dataclass(frozen=True, eq=False)
class FitSettings:
    """What a fit asks, beside the rows that it learns from; `Screener.fit_outputs` says what each of it means.

    `shares` are the expected ones; `damage_kinds` say by name what damaged the copy of a calibration image. Raises
    InputError for a number out of range.
    """

    shares: Shares
    policy: Policy
    seed: int = 0
    certify_share: float = 0.0
    estimators: Sequence[Estimator] | None = None
    classes: Sequence[str] | None = None
    deeper: Sequence[str] = ()
    cascade_loss: float = CASCADE_LOSS
    cascade_share: float | None = None
    groups: Mapping[str, str] | Sequence[Any] | None = None
    keep_class_order: bool = False
    damage_kinds: Mapping[str, str] | None = None
    drop_duplicates: bool = False
    compared: Duplicates | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Policy):
            raise InputError(f"policy is {self.policy!r}; make one by Policy.of, such as Policy.of(budget=0.1)")
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            raise InputError(f"seed is {self.seed!r}; it must be a whole number, 0 or more")
        object.__setattr__(self, "seed", int(self.seed))
        if not 0 <= self.certify_share < 1:
            raise InputError(f"certify_share is {self.certify_share}; it must be a share from 0 to below 1")
        if not self.cascade_loss >= 0:
            raise InputError(f"cascade_loss is {self.cascade_loss}; it must be a share of E-AURC, 0 or more")
        if self.cascade_share is not None and self.cascade_loss != CASCADE_LOSS:
            raise InputError("cascade_share takes the place of cascade_loss; give one of them")
        if self.cascade_share is not None and not 0 <= self.cascade_share <= 1:
            raise InputError(f"cascade_share is {self.cascade_share}; it must be a share of the images, from 0 to 1")


def one_policy(budget: float | None, policy: Policy | None) -> Policy:
    """Return the policy that is asked for, of which a budget is the short form; InputError for both.

    >>> one_policy(0.2, None)
    Policy(kind='budget', target=0.2, confidence=0.0, cost_miss=None, cost_review=None, per_class=False, \
method='fixed-sequence', per_decision=False)
    """
    if budget is not None and policy is not None:
        raise InputError(f"budget {budget:g} and a policy ({policy}) are two questions; give one")
    return policy or Policy.of(budget=budget)
