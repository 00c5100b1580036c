"""Files of flagged images are put elsewhere, and nothing is overwritten."""

import os

import pytest

from uncertainty.service.watch.flagged import placed
from uncertainty.service.watch.settings import How


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "from" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"picture")
    return path


@pytest.fixture
def target(tmp_path):
    return tmp_path / "to" / "day" / "a.png"


@pytest.mark.parametrize("how", How)
def test_it_is_there_and_doing_it_again_changes_nothing(source, target, how):
    for _ in range(2):
        assert placed(source, target, how) == target
        assert target.read_bytes() == b"picture"
        assert [path.name for path in target.parent.iterdir()] == ["a.png"]
    assert source.exists() == (how is not How.MOVE)
    assert target.is_symlink() == (how is How.LINK)


@pytest.mark.parametrize("how", How)
def test_another_file_of_the_name_stays(source, target, how):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"another")
    for _ in range(1 if how is How.MOVE else 2):
        assert placed(source, target, how) == target.with_name("a~2.png")
    assert (target.read_bytes(), target.with_name("a~2.png").read_bytes()) == (b"another", b"picture")
    assert len(os.listdir(target.parent)) == 2


def test_a_move_that_was_killed_between_its_two_steps_is_finished(source, target):
    placed(source, target, How.COPY)
    assert placed(source, target, How.MOVE) == target
    assert not source.exists()


@pytest.mark.parametrize("how", [How.COPY, How.LINK])
def test_a_file_that_is_gone_is_placed_nowhere(source, target, how):
    source.unlink()
    assert placed(source, target, how) is None
    assert not target.parent.exists()


def test_a_copy_that_fails_leaves_nothing(source, target, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uncertainty.service.watch.flagged.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        placed(source, target, How.MOVE)
    assert source.read_bytes() == b"picture"
    assert os.listdir(target.parent) == []
