"""That the benchmarks run and measure what they say; how long anything takes is not tested."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import (
    cases,
    dropout_replay,
    efforts,
    heat_maps,
    kill_and_resume,
    large_jpegs,
    memory,
    neighbours,
    ranking,
    ray_against_local,
    scaling,
    startup,
)
from benchmarks.screening import prepared
from uncertainty.images.decoding import decode
from uncertainty.images.sources import find_images


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
    assert startup.measure(startup.COMMANDS, runs=1).keys() == startup.COMMANDS.keys()


def test_one_image_costs_more_than_a_bare_pass() -> None:
    cost = startup.latency(startup.made(known_good=50, network=dropout_replay.network, side=32), runs=3)
    assert 0 < cost["bare pass"] < cost["judged"]


def test_photographs_are_of_the_size_asked_for(tmp_path: Path) -> None:
    cases.write_images(tmp_path / "photos", 3, (50, 40))
    large_jpegs.write_large(tmp_path / "large", 1, (700, 500))
    found = [decode(path) for path in sorted(tmp_path.rglob("*.jpg"))]
    assert [(image.width, image.height) for image in found] == [(700, 500)] + [(50, 40)] * 3


def test_every_way_of_dropout_costs_something() -> None:
    small = replace(dropout_replay.CASES["ResNet-20, dropout in the head"](), batch=2)
    cost = dropout_replay.measure(small, runs=1, passes=2, peers=False)
    assert min(cost.values()) > 0
    assert {dropout_replay.ONE, dropout_replay.REPLAYED, dropout_replay.FULL} < cost.keys()


def test_a_heat_map_costs_something() -> None:
    pytest.importorskip("captum")
    module, side = heat_maps.resnet20.network(), heat_maps.resnet20.INPUT_SIZE
    assert min(heat_maps.measure(module, side, batch=2, runs=1)) > 0


def test_an_effort_is_measured_beside_a_bare_loop(tmp_path: Path) -> None:
    cases.write_images(tmp_path / "images", 4, (32, 32))
    bare = cases.CASES["resnet20"].classifier()
    one = prepared(bare, "torch", "torchvision", find_images(tmp_path / "images"))
    assert (one.preprocess.resizer, bare.preprocess.resizer) == ("torchvision", "pillow")
    assert min(efforts.measure(bare, one, find_images(tmp_path / "images"), ("flip",))) > 0


def test_images_to_measure_with_have_the_size_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "DIFFERENT", 3)
    cases.write_images(tmp_path / "images", 4, (12, 9))
    files = sorted((tmp_path / "images").iterdir())
    assert [decode(file).pixels.shape for file in files] == [(9, 12, 3)] * 4
    assert [file.samefile(files[0]) for file in files] == [True, False, False, True]


def test_time_is_divided_into_start_images_and_finish() -> None:
    # Two actors that take 4 seconds for each part of 10, from second 6 on, the other a second later.
    stamps = [(6.0, 0), (10.0, 10), (11.0, 10), (14.0, 10), (15.0, 10)]
    run = ray_against_local._timed(stamps, began=0.0, ended=17.0, side_by_side=2)
    assert (run.start, run.image, run.finish) == pytest.approx((7.0, 0.2, 2.0))


def test_a_plan_is_arithmetic_over_what_was_measured() -> None:
    cost = scaling.ImageCost(0.001, 0.001, 0.006, 0.002, 0.0, {10: 1.0, 1000: 0.01}, 100, 200, 50_000)
    given = scaling.Assumptions(core_hour=0.1, cores_a_machine=10, gpu_hour=2.0, gpu_times_a_core=60.0)
    plan = scaling.plan(cost, scaling.SecondPass(1e-5, 40.0), 36_000_000, given)
    assert plan["core_hours"] == pytest.approx(100)
    assert plan["dollars"] == pytest.approx(10)
    assert plan["machines_for_a_day"] == pytest.approx(100 / 240)
    assert (plan["gpu_hours"], plan["gpu_core_hours"]) == pytest.approx((1, 40))
    assert plan["gpu_dollars"] == pytest.approx(2 + 4)
    assert (plan["verdicts_gigabytes"], plan["images_gigabytes"]) == pytest.approx((3.6, 1800))
    assert (plan["second_pass_hours"], plan["second_pass_gigabytes"]) == pytest.approx((0.1, 1.44))


def test_a_known_good_row_costs_something() -> None:
    cost = scaling.row_cost(8, rows=100, queries=32)
    assert cost.memory == 32
    assert cost.seconds > 0


def test_every_way_to_find_neighbours_costs_something() -> None:
    found = neighbours.measure_exact(rows=400, dimensions=8, batch=4, runs=1)
    assert next(iter(found)) == "ours, both scores"
    assert len(found) >= 4
    assert min(found.values()) > 0


def test_approximate_search_is_measured_on_other_queries(tmp_path: Path) -> None:
    built = neighbours.build(tmp_path, 2000, 8)
    served = neighbours.serve(tmp_path, 2000, 8)
    assert built["recall_at_fit"] >= 0.95
    assert served["recall_at_10"] > 0.8
    assert served["peak_MiB"] > served["stated_MiB"]
    assert min(served.values()) > 0


def test_both_kinds_of_search_are_timed_at_one_size() -> None:
    found = neighbours.measure_kinds(rows=2000, dimensions=8, runs=1)
    assert found.keys() == {("exact", 64), ("exact", 1), ("approximate", 64), ("approximate", 1)}
    assert min(found.values()) > 0


def test_ranking_is_measured_on_what_rank_reads(tmp_path: Path) -> None:
    ranking.write_screening(tmp_path / "out", 300, dimensions=8)
    assert min(ranking.measure(tmp_path / "out", ["spread"], wanted=20, runs=1).values()) > 0
    assert (tmp_path / "out" / "ranking.csv").read_text("utf-8").count("\n") == 21
