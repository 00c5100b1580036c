"""Known-good images leave a saved screener, and the one before is kept beside it or where it was."""

import pytest

from uncertainty.errors import InputError, ModelError
from uncertainty.screener import Screener
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.workflows.known_good import change_known_good


@pytest.mark.parametrize("elsewhere", [False, True])
def test_names_are_removed_and_the_one_before_is_kept(world, tmp_path, elsewhere):
    world.screener.save(tmp_path / "s")
    gone = world.screener.known_good[:3]
    (tmp_path / "names.txt").write_text("\n".join(gone), "utf-8")
    into = tmp_path / "new" if elsewhere else None
    done = change_known_good(SavedScreener(tmp_path / "s"), remove=tmp_path / "names.txt", into=into)
    assert done.folder == (into or tmp_path / "s")
    assert set(Screener.load(done.folder).known_good) == set(world.screener.known_good) - set(gone)
    assert Screener.load(done.kept).known_good == world.screener.known_good == done.before.known_good
    assert (done.kept == tmp_path / "s") == elsewhere


def test_a_screener_without_a_spec_needs_one_for_new_images(world, tmp_path):
    world.screener.save(tmp_path / "s")
    with pytest.raises(ModelError, match="give --model SPEC"):
        change_known_good(SavedScreener(tmp_path / "s"), add=world.incoming)


def test_nothing_to_do_is_said(world, tmp_path):
    with pytest.raises(InputError, match="nothing to do; give images to add, or names to remove"):
        change_known_good(SavedScreener(tmp_path / "s"))
