"""Tests of the service are a step of their own: they are left out where its extra is not installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("fastapi") and find_spec("httpx") else ["*"]


MODEL = """
import torch
from torch import nn
from uncertainty.classifiers import Classifier, Preprocess

def tiny():
    network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(),
                            nn.Dropout(0.3), nn.Linear(48, 3))
    return Classifier.from_module(network, ["cat", "dog", "eel"], Preprocess(size=8, mean=(0.5,) * 3, std=(1.0,) * 3))
"""
SPEC = "served_model:tiny?weights=weights.safetensors"


@pytest.fixture(scope="session")
def home(world, tmp_path_factory):
    """A folder with a screener whose network another process can load."""
    from safetensors.torch import save_file

    from uncertainty.screening.saved_screener import SavedScreener

    home = tmp_path_factory.mktemp("served")
    (home / "served_model.py").write_text(MODEL, "utf-8")
    save_file(world.classifier.network.module.state_dict(), home / "weights.safetensors")
    world.screener.save(home / "stripes")
    assert SavedScreener(home / "stripes").load_alone().id == world.screener.id
    return home


@pytest.fixture(scope="session")
def service(home):
    from benchmarks.service_process import serving

    with serving("stripes", "--model", SPEC, "--store", "kept.sqlite", cwd=home) as service:
        yield service


@pytest.fixture(scope="session")
def image(world):
    return next(iter(sorted(world.incoming.iterdir()))).read_bytes()


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.service)
