"""A classifier of tiles with five bands of 16 bits, all the way from files and from arrays to what is handed on."""

import json
import sys

import numpy as np
import pytest
import tifffile
import torch
from conftest import CLASSES
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.classifiers.findings import findings
from uncertainty.classifiers.shown_input import shown_input
from uncertainty.errors import InputError
from uncertainty.images.decoding import Reading, decode
from uncertainty.report.build import write_report
from uncertainty.screener import Screener
from uncertainty.verdicts import Verdicts
from uncertainty.workflows.rank import rank_folder
from uncertainty.workflows.screen import screen_into

BANDS, SIDE, WHITE = 5, 8, 10000
FACTORY = """
from torch import nn


def network():
    return nn.Sequential(
        nn.Conv2d(5, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d((8, 1)), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3)
    )
"""
KEYS = f"size={SIDE}&resize=exact&mean=2000&std=1000&range={WHITE}&show=4,3,2&interpolation=bilinear&crop_pct=1"


def tiles(n, seed):
    """(n, 8, 8, 5) uint16 of 12 bits; only the last band, which is not shown, tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    values = rng.normal(2000, 700, (n, SIDE, SIDE, BANDS))
    values[np.arange(n), :, 1 + 2 * labels, 4] += rng.uniform(100, 800, n)[:, None]
    return values.clip(0, 4095).astype(np.uint16), labels


def trained(network):
    values, labels = tiles(90, 1000)
    inputs = torch.from_numpy((values.transpose(0, 3, 1, 2).astype(np.float32) - 2000) / 1000)
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs), torch.from_numpy(labels)).backward()
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Folders of TIFFs, the spec of a module that says no number of channels, and a screener fitted by it."""
    root = tmp_path_factory.mktemp("tiles")
    (root / "made_for_tiles.py").write_text(FACTORY, "utf-8")
    sys.path.insert(0, str(root))
    import made_for_tiles

    torch.manual_seed(0)
    save_file(trained(made_for_tiles.network()).state_dict(), root / "w.safetensors")
    (root / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    for name, n, seed in (("reference", 60, 1), ("calibration", 90, 2), ("incoming", 12, 3)):
        for k, (values, label) in enumerate(zip(*tiles(n, seed), strict=True)):
            path = root / name / CLASSES[label] / f"{k:03}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", compression="zlib")
    tifffile.imwrite(
        root / "incoming" / "few.tif", np.zeros((8, 8, 4), np.uint16), photometric="minisblack", planarconfig="contig"
    )
    Image.new("RGB", (8, 8)).save(root / "incoming" / "picture.png")
    spec = f"made_for_tiles:network?weights={root / 'w.safetensors'}&classes={root / 'classes.txt'}&{KEYS}"
    classifier = Classifier.load(spec)
    screener = Screener.fit(classifier, root / "reference", root / "calibration", passes=2)
    screener.save(root / "screener")
    yield root, classifier, Screener.load(root / "screener")
    sys.path.remove(str(root))


def test_the_number_of_bands_is_found_and_told(space):
    root, classifier, _ = space
    assert classifier.preprocess.channels == BANDS
    assert any("first convolution takes 5 channels" in note for note in classifier.notes)
    said = dict(findings(classifier))["input"]
    assert "5 channels, all that an image has (shown to people and second opinion: 4,3,2)" in said
    image = decode(root / "reference" / "cat" / "000.tif", reading=classifier.preprocess.reading)
    inputs = classifier.preprocess.of(image)
    np.testing.assert_allclose(inputs, (tiles(60, 1)[0][0].transpose(2, 0, 1) - 2000.0) / 1000, atol=1e-4)
    assert shown_input(image.pixels, inputs, classifier.preprocess).mode == "RGB"


def test_folders_go_all_the_way(space, tmp_path):
    root, _, screener = space
    screen_into(tmp_path / "out", screener, root / "incoming")
    rows = {row["file_name"]: row for row in Verdicts.read(tmp_path / "out").table.to_pylist()}
    assert "has 4 bands, and the network takes 5" in rows["few.tif"]["error"]
    assert "has 3 bands, and the network takes 5" in rows["picture.png"]["error"]
    good = [row for row in rows.values() if row["error"] is None]
    assert len(good) == sum(0 <= row["p_wrong"] <= 1 for row in good) == 12
    page = write_report(tmp_path / "out").path.read_text("utf-8")
    assert page.count('"picture":') == 14  # what the network can't read can still be looked at
    assert rank_folder(tmp_path / "out", 3, tmp_path / "next.csv").table.num_rows == 3


def test_the_report_shows_the_bands_that_were_said(space, tmp_path):
    _, _, screener = space
    reading = Reading.from_dict(screener.provenance()["reading"])
    assert (reading.multiband.show, reading.multiband.white, reading.multiband.count) == ((4, 3, 2), WHITE, BANDS)
    assert json.loads(json.dumps(screener.provenance())) == screener.provenance()


def test_files_arrays_and_tensors_get_the_same_verdicts(space):
    root, _, screener = space
    values, labels = tiles(12, 3)
    files = screener.screen([root / "incoming" / CLASSES[k] / f"{i:03}.tif" for i, k in enumerate(labels)])
    expected = sorted(files.table["p_wrong"].to_pylist())
    first = torch.from_numpy(values.transpose(0, 3, 1, 2).astype(np.float32))
    for given in (values, list(np.moveaxis(values, 3, 1)), first, [(one, 0) for one in first]):
        assert sorted(screener.screen(given).table["p_wrong"].to_pylist()) == pytest.approx(expected, abs=1e-6)
    by_hand = Classifier.from_module(screener.classifier.network.original, CLASSES, screener.classifier.preprocess)
    np.testing.assert_allclose(
        by_hand.run(values, passes=0).logits, screener.classifier.run(values, passes=0).logits, atol=1e-6
    )


def test_arrays_of_another_number_of_bands_are_rows(space):
    _, _, screener = space
    found = screener.screen([tiles(1, 5)[0][0], np.zeros((8, 8, 6), np.uint16)]).table.to_pylist()
    assert sorted(row["error"] is None for row in found) == [False, True]
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    of_colours = Classifier.from_module(network, ["a", "b"], Preprocess(size=8))
    with pytest.raises(InputError, match=r"it must be uint8 of shape \(h, w, 3\)"):
        of_colours.run(tiles(1, 5)[0])
