"""Death at every rename and removal of every command that changes something: the old is there or the new, whole."""

import os
import shutil

import pytest
from conftest import CLASSES

from uncertainty.decisions.policies import Policy
from uncertainty.report.build import write_report
from uncertainty.screener import Screener
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.compare import compare_folders
from uncertainty.workflows.evaluate import evaluate_folder
from uncertainty.workflows.known_good import change_known_good
from uncertainty.workflows.policy import apply_policy, plan_policy
from uncertainty.workflows.rank import rank_folder
from uncertainty.workflows.screen import screen_into
from uncertainty.workflows.update import update_folder
from uncertainty.written import LEDGER, settled

CALLS = ("replace", "rename", "unlink", "rmdir", "remove")


class DiedError(BaseException):
    """The process is no more."""


class Dying:
    """Lets so many calls pass; whoever calls after that is dead, and stays so."""

    def __init__(self, patch, after):
        self.left, self.died = after, False
        for name in CALLS:
            patch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, call):
        def counted(*given, **options):
            self.left -= 1
            if self.left < 0:
                self.died = True
                raise DiedError
            return call(*given, **options)

        return counted


def deaths(make, act):
    """Yield what `make` made after `act` died at its first, second, … call, and at last after it lived on."""
    for after in range(200):
        place = make(after)
        with pytest.MonkeyPatch.context() as patch:
            dying = Dying(patch, after)
            try:
                act(place)
            except BaseException:  # what cleans up after a death dies as well, of whatever it meets
                if not dying.died:
                    raise
        yield place
        if not dying.died:
            assert after > 0
            return
    pytest.fail("it never ends")


@pytest.fixture(scope="module")
def screened(world, tmp_path_factory):
    """A saved screener, a screening by it, labels, and names of known-good images."""
    root = tmp_path_factory.mktemp("screened")
    world.screener.save(root / "screener")
    screen_into(root / "out", world.screener, world.incoming)
    rows = [f"{i:03}.png,{CLASSES[i % len(CLASSES)]}" for i in range(40)]
    (root / "labels.csv").write_text("file_name,label\n" + "\n".join(rows))
    (root / "names.txt").write_text("\n".join(world.screener.known_good[:3]))
    return root


def copied(screened, tmp_path):
    return lambda after: shutil.copytree(screened, tmp_path / str(after))


def saved(at):
    Screener.load(at / "screener").with_budget(0.3).save(at / "screener")


def policy(at):
    apply_policy(plan_policy(at / "screener", Policy.of(budget=0.3)))


def known_good(at):
    change_known_good(SavedScreener(at / "screener"), remove=at / "names.txt")


def update(at):
    update_folder(at / "screener", at / "out", at / "labels.csv")


@pytest.mark.parametrize("act", [saved, policy, known_good, update])
def test_a_screener_is_the_old_or_the_new_one(screened, tmp_path, act):
    old = Screener.load(screened / "screener").id
    act(copied(screened, tmp_path)("new"))
    new = Screener.load(tmp_path / "new" / "screener").id
    assert old != new
    seen = []
    for at in deaths(copied(screened, tmp_path), act):
        seen.append(Screener.load(at / "screener").id)
        kept = [path for path in at.iterdir() if path.name.startswith("screener.")]
        assert all(Screener.load(path).id == old for path in kept)
        if seen[-1] == old:  # nothing stands in the way of doing it again
            act(at)
            assert Screener.load(at / "screener").id == new
        left = [path.name for path in (at / "screener").iterdir() if path.name.startswith(".")]
        assert seen[-1] == new or not left
    assert set(seen) == {old, new}
    assert seen == sorted(seen, key=[old, new].index)


def evaluation(at):
    return {path.name: path.read_bytes() for path in (at / "out").iterdir() if path.is_file()}


def evaluate(at):
    evaluate_folder(at / "out", at / "labels.csv", resamples=20)


def evaluate_again(at):
    evaluate_folder(at / "out", at / "labels.csv", resamples=20, seed=7, precision=0.5)


def test_an_evaluation_is_the_old_or_the_new_one(screened, tmp_path):
    before = copied(screened, tmp_path)("before")
    evaluate(before)
    old = evaluation(before)
    new_at = shutil.copytree(before, tmp_path / "again")
    evaluate_again(new_at)
    new = evaluation(new_at)
    assert old.keys() == new.keys()
    assert old != new
    for at in deaths(lambda after: shutil.copytree(before, tmp_path / str(after)), evaluate_again):
        settled(at / "out")  # what the next evaluation or report does first
        assert evaluation(at) in (old, new)
        assert [path.name for path in (at / "out").iterdir() if path.name.startswith(".")] == [LEDGER]


def compare(at):
    compare_folders(at / "out", at / "out", at / "labels.csv", at / "compared", resamples=20)


def rank(at):
    rank_folder(at / "out", 5, at / "ranking.csv")


def report(at):
    write_report(at / "out")


def screen_again(world):
    return lambda at: screen_into(at / "out", world.screener, world.incoming)


@pytest.mark.parametrize("act", [evaluate, compare, rank, report, "screen"])
def test_what_died_can_be_done_again(screened, world, tmp_path, act):
    act = screen_again(world) if act == "screen" else act
    for at in deaths(copied(screened, tmp_path), act):
        if not (at / "out" / ".screening" / "journal.jsonl").exists():
            assert len(Verdicts.read(at / "out")) == 40
            act(at)
        else:
            screen_into(at / "out", world.screener, world.incoming, resume=True)
        assert len(Verdicts.read(at / "out")) == 40
