"""The files that numbers are written into."""

from __future__ import annotations

from pathlib import Path

from experiments.shared import results_file


def test_written_numbers_are_strict_json_with_a_line_for_each_list(tmp_path: Path) -> None:
    results_file.write(tmp_path / "digits.json", {"a": {"b": [1 / 3, float("nan")], "c": ["x y"]}})
    assert (tmp_path / "digits.json").read_text() == '{\n "a": {\n  "b": [0.333333, null],\n  "c": ["x y"]\n }\n}\n'
