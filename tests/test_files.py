"""Files are whole or not there, and JSON holds no number that others can't read."""

import json
import os

import pytest

from uncertainty.errors import InputError
from uncertainty.files import plain, replacing, write_json


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
