"""A SavedModel is refused, and the message says which ways lead on."""

from pathlib import Path

import pytest

from uncertainty import Classifier
from uncertainty.errors import ModelError


def test_it_is_refused_with_the_ways_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a SavedModel needs TensorFlow, .* as a table \(table:FILE\)"):
        Classifier.load(f"savedmodel:{tmp_path}")
