"""The verbs of the command line as functions: same names and options, paths as text or Path, results returned.

Each writes the files that its command writes, and returns what the command prints. `**policy` are the options of
`Policy.of`, such as `budget=0.1` or `max_error=0.02`; `uncertainty COMMAND --help` explains all others.
"""

from uncertainty.verbs.fitting import fit, known_good, policy, update
from uncertainty.verbs.judging import explain, export, monitor, rank, report, screen
from uncertainty.verbs.labelled import compare, evaluate, labels, slices, thresholds
from uncertainty.verbs.models import export_model

__all__ = [
    "compare",
    "evaluate",
    "explain",
    "export",
    "export_model",
    "fit",
    "known_good",
    "labels",
    "monitor",
    "policy",
    "rank",
    "report",
    "screen",
    "slices",
    "thresholds",
    "update",
]
