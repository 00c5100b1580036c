"""`uncertainty compare`."""

import json

from conftest import write_labels

from commands.command_lines import labels_of


def test_compare_two_runs(run, world, out, tmp_path, fails):
    labels = labels_of(world.incoming)
    file = write_labels(tmp_path / "l.csv", labels.items())
    status, text, err = run("compare", out, out, "--labels", file, "-o", tmp_path / "c", "--resamples", 10)
    assert (status, err) == (0, "")
    assert "0 fixed and 0 broken by B; McNemar's exact p 1.000" in text
    saved = json.loads((tmp_path / "c" / "comparison.json").read_text("utf-8"))
    assert saved["n"] == 40
    assert (tmp_path / "c" / "fixed.csv").read_text("utf-8").startswith("file_name,label,predicted_label_a,")
    assert "holds no verdicts" in fails("compare", out, tmp_path, "--labels", file, "-o", tmp_path / "d")
