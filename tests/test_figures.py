"""Figures are never rounded to nothing, nor to all."""

import pytest

from uncertainty.figures import number_of, percent, probability


@pytest.mark.parametrize(
    ("value", "as_percent", "as_probability"),
    [(0.0, "0.0%", "0.000"), (4e-4, "<0.1%", "<0.001"), (6e-4, "0.1%", "0.001"), (0.9996, ">99.9%", ">0.999"),
     (1.0, "100.0%", "1.000"), (0.5, "50.0%", "0.500")],
)  # fmt: skip
def test_little_is_not_nothing(value, as_percent, as_probability):
    assert percent(value) == as_percent
    assert probability(value if value != 0.9996 else 0.99996) == as_probability


def test_one_is_singular():
    assert [number_of(n, "class", "classes") for n in (0, 1, 2)] == ["0 classes", "1 class", "2 classes"]
