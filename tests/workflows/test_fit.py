"""A fit of folders: refused as early as can be, before torch is loaded."""

import logging
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from uncertainty.errors import OverlapError
from uncertainty.workflows.fit import ModelSource, fit_folders

REFUSED = """
import sys
from pathlib import Path
from uncertainty.errors import OverlapError
from uncertainty.workflows.fit import ModelSource, fit_folders
try:
    fit_folders(ModelSource("nowhere:at_all"), *map(Path, sys.argv[1:]))
except OverlapError as error:
    print(error)
print("torch" in sys.modules)
"""


@pytest.fixture
def shared(world, tmp_path):
    """Calibration with one picture of the reference, saved again, and one that is lighter."""
    calibration = shutil.copytree(world.calibration, tmp_path / "calibration")
    with Image.open(world.reference / "cat" / "000.png") as picture:
        picture.save(calibration / "dog" / "holiday.bmp")
    return calibration


def test_a_picture_saved_again_is_refused_before_torch_is_loaded(world, shared, tmp_path):
    where = map(str, (world.reference, shared, tmp_path / "s"))
    done = subprocess.run([sys.executable, "-c", REFUSED, *where], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    good = world.reference / "cat" / "000.png"
    assert f"e.g. '{shared}/dog/holiday.bmp' is '{good}', saved again; p_wrong" in told
    assert told.endswith("(--drop-duplicates)")
    assert loaded == "False"


def test_what_looks_alike_is_said_before_the_model_is_loaded(world, shared, tmp_path, caplog):
    (shared / "dog" / "holiday.bmp").unlink()
    with Image.open(world.reference / "cat" / "000.png") as picture:
        picture.point(lambda v: v // 2 + 40).save(shared / "dog" / "lighter.png")
    with caplog.at_level(logging.WARNING, "uncertainty"), pytest.raises(Exception, match="nowhere"):
        fit_folders(ModelSource("nowhere:at_all"), world.reference, shared, tmp_path / "s")
    assert "nearly like one of the reference, e.g. 'dog/lighter.png' like 'cat/000.png'" in caplog.text


def test_with_drop_duplicates_nothing_is_refused_early(world, shared, tmp_path):
    with pytest.raises(OverlapError):
        fit_folders(ModelSource("nowhere:at_all"), world.reference, shared, tmp_path / "s")
    with pytest.raises(Exception, match="nowhere"):
        fit_folders(ModelSource("nowhere:at_all"), world.reference, shared, tmp_path / "s", drop_duplicates=True)
