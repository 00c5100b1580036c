"""A screening of real files by a saved screener, free to be reviewed."""

import shutil
from dataclasses import replace

import pytest

from tests.report.reports import verdict_table, write_screening
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.service.desk.desk import Desk, DeskSettings
from uncertainty.service.desk.plan import Plan
from uncertainty.workflows.screen import screen_folder

SPEC = "desk_models:tiny?weights=desk.safetensors"
MODELS = """
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

def tiny():
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(),
                            nn.Dropout(0.3), nn.Linear(48, 3))
    return Classifier.from_module(network, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""
PLAIN = ("cat", "dog", "eel")
RANKED = Plan(explore=0.0)


@pytest.fixture(scope="session")
def finished(world, tmp_path_factory):
    """Folder `out` of a screening of 40 images, and the screener beside it."""
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("desk")
    (root / "desk_models.py").write_text(MODELS, "utf-8")
    save_file(world.classifier.network.module.state_dict(), root / "desk.safetensors")
    world.screener.save(root / "screener")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.syspath_prepend(root)
        screen_folder(SavedScreener(root / "screener", SPEC), str(world.incoming), root / "out")
    return root


@pytest.fixture
def review(finished, tmp_path, monkeypatch):
    """Settings of a review of a copy of that screening, with a screener of its own."""
    monkeypatch.chdir(finished)
    monkeypatch.syspath_prepend(finished)
    out, screener = (shutil.copytree(finished / name, tmp_path / name) for name in ("out", "screener"))
    return DeskSettings(out, SavedScreener(screener, SPEC))


@pytest.fixture
def desk_of(tmp_path):
    """Open a desk over a table of made-up verdicts, with images; all are closed at the end."""
    opened = []

    def desk_of(names=30, classes=PLAIN, plan=RANKED, change=None, **settings):
        names = [f"{i:03}.png" for i in range(names)] if isinstance(names, int) else names
        out = tmp_path / "out"
        if not out.exists():
            table = verdict_table(names, classes)
            write_screening(out, table if change is None else change(table), tmp_path / "images")
        desk = Desk(replace(DeskSettings(out, plan=plan), **settings))
        opened.append(desk)
        return desk

    yield desk_of
    for desk in opened:
        desk.store.close()
