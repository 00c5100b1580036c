"""One estimator a file: every module here, and every entry point of the group `uncertainty.estimators`, is found."""

from uncertainty.estimators.base import Estimator
from uncertainty.estimators.registry import create, discover

__all__ = ["Estimator", "create", "discover"]
