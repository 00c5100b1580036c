"""So many examples for each reader: 100, the same ones every time; `UNCERTAINTY_FUZZ=full` draws 2,000 others."""

import os

from hypothesis import HealthCheck, settings

_HEALTHY = dict(deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile("quick", max_examples=100, derandomize=True, **_HEALTHY)
settings.register_profile("full", max_examples=2000, **_HEALTHY)
settings.load_profile(os.environ.get("UNCERTAINTY_FUZZ", "quick"))
