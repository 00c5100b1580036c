"""Looking at the suspicious images again: the nearest known-good images, and heat maps."""

import base64
import io
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.report.reports import data_of, write_labels
from uncertainty import Screener, cli
from uncertainty.classifiers import Classifier, Preprocess
from uncertainty.errors import InputError, MissingDependencyError
from uncertainty.images.sources import find_images
from uncertainty.neighbors import normalised
from uncertainty.report import heat
from uncertainty.report.build import write_report
from uncertainty.report.illustrations import Illustrations, illustrations, visible
from uncertainty.screener.nearest_known_good import KnownGood
from uncertainty.screening.saved_screener import SavedScreener
from uncertainty.workflows.screen import screen_into


@pytest.fixture(scope="module")
def saved(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    world.screener.save(folder / "screener")
    screen_into(folder / "out", world.screener, find_images(world.incoming))
    names = sorted(path.name for path in world.incoming.iterdir())
    write_labels(folder / "labels.csv", {name: ("cat", "dog", "eel")[i % 3] for i, name in enumerate(names)})
    return folder


def test_the_screener_keeps_the_names_of_its_known_good_images(world, saved):
    loaded = Screener.load(saved / "screener", world.classifier)
    assert loaded.known_good == world.screener.known_good
    assert set(loaded.known_good) <= set(find_images(world.reference).names)
    good = KnownGood.of(loaded)
    folders = [world.classifier.classes.index(name.partition("/")[0]) for name in good.names]
    assert folders == good.classes.tolist()


def test_the_nearest_known_good_image_of_one_of_them_is_itself(world):
    good = KnownGood.of(world.screener)
    outputs = world.classifier.run(find_images(world.reference), passes=0)
    features = dict(zip(outputs.ids.tolist(), outputs.features, strict=True))
    for position in range(0, len(good.names), 10):
        found, distances = good.nearest(features[good.names[position]], int(good.classes[position]))
        assert found[0] == position or distances[1] == 0
        assert distances == sorted(distances)
        assert distances[0] == pytest.approx(0, abs=1e-3)
        expected = np.linalg.norm(good.vectors[found] - normalised(features[good.names[position]][None]), axis=1)
        np.testing.assert_allclose(distances, expected, atol=1e-4)


def test_flagged_and_wrong_images_have_neighbours_and_heat(world, saved):
    pytest.importorskip("captum")
    draw = Illustrations(world.screener, world.reference, cam="grad")
    data = data_of(write_report(saved / "out", labels=saved / "labels.csv", illustrate=draw).path)
    urgent = [image for image in data["images"] if image["flagged"] or image["wrong"]]
    assert urgent
    for image in urgent:
        titles = [group["title"] for group in image["near"]]
        assert titles[0] == "predicted"
        assert image["near"][0]["class"] == image["predicted"]
        if image["wrong"]:
            assert (titles[1], image["near"][1]["class"]) == ("true class", image["label"])
            assert image["heat_other"] == image["label"]
        for group in image["near"]:
            assert len(group["pictures"]) == len(group["distances"]) == 3
            assert max(group["pictures"]) < len(data["known_good"])
        assert [len(base64.b64decode(heat)) for heat in image["heat"]] == [256, 256]
        assert image["heat_box"] == [0, 0, 1, 1]
    assert not any("near" in image for image in data["images"] if not (image["flagged"] or image["wrong"]))


@contextmanager
def counted(done, what, total):
    done.append((what, total))
    yield done.append


def test_guided_maps_stand_beside_the_others_and_progress_is_told(world, saved, tmp_path):
    pytest.importorskip("captum")
    done = []
    draw = Illustrations(world.screener, cam="guided", progress=partial(counted, done))
    written = write_report(saved / "out", labels=saved / "labels.csv", illustrate=draw, path=tmp_path / "r.html")
    urgent = [image for image in data_of(written.path)["images"] if image["flagged"] or image["wrong"]]
    (what, total), *parts = done
    assert (what, total, sum(parts)) == ("looking again", len(urgent), len(urgent))
    assert written.notes == ()
    for image in urgent:
        assert len(image["heat"]) == len(image["guided"]) == 2
        for source in image["guided"]:
            with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/webp;base64,")))) as picture:
                assert picture.size == (world.classifier.preprocess.size,) * 2


class Functional(nn.Sequential):
    def forward(self, x):
        for layer in self:
            x = torch.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
        return x


def test_a_network_that_can_not_be_guided_has_grad_cam_alone_and_one_line_says_so(world, saved, tmp_path):
    pytest.importorskip("captum")
    network = Functional(*world.classifier.network.module)
    classifier = Classifier.from_module(network, world.classifier.classes, world.classifier.preprocess)
    draw = Illustrations(replace(world.screener, classifier=classifier), cam="guided")
    written = write_report(saved / "out", labels=saved / "labels.csv", illustrate=draw, path=tmp_path / "r.html")
    (note,) = written.notes
    assert note.startswith("Guided Grad-CAM is left out and Grad-CAM shown alone: it guides gradients through nn.ReLU")
    drawn = [image for image in data_of(written.path)["images"] if "heat" in image]
    assert drawn
    assert not any("guided" in image for image in drawn)


def test_reference_images_that_are_gone_are_left_out(world, saved, tmp_path):
    draw = Illustrations(world.screener, tmp_path)
    data = data_of(write_report(saved / "out", illustrate=draw, path=tmp_path / "r.html").path)
    assert data["known_good"] == []
    assert all(image.get("near", []) == [] for image in data["images"])
    with pytest.raises(InputError, match="does not exist"):
        write_report(saved / "out", illustrate=Illustrations(world.screener, tmp_path / "nowhere"))


def test_a_screener_of_an_earlier_release_says_what_it_lacks(world, saved, tmp_path):
    old = replace(world.screener, known_good=())
    written = write_report(saved / "out", illustrate=Illustrations(old, world.reference), path=tmp_path / "r.html")
    assert "fit it again" in written.notes[0]


def test_what_the_network_sees_of_an_image():
    assert visible(Preprocess(size=8, crop_pct=0.5), 100, 100) == [0.25, 0.25, 0.5, 0.5]
    assert visible(Preprocess(size=8), 100, 300) == [0.3333, 0.3333, 0.3333, 0.3333]
    assert visible(Preprocess(size=8, resize="exact"), 100, 300) == [0.3333, 0, 0.3333, 1]


@pytest.mark.parametrize("arguments", [["OUT", "--cam"], ["--cam", "OUT"], ["--cam", "guided", "OUT"]])
def test_the_command_line_wants_the_screener_for_it(saved, monkeypatch, capsys, arguments):
    given = [str(saved / "out") if one == "OUT" else one for one in arguments]
    monkeypatch.setattr("sys.argv", ["uncertainty", "report", *given])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "error: --cam and --reference look at the images again; give --screener DIR too\n"


def test_other_heat_maps_are_refused(saved):
    with pytest.raises(InputError, match="there are no heat maps 'lime'; choose one of grad, guided"):
        illustrations(None, cam="lime")


def test_missing_captum_is_told_before_the_network_is_loaded(monkeypatch, saved):
    monkeypatch.setattr(heat, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="heat maps need captum; run pip install"):
        illustrations(SavedScreener(saved / "nowhere"), cam="grad")
