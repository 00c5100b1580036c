"""The comparison with other projects, without them: signs, failures, who is best, page and figures from the numbers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from problems import known_good, made_problem

from experiments.peers import compare, compare_numbers, compare_page, compare_plots, projects
from experiments.peers.detector import REFERENCE, Detector
from experiments.shared import results_file, thorough_splits
from experiments.shared.costs import Costs
from experiments.shared.last_layer import LastLayer
from experiments.shared.splits import Split
from uncertainty import Classifier
from uncertainty.metrics import e_aurc

COSTS = Costs(second=2.0, dropout=0.5, dear=False)
ORACLE, COIN, BROKEN, BLANK = "other oracle", "other coin", "other broken", "other blank"


def failing(known):
    raise RuntimeError("needs a GPU\nand more")


def detectors() -> list[Detector]:
    """Fake ones: knows all, knows nothing, can't be fitted, can't score."""
    return [
        Detector("other", "oracle", ("features", REFERENCE), lambda known: lambda o: o.wrong.astype(float)),
        Detector("other", "coin", ("mc_probs",), lambda known: lambda o: np.random.default_rng(0).random(len(o))),
        Detector("other", "broken", ("logits",), failing),
        Detector("other", "blank", ("logits",), lambda known: lambda o: np.full(len(o), np.nan)),
    ]


def made_split(seed: int) -> Split:
    parts = [made_problem(300, seed=10 * seed + i) for i in range(4)]
    reference = known_good(400, seed=10 * seed + 9)
    weight = np.linalg.lstsq(reference.features, reference.logits, rcond=None)[0].T.astype(np.float32)
    calibration, clean, damaged, unknown = parts
    copies = [replace(calibration, ids=[f"{i}#{kind}" for i in calibration.ids]) for kind in ("blur", "noise")]
    strangers = replace(unknown, labels=np.where(np.arange(300) < 60, -1, unknown.labels))
    layer = LastLayer(weight, np.zeros(len(weight), np.float32))
    return Split(reference, calibration, *copies, clean, damaged, strangers, damaged, layer)


@pytest.fixture(scope="module")
def results() -> dict:
    regimes = ("clean", "damaged", "unknown")
    rows = [compare.measured(made_split(seed), COSTS, regimes, detectors()) for seed in (1, 2)]
    failed = {name: why for row in rows for name, why in row["failed"].items()}
    regimes = results_file.transposed([row["regimes"] for row in rows])
    found = {
        "versions": {"other": "1.2.3"},
        "left_out": ["other psychic: it needs the future."],
        "scores": compare.described(detectors()),
        "sets": {
            "digits": {
                "regimes": regimes,
                "failed": failed,
                "costs": compare_numbers.costs_of(COSTS, 3.0),
            }
        },
    }
    compare_page.prune(found)
    return found


@pytest.fixture(scope="module")
def clean(results: dict) -> compare_numbers.Cell:
    return next(iter(compare_numbers.cells(results)))


def test_every_effort_estimator_and_detector_is_judged(clean: compare_numbers.Cell) -> None:
    assert {f"p_wrong {effort}" for effort in thorough_splits.EFFORTS} <= clean.scores.keys()
    assert {"least_confidence", "trust_ratio", "nn_guide", ORACLE, COIN} <= clean.scores.keys()
    assert clean.e_aurc(ORACLE) == pytest.approx([0, 0], abs=1e-12)
    split = made_split(1)
    softmax = 1 - split.test_clean.probs.max(axis=1)
    assert clean.e_aurc("least_confidence")[0] == pytest.approx(e_aurc(split.test_clean.wrong, softmax))


def test_signs_are_taken_as_given(clean: compare_numbers.Cell) -> None:
    """Nothing is turned round by its result: a score with the wrong sign stays worse than chance."""
    turned = Detector("other", "turned", ("logits",), lambda known: lambda o: -o.wrong.astype(float))
    judged = compare.measured(made_split(1), COSTS, ("clean",), [turned])["regimes"]["clean"]["scores"]["other turned"]
    assert judged["auroc"] == 0
    assert clean.counts["scores"][ORACLE]["auroc"] == [1, 1]


def test_failures_are_told_and_leave_the_rest_alone(results: dict, clean: compare_numbers.Cell) -> None:
    assert results["sets"]["digits"]["failed"] == {
        BROKEN: "RuntimeError: needs a GPU",
        BLANK: "ValueError: 300 of 300 scores are NaN",
    }
    assert not {BROKEN, BLANK} & clean.scores.keys()
    assert "- other broken on Digits: RuntimeError: needs a GPU." in compare_page.document(results)


def test_a_score_that_failed_in_one_split_is_in_no_table(clean: compare_numbers.Cell) -> None:
    scores = {"least_confidence": {"e_aurc": [0.1, 0.1]}, ORACLE: {"e_aurc": [0.0, None]}}
    cell = replace(clean, counts={**clean.counts, "scores": scores})
    assert list(cell.scores) == ["least_confidence"]


def test_a_last_layer_that_does_not_give_the_logits_is_refused() -> None:
    split = made_split(1)
    other = replace(split, last_layer=LastLayer(split.last_layer.weight + 1, split.last_layer.bias))
    with pytest.raises(ValueError, match="does not give its logits"):
        compare.measured(other, COSTS, ("clean",), [])


def test_last_layer_of_a_network_is_copied() -> None:
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU(), torch.nn.Linear(12, 3, bias=False))
    layer = LastLayer.of(Classifier.from_module(network, ["a", "b", "c"], preprocess(2)).network)
    np.testing.assert_array_equal(layer.weight, network[2].weight.detach())
    np.testing.assert_array_equal(layer.bias, np.zeros(3))
    with pytest.raises(ValueError, match="linear layer"):
        LastLayer.of(SimpleNamespace(feature_layer=None))


def preprocess(size: int):
    from uncertainty import Preprocess

    return Preprocess(size=size)


def test_best_is_of_others_or_of_ours_and_never_the_combination(clean: compare_numbers.Cell) -> None:
    assert compare_numbers.best(clean, others=True) == ORACLE
    assert clean.project(compare_numbers.best(clean, others=False)) == compare_numbers.SINGLE
    assert compare_numbers.projects([clean]) == ["other"]


def test_efforts_are_those_that_the_columns_allow() -> None:
    """Without views that the classifier bears thorough is balanced; without any to choose from, not measured."""
    split = thorough_splits.bare_split(made_split(1), ("tta_probs",))
    assert list(compare.p_wrong(split, replace(COSTS, views=False))) == ["p_wrong fast", "p_wrong balanced"]
    scores = compare.p_wrong(split, COSTS)
    assert scores["p_wrong thorough"] is scores["p_wrong balanced"]


def test_dropout_is_left_to_thorough_effort_where_it_is_dear() -> None:
    left_out = thorough_splits.columns_left_out(made_split(1), replace(COSTS, dear=True))
    assert ["mc_probs" in columns for columns in left_out.values()] == [True, True, False]
    fast = compare.p_wrong(made_split(1), replace(COSTS, dear=True))["p_wrong fast"]
    stream = made_split(1).test_clean
    np.testing.assert_array_equal(fast(stream), fast(replace(stream, mc_probs=None)))


def test_cost_adds_the_passes_that_a_score_needs(results: dict) -> None:
    assert compare_numbers.relative_cost(results, "digits", COIN) == 1.5
    assert compare_numbers.relative_cost(results, "digits", ORACLE) == 1
    passes = [
        compare_numbers.relative_cost(results, "digits", f"p_wrong {effort}") for effort in thorough_splits.EFFORTS
    ]
    assert passes == [1.5, 4.5, 6.5]
    assert compare_numbers.relative_cost(results, "digits", BROKEN) is None


def test_curves_that_are_drawn_are_kept(clean: compare_numbers.Cell) -> None:
    curves = clean.counts["curves"]
    assert set(curves) == set(compare_plots.drawn(clean))
    assert {len(risk) for risk in curves.values()} == {len(compare.COVERAGE)}
    assert curves["least_confidence"][-1] == pytest.approx(np.mean(clean.counts["errors"]) / 300)


def test_page_tells_wins_and_losses_alike(results: dict) -> None:
    page = compare_page.document(results)
    told = re.search(r"- `fast` against the best of others: better in 0, undecided in (\d), worse in (\d) of 3.", page)
    assert int(told[1]) + int(told[2]) == 3  # nothing beats an oracle
    assert page.count("Digits, in distribution +") == 3
    assert "**p_wrong fast**" in page
    assert "other psychic: it needs the future." in page
    assert "other 1.2.3." in page
    assert "Splits: Digits 2." in page


def test_page_keeps_what_another_experiment_wrote(results: dict, tmp_path: Path) -> None:
    page = tmp_path / "compare.md"
    assert compare_page.few_errors(page) == compare_page.MISSING
    page.write_text(compare_page.document(results, "a curve\n\nwith words"), encoding="utf-8")
    assert compare_page.few_errors(page) == "a curve\n\nwith words"


def test_figures_are_drawn(results: dict, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    compare_plots.draw(results, tmp_path)
    for name in (compare_plots.CURVES, compare_plots.COSTS):
        assert (tmp_path / name).stat().st_size > 5_000


def test_missing_peers_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pytorch-ood.*matplotlib is not installed: run pip install '.\[peers\]'"):
        projects.require_packages()


def test_a_python_without_safetycage_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"can't import safetycage: run .* -m pip install safetycage"):
        projects.safetycage.version(tmp_path / "python")


def test_committed_page_is_what_the_committed_numbers_give() -> None:
    committed = json.loads((results_file.RESULTS / "compare.json").read_text(encoding="utf-8"))
    page = results_file.RESULTS / "compare.md"
    assert page.read_text(encoding="utf-8") == compare_page.document(committed, compare_page.few_errors(page))
    for name in (compare_plots.CURVES, compare_plots.COSTS):
        assert 5_000 < (results_file.RESULTS / name).stat().st_size < 150_000
