"""How well a score finds the errors: pure functions of arrays."""

from uncertainty.metrics.selective import (
    accuracy_of_kept,
    apfd,
    augrc,
    aurc,
    auroc,
    average_precision,
    brier,
    correct_flagged_at_95_errors,
    e_aurc,
    ece,
    errors_accepted_at_95_correct,
    errors_caught,
    log_loss,
    naurc,
    optimal_aurc,
    risk_coverage_curve,
)

__all__ = [
    "accuracy_of_kept",
    "apfd",
    "augrc",
    "aurc",
    "auroc",
    "average_precision",
    "brier",
    "correct_flagged_at_95_errors",
    "e_aurc",
    "ece",
    "errors_accepted_at_95_correct",
    "errors_caught",
    "log_loss",
    "naurc",
    "optimal_aurc",
    "risk_coverage_curve",
]
