"""Which files are complete."""

import os

import pytest

from uncertainty.service.watch.arrivals import Arrivals


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def arrivals(tmp_path, clock):
    return Arrivals(tmp_path, 2.0, lambda name, stamp: False, clock)


def after(arrivals, clock, seconds):
    """Names that are complete after a while, the folder looked at each second."""
    for _ in range(seconds):
        clock.now += 1
        arrivals.look()
    return [name for name, _ in arrivals.complete(100)]


def test_a_file_is_complete_once_it_has_stayed_as_it_is(arrivals, clock, tmp_path):
    (tmp_path / "a.png").write_bytes(b"whole")
    assert after(arrivals, clock, 2) == []
    assert after(arrivals, clock, 1) == ["a.png"]


def test_a_slow_writer_is_waited_for(arrivals, clock, tmp_path):
    for number in range(10):
        with (tmp_path / "a.png").open("ab") as file:
            file.write(b"x")
        assert after(arrivals, clock, 1) == [], number
    assert after(arrivals, clock, 2) == ["a.png"]


def test_a_copy_whose_size_is_there_from_the_start_is_waited_for(arrivals, clock, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100))
    for second in range(5):
        os.utime(path, ns=(0, second))
        assert after(arrivals, clock, 1) == []
    assert after(arrivals, clock, 2) == ["a.png"]


def test_a_move_from_a_hidden_name_is_seen_by_its_last_name_alone(arrivals, clock, tmp_path):
    (tmp_path / ".a.png.tmp").write_bytes(b"whole")
    (tmp_path / "b.png.crdownload").write_bytes(b"half")
    assert after(arrivals, clock, 5) == []
    assert arrivals.waiting == 0
    os.replace(tmp_path / ".a.png.tmp", tmp_path / "a.png")
    assert after(arrivals, clock, 3) == ["a.png"]


@pytest.mark.parametrize("year", [1971, 2099])
def test_the_time_of_a_file_need_not_fit_the_clock(arrivals, clock, tmp_path, year):
    """The clock of this machine, or that of a share, may jump; only whether the time stays the same counts."""
    (tmp_path / "a.png").write_bytes(b"whole")
    os.utime(tmp_path / "a.png", ((year - 1970) * 31_557_600,) * 2)
    assert after(arrivals, clock, 3) == ["a.png"]


def test_what_is_gone_is_forgotten(arrivals, clock, tmp_path):
    (tmp_path / "a.png").write_bytes(b"whole")
    after(arrivals, clock, 1)
    (tmp_path / "a.png").unlink()
    assert after(arrivals, clock, 5) == []
    assert arrivals.waiting == 0


def test_folders_and_links_to_files_are_looked_into_and_links_to_folders_are_not(arrivals, clock, tmp_path):
    (tmp_path / "day" / "hour").mkdir(parents=True)
    (tmp_path / "day" / "hour" / "a.png").write_bytes(b"whole")
    (tmp_path / "b.png").symlink_to(tmp_path / "day" / "hour" / "a.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "again").symlink_to(tmp_path)
    assert after(arrivals, clock, 3) == ["b.png", "day/hour/a.png"]


def test_one_that_can_t_be_read_gets_more_time_once(arrivals, clock, tmp_path):
    (tmp_path / "a.png").write_bytes(b"half")
    assert after(arrivals, clock, 3) == ["a.png"]
    assert arrivals.put_off("a.png")
    assert after(arrivals, clock, 50) == []
    assert after(arrivals, clock, 10) == ["a.png"]
    assert not arrivals.put_off("a.png")


def test_a_folder_that_is_away_for_a_moment_is_no_error(clock, tmp_path):
    share = tmp_path / "share"
    arrivals = Arrivals(share, 2.0, lambda name, stamp: False, clock)
    assert after(arrivals, clock, 2) == []
    share.mkdir()
    (share / "a.png").write_bytes(b"whole")
    assert after(arrivals, clock, 3) == ["a.png"]


def test_so_many_are_waited_for_at_most(clock, tmp_path, monkeypatch):
    monkeypatch.setattr("uncertainty.service.watch.arrivals._WAITING", 10)
    done = set()
    arrivals = Arrivals(tmp_path, 0, lambda name, stamp: name in done, clock)
    for k in range(25):
        (tmp_path / f"{k:02}.png").write_bytes(b"whole")
    while due := after(arrivals, clock, 1):
        assert arrivals.waiting <= 10
        assert not done & set(due)
        done |= set(due)
        for name in due:
            arrivals.done(name)
    assert len(done) == 25
