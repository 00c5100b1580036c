"""Every error the package raises on purpose.

UncertaintyError
├── InputError               a folder, file, label or option that the user handed over
│   └── ImageError           one image that can't be read; in a screening it becomes a row, not a crash
├── OutputsError             arrays that break the contract of ModelOutputs
│   └── MissingColumnError   a column that an estimator needs is absent
├── OverlapError             the same rows in two sets that must be disjoint
├── NotFittedError           asked for scores before `fit`
├── CalibrationError         calibration rows from which nothing can be learnt
├── ModelError               a model that can't be loaded, or whose outputs don't fit its classes
├── ArtifactError            a saved screener that is damaged, of another version, or of another model
└── MissingDependencyError   an optional package is not installed

Each message names the thing, quotes the value and says what to do next, in one line.
"""

from __future__ import annotations

import re


class UncertaintyError(Exception):
    """Root of all errors of this package; catch it to catch them all."""


class InputError(UncertaintyError):
    """Something the user handed over can't be used."""


class ImageError(InputError):
    """One image can't be read."""


class OutputsError(UncertaintyError):
    """Arrays break the contract of ModelOutputs."""


class MissingColumnError(OutputsError):
    """A column of ModelOutputs is absent and somebody needs it."""


class OverlapError(UncertaintyError):
    """Sets that must be disjoint share rows."""


class NotFittedError(UncertaintyError):
    """Scores were asked for before `fit`."""


class CalibrationError(UncertaintyError):
    """Nothing can be learnt from these calibration rows."""


class ModelError(UncertaintyError):
    """The model can't be loaded, or its outputs don't fit its classes."""


class ArtifactError(UncertaintyError):
    """A saved screener can't be used."""


class MissingDependencyError(UncertaintyError):
    """An optional package is not installed."""


def in_one_line(error: BaseException, most: int = 200) -> str:
    r"""Return what an error of somebody else's code says, in one line of at most so many characters.

    What a terminal would obey is shown, as in `printable`.

    >>> in_one_line(ValueError("no such\n  layer")), in_one_line(KeyError()), in_one_line(ValueError("\x1b[2J"))
    ('no such layer', 'KeyError', '\\x1b[2J')
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # colours of a terminal
    return printable(" ".join(plain.split()))[:most] or type(error).__name__


def printable(text: str) -> str:
    r"""Return text with everything escaped that would disturb a terminal.

    >>> printable("Käfer\x1b[2J\u202e")
    'Käfer\\x1b[2J\\u202e'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
