"""Nothing of the user's is overwritten in silence, whichever command writes."""

import pytest
from conftest import write_labels

from commands.command_lines import fit_arguments, labels_of
from uncertainty.screener.artifact import MANIFEST


@pytest.fixture
def labels(world, tmp_path):
    return write_labels(tmp_path / "labels.csv", labels_of(world.incoming).items())


def written(run, out, labels, fitted, tmp_path):
    """Run every command that writes beside verdicts, or a file; return the command lines by what they write."""
    lines = {
        out / "ranking.csv": ("rank", out, "-n", 5),
        tmp_path / "next.csv": ("rank", out, "-n", 5, "-o", tmp_path / "next.csv"),
        tmp_path / "e.csv": ("export", out, "--to", "csv", "-o", tmp_path / "e.csv"),
        out / "errors.csv": ("evaluate", out, "--labels", labels, "--resamples", 5),
        out / "slices.csv": ("slices", out, "--labels", labels),
        out / "label_errors.csv": ("labels", out, "--labels", labels, "--resamples", 5),
        out / "monitoring.json": ("monitor", out, "--screener", fitted),
        out / "report.html": ("report", out),
        tmp_path / "c" / "fixed.csv": ("compare", out, out, "--labels", labels, "-o", tmp_path / "c", "--resamples", 5),
    }
    for line in lines.values():
        assert run(*line)[0] == 0
    return lines


def test_what_was_filled_in_is_refused_and_replaced_when_asked(run, fails, out, labels, fitted, tmp_path):
    for path, line in written(run, out, labels, fitted, tmp_path).items():
        text = path.read_text("utf-8")
        path.write_text(text.replace("\n", ",label\n", 1), "utf-8")
        assert f"{path} was changed since it was written; keep it" in fails(*line)
        assert ",label\n" in path.read_text("utf-8")
        assert run(*line, "--overwrite")[0] == 0
        assert run(*line)[0] == 0
        if path.suffix != ".html":  # a report says which files were beside it
            assert path.read_text("utf-8") == text


def test_lists_of_one_screening_are_not_taken_for_those_of_another(run, fails, world, fitted, out, tmp_path):
    assert run("rank", out, "-n", 5, "-o", tmp_path / "next.csv")[0] == 0
    assert run("screen", fitted, world.calibration, "-o", tmp_path / "other")[0] == 0
    said = fails("rank", tmp_path / "other", "-n", 5, "-o", tmp_path / "next.csv")
    assert "next.csv tells of another screening" in said


def test_exports_that_are_there_are_kept_by_date(run, fails, out, tmp_path):
    line = ("rank", out, "-n", 3, "--to", "label-studio", "-o", tmp_path / "next.csv")
    assert run(*line)[0] == 0
    (tmp_path / "next-label-studio" / "mine.txt").write_text("mine")
    before = (tmp_path / "next.csv").read_bytes()
    assert "choose a new place, or keep it under a dated name with --overwrite" in fails(*line, "--explore", "0.5")
    assert (tmp_path / "next.csv").read_bytes() == before
    assert run(*line, "--overwrite")[0] == 0
    assert len(list(tmp_path.glob("next-label-studio.*/mine.txt"))) == 1


def test_a_finished_screening_gives_way_to_itself_alone(run, fails, world, fitted, out, labels, tmp_path):
    again = ("screen", fitted, world.incoming, "-o", out)
    other = ("screen", fitted, world.calibration, "-o", out)
    assert run("evaluate", out, "--labels", labels, "--resamples", 5)[0] == 0
    assert run(*again)[0] == 0
    assert (out / "errors.csv").exists()  # it tells of these very verdicts
    assert "out holds another screening: the input had 40 images, now it has 150; give" in fails(*other)
    assert run("rank", out, "-n", 5, "-o", out / "filled.csv")[0] == 0
    (out / "filled.csv").write_text("with labels")
    status, _, err = run(*other, "--overwrite")
    assert status == 0
    assert "removed, since they told of the verdicts before: confused.csv, curves.json, errors.csv, " in err
    assert sorted(path.name.split(".")[0] for path in out.iterdir()) == [
        "", "features", "filled", "monitoring", "summary", "verdicts",
    ]  # fmt: skip
    assert [path.read_text() for path in out.glob("filled.*.csv")] == ["with labels"]
    (out / "summary.json").write_text("{}")
    assert "holds what was not written there or was changed since: summary.json" in fails(*other)


def test_a_fit_keeps_arrays_that_nobody_names(run, world, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "arrays.safetensors").write_text("mine")
    assert run(*fit_arguments(world, tmp_path / "s"))[0] == 0
    assert (tmp_path / "s" / MANIFEST).exists()
    assert [path.read_text() for path in tmp_path.glob("s.*/arrays.safetensors")] == ["mine"]
