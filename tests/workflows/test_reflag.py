"""Another policy for a finished screening: the same bytes as a screening anew, and nothing stale beside them."""

import shutil

import pytest
from conftest import write_incoming

from uncertainty.decisions.policies import Policy
from uncertainty.errors import InputError
from uncertainty.screening import journal, second_pass
from uncertainty.verdicts import FORMATS
from uncertainty.workflows import screen
from uncertainty.workflows.rank import rank_folder
from uncertainty.workflows.reflag import finished, reflag
from uncertainty.workflows.screen import ScreenSettings, screen_into


@pytest.fixture(scope="module")
def mixed(world, tmp_path_factory):
    """The incoming images and one that can't be read."""
    return write_incoming(world, tmp_path_factory.mktemp("mixed"), unreadable="019a.png")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    task_of = screen.task_of
    monkeypatch.setattr(screen, "task_of", lambda *given, **options: task_of(*given, rows_in_a_part=16, **options))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


POLICIES = [
    Policy.of(budget=0.4),
    Policy.of(budget=0.01),
    Policy.of(max_error=0.2, confidence=0, per_class=True),
]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_same_bytes_as_a_screening_anew(world, mixed, tmp_path, ending, policy):
    settings, after = ScreenSettings(ending, batch_size=8), world.screener.with_policy(policy)
    before = screen_into(tmp_path / "a", world.screener, mixed, settings)
    rank_folder(tmp_path / "a", 5, tmp_path / "a" / "ranking.csv")
    summary = reflag(finished(tmp_path / "a", after), after)
    assert summary == screen_into(tmp_path / "b", after, mixed, settings)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert summary["flagged"] != before["flagged"]
    reflag(finished(tmp_path / "a", world.screener), world.screener)  # and back
    screen_into(tmp_path / "c", world.screener, mixed, settings)
    assert contents(tmp_path / "a") == contents(tmp_path / "c")


def test_a_kill_between_parts_is_made_good_by_doing_it_again(world, mixed, tmp_path, monkeypatch):
    after = world.screener.with_policy(Policy.of(budget=0.4))
    screen_into(tmp_path / "a", world.screener, mixed, ScreenSettings(batch_size=8))
    write, left = journal.Parts.write, iter([True, False])

    def broken(self, part, table):
        if not next(left):
            raise KeyboardInterrupt
        write(self, part, table)

    monkeypatch.setattr(journal.Parts, "write", broken)
    with pytest.raises(KeyboardInterrupt):
        reflag(finished(tmp_path / "a", after), after)
    monkeypatch.setattr(journal.Parts, "write", write)
    shutil.copytree(tmp_path / "a", tmp_path / "resumed")
    reflag(finished(tmp_path / "a", after), after)
    screen_into(tmp_path / "resumed", after, mixed, ScreenSettings(batch_size=8), resume=True)
    screen_into(tmp_path / "b", after, mixed, ScreenSettings(batch_size=8))
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "resumed")


@pytest.mark.parametrize("moves", range(5))
def test_a_kill_while_files_are_put_in_place_is_made_good(world, mixed, tmp_path, monkeypatch, moves):
    after = world.screener.with_policy(Policy.of(budget=0.4))
    screen_into(tmp_path / "a", world.screener, mixed, ScreenSettings(batch_size=8))
    left = iter([True] * moves)

    def broken(source, target):
        if not next(left, False):
            raise KeyboardInterrupt
        journal.moved(source, target)

    monkeypatch.setattr(second_pass, "moved", broken)
    with pytest.raises(KeyboardInterrupt):
        reflag(finished(tmp_path / "a", after), after)
    monkeypatch.setattr(second_pass, "moved", journal.moved)
    reflag(finished(tmp_path / "a", after), after)
    screen_into(tmp_path / "b", after, mixed, ScreenSettings(batch_size=8))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_can_t_be_flagged_anew_is_refused(world, mixed, tmp_path):
    screen_into(tmp_path, world.screener, mixed, ScreenSettings(".csv"))
    with pytest.raises(InputError, match="is no finished screening with its features"):
        finished(tmp_path / "nothing", world.screener)
    text = (tmp_path / "verdicts.csv").read_bytes()
    (tmp_path / "verdicts.csv").write_bytes(text + b"\n")
    with pytest.raises(InputError, match=r"verdicts\.csv was changed since it was written; screen again"):
        finished(tmp_path, world.screener)
    (tmp_path / "verdicts.csv").write_bytes(text)
    other = world.screener.without_known_good(world.screener.known_good[:2])
    with pytest.raises(InputError, match="was screened by another screener"):
        finished(tmp_path, other)
    assert finished(tmp_path, world.screener).summary["images"] == 41
