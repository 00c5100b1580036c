"""Which estimators earn a place: measured as the public path does, said by the rule, and the committed page."""

from __future__ import annotations

import json

import pytest
from made_split import made_split

from experiments.detection import estimator_choice
from experiments.shared import fitted_screener, results_file, splits
from uncertainty.metrics import e_aurc


@pytest.fixture(scope="module")
def made() -> splits.Split:
    return made_split()


def test_the_default_set_is_measured_as_the_public_path_measures_it(made: splits.Split) -> None:
    numbers = estimator_choice.measured(made, splits.ALL)
    screener = fitted_screener.fitted(made)
    for regime, stream in made.streams.items():
        usual = numbers[regime][estimator_choice.USUAL]
        assert usual == pytest.approx(e_aurc(stream.wrong, screener.p_wrong(stream)), rel=1e-9)
    sets = numbers["clean"]
    assert {"+ gen", "+ vim_residual", "- margin", "- trust_ratio", "+ all optional"} <= sets.keys()
    assert sets["+ relative_mahalanobis + vim_residual"] >= 0


def _choice(**by_title: float) -> dict:
    return {"digits": {"clean": {estimator_choice.USUAL: [10, 10]} | {t: [v, v] for t, v in by_title.items()}}}


@pytest.mark.parametrize(
    ("title", "in_one", "in_other", "said"),
    [
        ("+ gen", 9.7, 10.05, "earns a place"),
        ("+ gen", 9.5, 10.2, "harms a cell"),
        ("+ gen", 9.96, 9.96, "gains too little"),
        ("- gini", 10.05, 9.9, "not missed"),
        ("- gini", 9.5, 10.2, "missed"),
        ("- gini", 10.01, 10.01, "missed"),
    ],
)
def test_what_is_said_of_an_estimator(title: str, in_one: float, in_other: float, said: str) -> None:
    one, other = (_choice(**{title: value})["digits"]["clean"] for value in (in_one, in_other))
    results = {"digits": {"clean": one, "damaged": other}}
    assert estimator_choice.overall(results, title).value == pytest.approx(5 * (in_one + in_other) - 100)
    assert estimator_choice.verdict(results, title) == said


def test_the_committed_choice_is_what_its_numbers_give() -> None:
    file = results_file.RESULTS / f"{estimator_choice.NAME}.json"
    results = json.loads(file.read_text(encoding="utf-8"))
    assert file.with_suffix(".md").read_text(encoding="utf-8") == estimator_choice.document(results)
