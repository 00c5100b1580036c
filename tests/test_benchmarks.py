"""That the benchmarks run and measure what they say; how long anything takes is not tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import dropout_replay, heat_maps, memory, ranking, startup


def test_peak_memory_sees_what_the_command_held() -> None:
    little = memory.peak_memory([sys.executable, "-c", "pass"])
    much = memory.peak_memory([sys.executable, "-c", "b'x' * 10**8"])
    assert much - little == pytest.approx(100, abs=20)


def test_peak_memory_of_a_failed_command_is_refused() -> None:
    with pytest.raises(SystemExit, match="exit status 3"):
        memory.peak_memory([sys.executable, "-c", "raise SystemExit(3)"])


def test_memory_is_measured_on_distinct_images(tmp_path: Path) -> None:
    memory.write_images(tmp_path / "images", 3)
    assert len({path.read_bytes() for path in (tmp_path / "images").iterdir()}) == 3


def test_startup_measures_every_command() -> None:
    assert startup.measure(runs=1).keys() == startup.COMMANDS.keys()


def test_both_networks_are_replayed_and_give_a_cost() -> None:
    for module in dropout_replay.networks().values():
        probed = dropout_replay.Network.probe(module, dropout_replay.np.zeros((3, 32, 32), dtype="float32"))
        assert probed.dropout
        assert probed.replay is not None
        assert min(vars(dropout_replay.measure(module, batch=2, runs=1, passes=2)).values()) > 0


def test_a_heat_map_costs_something() -> None:
    pytest.importorskip("captum")
    module, side = heat_maps.resnet20.network(), heat_maps.resnet20.INPUT_SIZE
    assert min(heat_maps.measure(module, side, batch=2, runs=1)) > 0


def test_ranking_is_measured_on_what_rank_reads(tmp_path: Path) -> None:
    ranking.write_screening(tmp_path / "out", 300, dimensions=8)
    assert min(ranking.measure(tmp_path / "out", ["spread"], wanted=20, runs=1).values()) > 0
    assert (tmp_path / "out" / "ranking.csv").read_text("utf-8").count("\n") == 21
