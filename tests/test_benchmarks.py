"""That the benchmarks run and measure what they say; how long anything takes is not tested."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import dropout_replay, heat_maps, large_jpegs, memory, screening, startup
from uncertainty.images import decode


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
    assert startup.measure(startup.COMMANDS, runs=1).keys() == startup.COMMANDS.keys()


def test_one_image_costs_more_than_a_bare_pass() -> None:
    cost = startup.latency(startup.made(known_good=50, network=dropout_replay.network, side=32), runs=3)
    assert 0 < cost["bare pass"] < cost["judged"]


def test_photographs_are_of_the_size_asked_for(tmp_path: Path) -> None:
    screening.write_photos(tmp_path / "photos", 3, (50, 40))
    large_jpegs.write_large(tmp_path / "large", 1, (700, 500))
    found = [decode(path) for path in sorted(tmp_path.rglob("*.jpg"))]
    assert [(image.width, image.height) for image in found] == [(700, 500)] + [(50, 40)] * 3


def test_every_way_of_dropout_costs_something() -> None:
    small = replace(dropout_replay.cases()["ResNet-20, dropout in the head"], batch=2)
    cost = dropout_replay.measure(small, runs=1, passes=2, peers=False)
    assert min(cost.values()) > 0
    assert {dropout_replay.ONE, dropout_replay.REPLAYED, dropout_replay.FULL} < cost.keys()


def test_a_heat_map_costs_something() -> None:
    pytest.importorskip("captum")
    module, side = heat_maps.resnet20.network(), heat_maps.resnet20.INPUT_SIZE
    assert min(heat_maps.measure(module, side, batch=2, runs=1)) > 0
