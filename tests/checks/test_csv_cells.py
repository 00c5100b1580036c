"""A column of cells is written as its cells are, one by one."""

import numpy as np
import pytest

from uncertainty.checks.csv_cells import cell, cells

RNG = np.random.default_rng(0)
COLUMNS = {
    "float32": RNG.normal(size=500).astype(np.float32).tolist(),
    "any float32": np.frombuffer(RNG.bytes(2000), dtype=np.float32).tolist(),
    "float64": RNG.normal(size=100).tolist(),
    "seven digits are too few": [float(np.float32(9.8765434e15)), 16777217.0, 1e-45],
    "special": [0.0, -0.0, float("nan"), float("inf"), None, 0.1],
    "text": ["a", "=b", "'=c", None, ""],
    "whole numbers": [1, None, -2],
    "truth": [True, None, False],
    "lists": [["a", "b"], [], None],
    "lists of numbers": [[0.1, float(np.float32(0.7))], [1.0]],
    "nothing": [None, None],
    "mixed": [1, 2.5, "=x", True],
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_its_cells(column):
    assert list(map(repr, cells(column))) == list(map(repr, map(cell, column)))


def test_numbers_beyond_float32_are_written_all_the_same():
    assert cells([1e300]) == [1e300]
