"""Files are whole or not there, and JSON holds no number that others can't read."""

import errno
import json
import os
import subprocess
import sys

import pytest

from uncertainty.errors import InputError
from uncertainty.files import alone, plain, replacing, together, write_json


def test_a_new_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "x.json"

    def interrupted():
        with replacing(path, binary=False) as file:
            file.write("half")
            assert not path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(path.parent.iterdir()) == []


def test_written_files_have_the_permissions_of_others(tmp_path):
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "x") as file:
        file.write(b"")
    assert os.stat(tmp_path / "x").st_mode == os.stat(tmp_path / "plain").st_mode


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"), replacing(tmp_path / "file" / "x"):
        pass


def test_json_that_can_t_be_said_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"name": "Käfer", "value": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"name": "Käfer", "value": 1.5}
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]
    write_json(path, plain({"value": float("nan")}))
    assert json.loads(path.read_text("utf-8")) == {"value": None}


def test_a_link_is_replaced_and_what_it_leads_to_is_not_touched(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "x.json").symlink_to(tmp_path / "precious")
    write_json(tmp_path / "x.json", {"value": 1})
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "x.json").is_symlink()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_told_by_the_name_of_the_file(tmp_path, monkeypatch, call):
    write_json(tmp_path / "x.json", {"value": 1})

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_json(tmp_path / "x.json", {"value": 2})
    assert caught.value.filename == str(tmp_path / "x.json")
    monkeypatch.undo()
    assert json.loads((tmp_path / "x.json").read_text()) == {"value": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path):
    code = (
        "import sys, pathlib; from uncertainty.files import alone\nwith alone(pathlib.Path(sys.argv[1]), 'busy'): pass"
    )
    outside = [sys.executable, "-c", code, str(tmp_path)]
    with alone(tmp_path), alone(tmp_path):
        assert "busy" in subprocess.run(outside, capture_output=True, text=True, check=False).stderr
        with pytest.raises(InputError, match="busy"), alone(tmp_path, "busy"):
            pass
    assert subprocess.run(outside, capture_output=True, check=False).returncode == 0


def test_one_that_comes_later_waits(tmp_path):
    code = (
        "import sys, pathlib, time; from uncertainty.files import alone\nfolder = pathlib.Path(sys.argv[1])\n"
        "with alone(folder):\n    n = folder / 'n'\n    before = int(n.read_text())\n    time.sleep(0.05)\n"
        "    n.write_text(str(before + 1))"
    )
    (tmp_path / "n").write_text("0")
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [one.wait() for one in running] == [0] * 4
    assert (tmp_path / "n").read_text() == "4"


def test_a_folder_that_is_not_there_is_not_held(tmp_path):
    with alone(tmp_path / "nothing"):
        assert not (tmp_path / "nothing").exists()


def test_a_full_disk_says_which_folder_and_leaves_what_was_there(tmp_path):
    (tmp_path / "report.html").write_text("old")

    def full():
        with together(tmp_path, "x") as begun:
            (begun / "report.html").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")  # what `write` says, which knows no name

    with pytest.raises(OSError, match="No space") as caught:
        full()
    assert caught.value.filename == str(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "old")]


def test_other_errors_keep_their_own_words_and_names(tmp_path):
    with pytest.raises(OSError, match="which") as caught, together(tmp_path, "x"):
        raise OSError(errno.ENOSPC, "No space left on device", "which.csv")
    assert caught.value.filename == "which.csv"
    with pytest.raises(BrokenPipeError) as broken, together(tmp_path, "x"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert broken.value.filename is None
