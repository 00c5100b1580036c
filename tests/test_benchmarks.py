"""That the benchmarks run and measure what they say; how long anything takes is not tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import dropout_replay, heat_maps, kill_and_resume, memory, startup
from uncertainty.sources import find_images


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


def test_noise_is_the_same_in_a_folder_and_in_parquet(tmp_path: Path) -> None:
    memory.write_images(tmp_path / "images", 3)
    memory.write_images(tmp_path / "images.parquet", 3)
    packed = {item.name: item.data for item in find_images(tmp_path / "images.parquet")}
    assert packed == {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}


def test_rows_that_a_kill_cost_are_counted(tmp_path: Path) -> None:
    def screened(name: str, names: list[str], p_wrong: list[float]) -> Path:
        (tmp_path / name).mkdir()
        table = pa.table({"file_name": names, "p_wrong": p_wrong, "flagged": [False] * len(names)})
        pq.write_table(table, tmp_path / name / "verdicts.parquet")
        for other in kill_and_resume.FILES[1:]:
            (tmp_path / name / other).write_text("same", "utf-8")
        return tmp_path / name

    whole = screened("whole", ["a", "b", "c"], [0.1, 0.2, 0.3])
    assert kill_and_resume.differences(whole, whole).total() == 0
    out = screened("out", ["a", "b", "b"], [0.1, 0.2, 0.4])
    assert kill_and_resume.differences(out, whole) == {"lost": 1, "doubled": 1, "different": 1, "files": 1}


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
