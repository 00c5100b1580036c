"""What a fit says when it is done, and what it refuses before it begins."""

import os

import pytest

from uncertainty.errors import InputError
from uncertainty.workflows.fit_checks import refuse_unwritable
from uncertainty.workflows.fit_summary import accuracy, errors, fit_summary


def test_accuracy_errors_and_flags_of_a_screener(world):
    lines = fit_summary(world.screener)
    on = world.screener.calibrated_on
    right = 1 - on["errors"] / on["calibration"]
    assert lines[0].startswith("accuracy: ")
    assert f"on 120 reference images, {right:.1%} on 150 calibration images" in lines[0]
    assert lines[0].endswith("is that what you know of it?")
    assert f"errors in calibration: {on['errors']}" in lines[1]
    caught = world.screener.plan().whole.caught.value
    assert f"will catch about {caught:.0%} of the errors" in lines[2]
    assert len(lines) == 3


def test_of_several_labels_accuracy_is_that_of_label_sets_and_of_single_decisions():
    said = accuracy({"calibration": 100, "errors": 40, "decisions": 500, "decisions_right": 450})
    assert said.endswith("with every label right, 90.0% of single decisions: is that what you know of it?")


@pytest.mark.parametrize(
    ("found", "said"),
    [(0, "0, too few to learn much from"), (9, "9, too few to learn much from: about"), (100, "100, enough to learn")],
)
def test_whether_errors_are_enough(found, said):
    assert said in errors({"calibration": 1000, "errors": found})


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    refuse_unwritable(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; choose another place"):
        refuse_unwritable(tmp_path / "file" / "deep")

    def full(*args, **options):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match=r"new can't be written: Read-only file system; choose another place"):
        refuse_unwritable(tmp_path / "new")
