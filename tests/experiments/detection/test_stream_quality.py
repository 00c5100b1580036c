"""The quality of p_wrong on each set of images: its numbers, its pages, and their summary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_split import made_split

from experiments.detection import (
    cifar10,
    expected_shares,
    quality_page,
    readme_summary,
    solar_cells,
    stream_quality,
)
from experiments.shared import command_line, fitted_screener, image_sets, results_file, splits
from experiments.shared.markdown import SUMMARY, placed
from uncertainty.defaults import EXPECT_DAMAGE, EXPECT_UNKNOWN
from uncertainty.metrics import e_aurc


@pytest.fixture(scope="module")
def made() -> splits.Split:
    return made_split()


@pytest.fixture(scope="module")
def results(made: splits.Split, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    streams: dict[tuple[str, ...], splits.Make] = {splits.ALL: lambda _: made}
    stream_quality.run("digits", "Toys", "Made up.", streams, command_line.Options(splits=2, out=folder))
    return folder


def test_a_stream_without_strangers_is_no_stream_of_unknown_images(made: splits.Split) -> None:
    assert list(made.streams) == list(splits.REGIMES)
    assert list(replace(made, test_unknown=made.test_clean).streams) == ["clean", "damaged"]


def test_numbers_are_those_of_a_screener_fitted_by_the_public_path(made: splits.Split, results: Path) -> None:
    screener = fitted_screener.fitted(made)
    assert screener.calibrated_on["damaged_copies"] == screener.calibrated_on["foreign_copies"] == 150
    assert screener.calibrated_on["expected_damage"] == EXPECT_DAMAGE
    numbers = results_file.read(results)["digits"]
    wrong, p_wrong = made.test_clean.wrong, screener.p_wrong(made.test_clean)
    clean = numbers["regimes"]["clean"]
    assert clean["errors"] == [wrong.sum()] * 2
    assert clean["scores"]["p_wrong"]["e_aurc"] == pytest.approx([e_aurc(wrong, p_wrong)] * 2, rel=1e-5)
    assert clean["e_aurc_by_shares"][f"{EXPECT_DAMAGE} {EXPECT_UNKNOWN}"] == clean["scores"]["p_wrong"]["e_aurc"]
    assert [name for name, scores in clean["scores"].items() if "ece" in scores] == ["p_wrong", "least_confidence"]
    assert {kind: part["images"] for kind, part in numbers["kinds"].items()} == {"x": [100, 100], "y": [100, 100]}


def test_a_page_tells_every_estimator_stream_and_kind(results: Path) -> None:
    page = (results / "digits.md").read_text()
    for word in ("trust_ratio", "image_quality", "## In distribution", "## Half damaged", "## One in five", "| x |"):
        assert word in page
    assert page == quality_page.document(results_file.read(results)["digits"])


def test_a_stream_that_was_left_out_says_so(results: Path) -> None:
    result = results_file.read(results)["digits"]
    del result["regimes"]["unknown"]
    assert "Left out: it needs images of CIFAR-10, given with --data." in quality_page.document(result)
    assert readme_summary.summary({"digits": result}).count("| Toys |") == 2


def _regime(softmax: float, single: float, mine: float) -> dict:
    scores = {"p_wrong": mine, "least_confidence": softmax, "margin": single}
    return {
        "predicted_error_rate": [0.1],
        "observed_error_rate": [0.2],
        "scores": {name: {"e_aurc": [value]} for name, value in scores.items()},
    }


def test_losses_are_told() -> None:
    regimes = {"clean": _regime(0.020, 0.010, 0.0102), "damaged": _regime(0.020, 0.010, 0.022)}
    kinds = {
        "blur": {"p_wrong": [0.02], "least_confidence": [0.01]},
        "noise": {"p_wrong": [0], "least_confidence": [0.01]},
    }
    told = readme_summary.summary({"digits": {"title": "Toys", "splits": [0, 1], "regimes": regimes, "kinds": kinds}})
    assert "| Toys | in distribution | 20.0 | 10.0 (margin) | **10.2** | -49.0 % | +2.0 % | 10.0 % / 20.0 % |" in told
    assert told.partition("What was lost, in E-AURC:\n\n")[2].splitlines() == [
        "- Toys, half damaged by unseen kinds: p_wrong is worse than max softmax by +10.0 %.",
        "- Toys, half damaged by unseen kinds: p_wrong is above margin by +120.0 %.",
        "- Toys, inside single kinds of damage, worse than max softmax: blur +100.0 %.",
    ]


def test_defaults_are_among_the_shares_that_were_tried(results: Path) -> None:
    assert (EXPECT_DAMAGE, EXPECT_UNKNOWN) in stream_quality.SHARES
    page = expected_shares.document(results_file.read(results))
    assert f"| **{EXPECT_DAMAGE:g}** | **{EXPECT_UNKNOWN:g}** |" in page


def test_cifar10_without_its_files_names_what_lacks(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--data was not given"):
        cifar10.main(command_line.Options())
    (tmp_path / "train.parquet").touch()
    with pytest.raises(SystemExit, match=r"lacks dev.parquet, classes.json, resnet20d.safetensors"):
        cifar10.main(command_line.options("", ["--data", str(tmp_path)]))


def test_solar_cells_without_their_packages_name_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(image_sets, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install"):
        solar_cells.main(command_line.Options())


def test_committed_pages_are_what_the_committed_numbers_give() -> None:
    committed = results_file.read()
    assert list(committed) == list(results_file.NAMES)
    for name, result in committed.items():
        assert result["expected"] == [EXPECT_DAMAGE, EXPECT_UNKNOWN], (
            "run python -m experiments.detection.all_pages again"
        )
        assert (results_file.RESULTS / f"{name}.md").read_text(encoding="utf-8") == quality_page.document(result)
    assert (results_file.RESULTS / "expected_shares.md").read_text() == expected_shares.document(committed)


def test_committed_summary_is_what_the_committed_numbers_give() -> None:
    text = readme_summary.README.read_text(encoding="utf-8")
    assert text == placed(text, SUMMARY, readme_summary.summary(results_file.read()))


def test_default_shares_cost_at_most_2_percent_on_clean_images() -> None:
    for result in results_file.read().values():
        tried = result["regimes"]["clean"]["e_aurc_by_shares"]
        cost = results_file.change(tried[f"{EXPECT_DAMAGE} {EXPECT_UNKNOWN}"], tried["0.0 0.0"])
        assert cost.value <= expected_shares.MOST
