"""Progress: on a terminal rate and time left, elsewhere a line every half minute."""

import io

import pytest

from uncertainty.commands.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Put a terminal where standard error is; not a fixture, since pytest exchanges the stream after those."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_short_work_says_nothing_where_there_is_no_terminal(capsys):
    with progress("screening", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_long_work_says_every_half_minute_how_far_it_is(capsys, monkeypatch):
    times = iter([0.0, 10.0, 31.0, 40.0, 62.0, 71.4])
    monkeypatch.setattr("uncertainty.commands.progress.time.monotonic", lambda: next(times))
    with progress("screening", 50) as advance:
        for _ in range(5):
            advance(10)
    assert capsys.readouterr() == (
        "",
        "note: screening: 20 of 50 images, 0.645 a second, 46 s left\n"
        "note: screening: 40 of 50 images, 0.645 a second, 16 s left\n"
        "note: screening: 50 of 50 images, 0.7 a second, now what they say together\n",
    )


def test_a_terminal_sees_what_how_many_rate_and_time_left(monkeypatch, capsys):
    screen = terminal(monkeypatch)
    with progress("screening", 10) as advance:
        for _ in range(4):
            advance(2)
    text = screen.getvalue()
    assert "screening" in text
    assert "8/10" in text
    assert "images/s" in text
    assert "0:00:" in text
    assert capsys.readouterr().out == ""


def test_the_bar_is_taken_away_when_the_work_fails(monkeypatch):
    screen = terminal(monkeypatch)

    def fail():
        with progress("fitting", 10) as advance:
            advance(1)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert screen.getvalue().endswith("\x1b[2K")
