"""`uncertainty slices`."""

from conftest import write_labels

from commands.command_lines import labels_of


def test_slices_answer_one_question(run, world, out, tmp_path):
    labels = write_labels(tmp_path / "l.csv", labels_of(world.incoming).items())
    status, text, err = run("slices", out, "--labels", labels)
    assert (status, err) == (0, "")
    assert "slices.csv written to" in text
    status, text, err = run("slices", out, "--labels", labels, "--by", "dark, blurry")
    assert (status, err) == (0, "")
    assert "light" not in text
    assert (out / "slices.csv").exists()


def test_slices_by_a_column_of_the_labels(run, world, out, tmp_path, fails):
    rows = [(name, label, f"camera {i % 2}") for i, (name, label) in enumerate(labels_of(world.incoming).items())]
    labels = write_labels(tmp_path / "l.csv", rows, ("file_name", "label", "camera"))
    status, text, _ = run("slices", out, "--labels", labels, "--by", "camera")
    assert status == 0
    assert "camera = camera 0" in text
    message = fails("slices", out, "--labels", labels, "--by", "dusk")
    assert "there is nothing to slice by 'dusk'; there is dark, light" in message
    assert "camera" in message
