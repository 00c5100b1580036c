"""The page of all cells: cases given as arrays, few errors, and what the page says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_split import made_split

from experiments.detection import portfolio, portfolio_page
from experiments.shared import array_cases, command_line, results_file
from experiments.shared.costs import Costs
from experiments.shared.splits import Split
from experiments.shared.thorough_splits import bare_split
from uncertainty import ModelOutputs

CHEAP = Costs(second=1.0, dropout=0.0, dear=False)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    seen = {name: (np.eye(4)[labels] * 4 + rng.normal(size=(160, 4))) for name in ("F", "flip", "opinion")}
    file = tmp_path_factory.mktemp("cases") / "heads.npz"
    np.savez(file, y=labels, **{name: values.astype(np.float16) for name, values in seen.items()})
    return file


def network(rows: dict[str, int]) -> dict[str, np.ndarray]:
    rng, arrays = np.random.default_rng(1), {}
    for part, n in rows.items():
        labels = rng.integers(0, 3, n)
        arrays[f"{part}_L"] = (np.eye(3)[labels] * 2 + rng.normal(size=(n, 3))).astype(np.float32)
        arrays[f"{part}_y"] = labels if part != "ood" else np.full(n, -1)
        arrays[f"{part}_F"] = arrays[f"{part}_opinion"] = rng.normal(size=(n, 2)).astype(np.float16)
    return arrays


def rows_of(outputs: ModelOutputs) -> set[str]:
    return set(map(str, outputs.ids))


def test_a_frozen_backbone_gets_a_head_and_three_disjoint_sets(frozen: Path) -> None:
    split = array_cases.array_split(frozen, seed=3)
    sets = [rows_of(o) for o in (split.reference, split.calibration, split.test_clean)]
    assert [len(ids) for ids in sets] == [80, 40, 40]
    assert len(set.union(*sets)) == 160
    assert split.calibration.logits.dtype == np.float64
    assert split.calibration.tta_probs.shape == (40, 1, 4)
    assert split.calibration.has("mc_probs")
    assert split.test_clean.wrong.mean() < 0.2
    assert list(split.streams) == ["clean"]


def test_a_whole_network_has_three_shuffled_streams(tmp_path: Path) -> None:
    sizes = {"ref": 60, "cal": 30, "calA": 30, "test": 40, "testB": 40, "ood": 10}
    np.savez(tmp_path / "net.npz", **network(sizes))
    split = array_cases.array_split(tmp_path / "net.npz", seed=0)
    assert {regime: len(stream) for regime, stream in split.streams.items()} == {
        "clean": 40,
        "damaged": 40,
        "unknown": 50,
    }
    halves = [str(name).split("/") for name in split.test_damaged.ids]
    assert [part for part, _ in halves].count("testB") == 20
    assert len({row for _, row in halves}) == 40
    assert len(split.calibration) == 30 + 10
    order = [str(name).startswith("ood") for name in split.test_unknown.ids]
    assert order != sorted(order)


def test_other_arrays_and_no_arrays_are_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no .npz file"):
        array_cases.files(tmp_path)
    np.savez(tmp_path / "odd.npz", labels=np.zeros(3))
    with pytest.raises(SystemExit, match="neither F nor ref_L, but labels"):
        array_cases.array_split(tmp_path / "odd.npz", seed=0)
    with pytest.raises(SystemExit, match="give --portfolio FOLDER"):
        portfolio.main(command_line.Options())


@pytest.mark.parametrize("errors", [0, 5])
def test_thinning_keeps_the_rate_and_the_copies(errors: int) -> None:
    split = made_split()
    rate = split.calibration.wrong.mean()
    thin = portfolio.thinned(split, errors, seed=0)
    assert thin.calibration.wrong.sum() == errors
    assert (~thin.calibration.wrong).sum() == round((errors or 5) * (1 - rate) / rate)
    for copies in (thin.calibration_damaged, thin.calibration_foreign):
        assert [str(i).partition("#")[0] for i in copies.ids] == list(map(str, thin.calibration.ids))


def bare_of_copies_and_views(split: Split) -> Split:
    none = split.calibration.take([])
    return bare_split(replace(split, calibration_damaged=none, calibration_foreign=none), ("tta_probs",))


def test_every_effort_is_judged_and_without_views_thorough_is_balanced(monkeypatch) -> None:
    monkeypatch.setattr(portfolio, "FEW", (5,))
    split = bare_of_copies_and_views(made_split())
    found = portfolio.measured(split, CHEAP, ("clean", "unknown"), seed=0)
    assert list(found) == ["clean", "unknown"]
    clean = found["clean"]
    assert set(clean) == {"max_softmax", "all", "5"}
    assert list(clean["5"]) == ["fast", "balanced"]
    assert clean["all"]["thorough"] == clean["all"]["balanced"]
    assert clean["all"]["fast"]["observed_error_rate"] == pytest.approx(split.test_clean.wrong.mean())


def test_the_page_names_the_worst_cell_and_weighs_cells_alike() -> None:
    def cell(areas: list[float]) -> dict:
        judged = {
            "e_aurc": areas,
            "ece": [0.01] * 2,
            "predicted_error_rate": [0.1] * 2,
            "observed_error_rate": [0.2] * 2,
        }
        return {"max_softmax": [1.0, 1.0], "all": dict.fromkeys(portfolio_page.EFFORTS, judged)}

    page = portfolio_page.document({"digits": {"clean": cell([0.5, 0.7])}, "other": {"unknown": cell([1.1, 1.1])}})
    assert "| mean over 2 cells, all | -15.0 % (-78.5 to +48.5) |" in page
    assert "| worst cell | +10.0 % (+10.0 to +10.0): other, one in five of no known class |" in page
    assert "Few errors" not in page


def test_the_committed_page_is_what_the_committed_numbers_give() -> None:
    page = (results_file.RESULTS / "portfolio.md").read_text(encoding="utf-8")
    assert page == portfolio_page.document(results_file.load(results_file.RESULTS, portfolio.NAME))
