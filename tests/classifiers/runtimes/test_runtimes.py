"""Every runtime that is installed answers as torch does, on small networks of every kind."""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from classifiers.networks import CLASSES, PREPROCESS, SIZE, classifier, functional, hidden, inputs, made, plain, simple
from uncertainty import Classifier, Screener
from uncertainty.classifiers.eight_bits import shown, waits
from uncertainty.classifiers.other_runtime import cache_folder, shown_images
from uncertainty.classifiers.probing import example_of
from uncertainty.classifiers.runtimes.base import installed, runtime_of
from uncertainty.errors import ArtifactError, InputError, ModelError
from uncertainty.images.in_memory import ArrayItem
from uncertainty.screener.artifact import SavedModel

RUNTIMES = [str(runtime) for runtime in installed()]
EXACT = [name for name in RUNTIMES if name.endswith("f32")]
EIGHT_BITS = [name for name in RUNTIMES if name.endswith("int8")]
ROOM = {"f32": 1e-5, "bf16": 3e-2, "int8": 1e-1}

pytestmark = pytest.mark.skipif(not RUNTIMES, reason="no runtime is installed: pip install '.[openvino,onnx]'")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNCERTAINTY_RUNTIME_CACHE", str(tmp_path / "compiled"))


def by_branches():
    """A network that no trace takes apart, with a layer of features."""

    def forward(m, x):
        h = hidden(m, x)
        return m.fc(h if float(h.sum()) > -1 else -h)

    return made(forward)


def convolutions():
    def forward(m, x):
        return m.fc(m.drop(torch.relu(m.norm2(m.conv(x))).mean((2, 3))))

    layers = {
        "conv": nn.Conv2d(3, 8, 3, padding=1, bias=False),
        "norm2": nn.BatchNorm2d(8),
        "fc": nn.Linear(8, CLASSES),
    }
    return made(forward, drop=nn.Dropout(0.5), **layers)


def seen(one, x):
    return one.network(x, 3 if one.network.dropout else 0, 0, ("flip",))


def by(one, runtime):
    """The classifier by a runtime, which has seen inputs where it waits for them."""
    other = one.with_runtime(runtime)
    return replace(other, network=shown_images(other.network, example_of(other.preprocess), inputs(32)))


def assert_alike(found, expected, room):
    for name, there in vars(expected).items():
        here = getattr(found, name)
        assert (here is None) == (there is None), name
        if there is not None:
            assert np.abs(here - there).max() <= room * np.abs(there).max(), name


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("make", [simple, functional, plain, convolutions])
def test_answers_are_those_of_torch(make, runtime):
    one = classifier(make())
    other = by(classifier(make()), runtime)
    assert_alike(seen(other, inputs(9)), seen(one, inputs(9)), ROOM[runtime.partition(":")[2]])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_network_that_branches_by_values_runs_or_is_refused(runtime):
    one = classifier(by_branches())
    if runtime.startswith("onnxruntime") or runtime in EIGHT_BITS:  # whose exporter takes no branch
        with pytest.raises(ModelError, match=f"runtime={runtime} can't run this network"):
            by(one, runtime)
    else:
        assert_alike(seen(one.with_runtime(runtime), inputs(9)), seen(one, inputs(9)), 3e-2)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("make", [plain, convolutions])
def test_what_is_made_of_an_image_depends_on_it_alone(make, runtime):
    one = by(classifier(make()), runtime)
    every, some = one.network(inputs(9)), one.network(inputs(9)[3:5])
    np.testing.assert_array_equal(every.features[3:5], some.features)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_convolutions_behind_a_dropout_round_one_image_as_many(runtime):
    def forward(m, x):
        return m.fc(torch.relu(m.second(m.drop(torch.relu(m.conv(x))))).mean((2, 3)))

    layers = {"conv": nn.Conv2d(3, 8, 3, padding=1), "second": nn.Conv2d(8, 16, 3, stride=2, padding=1)}
    one = by(classifier(made(forward, drop=nn.Dropout2d(0.2), fc=nn.Linear(16, CLASSES), **layers)), runtime)
    every = seen(one, inputs(9))
    for row in range(9):
        alone = seen(one, inputs(9)[row : row + 1])
        for name in ("logits", "features", "mc_logits", "tta_logits"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(every, name)[row], err_msg=name)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_change_no_bit(runtime):
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(by(classifier(convolutions()), runtime).network(inputs(9)).features)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("runtime", EXACT)
@pytest.mark.parametrize("make", [plain, simple, convolutions])
@pytest.mark.parametrize("change", ["a weight", "a hook"])
def test_a_changed_network_runs_by_torch(make, change, runtime):
    module = make()
    one = classifier(module).with_runtime(runtime)
    layer = module.conv if hasattr(module, "conv") else module.hidden
    before = one.network(inputs(4)).logits
    if change == "a weight":
        with torch.no_grad():
            layer.weight.mul_(-1)
    else:
        layer.register_forward_hook(lambda _, __, output: -output)
    found = one.network(inputs(4)).logits
    assert np.abs(found - before).max() > 1e-3
    np.testing.assert_allclose(found, classifier(module).network(inputs(4)).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_spec_names_it_and_the_fingerprint_tells(runtime):
    spec = "classifiers.networks:simple"
    one, other = Classifier.load(f"{spec}?size={SIZE}"), Classifier.load(f"{spec}?size={SIZE}&runtime={runtime}")
    assert str(other.network.runtime) == runtime
    assert runtime in other.spec
    assert one.sha256 != other.sha256
    assert other.sha256 == Classifier.load(other.spec).sha256
    again = replace(other, classes=other.classes)
    assert again.description.runtime == runtime


def screener(one):
    rng = np.random.default_rng(0)
    outputs = one.run(rng.integers(0, 256, (160, SIZE, SIZE, 3), dtype=np.uint8), passes=3)
    labels = (outputs.predictions + (rng.random(160) < 0.2)) % CLASSES
    whole = replace(outputs, labels=labels)
    made = Screener.fit_outputs(replace(whole[:80], mc_probs=None), whole[80:])
    return replace(made, passes=3, model=SavedModel.of(one), classifier=one)


@pytest.mark.parametrize("runtime", EXACT[:1])
def test_a_screener_remembers_it(runtime, tmp_path):
    one = classifier(simple())
    screener(one.with_runtime(runtime)).save(tmp_path / "screener")
    loaded = Screener.load(tmp_path / "screener", classifier(simple()).with_runtime(runtime))
    assert str(loaded.classifier.network.runtime) == runtime
    with pytest.raises(ArtifactError, match=f"run by {runtime}, and here torch runs it; say runtime={runtime}"):
        Screener.load(tmp_path / "screener", classifier(simple()))


def pictures(count, seed=0):
    drawn = np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    return [ArrayItem(f"{seed}/{k}", image) for k, image in enumerate(drawn)]


def fitted(waiting, known_good):
    """A screener fitted on pictures, of which one in five has another label than torch gives it."""
    calibration = pictures(80, 1)
    labels = (classifier(simple()).run(calibration).predictions + (np.arange(80) % 5 == 0)) % CLASSES
    return Screener.fit(waiting, known_good, calibration, labels=labels, expect_damage=0, expect_unknown=0)


@pytest.mark.parametrize("runtime", EIGHT_BITS)
def test_a_screener_keeps_its_networks_in_eight_bits(runtime, tmp_path):
    waiting = classifier(simple()).with_runtime(runtime).with_embedder(classifier(plain()).with_runtime(runtime))
    with pytest.raises(InputError, match="must be shown images first"):
        waiting.run(pictures(4))
    one = fitted(waiting, pictures(60))
    assert not waits(one.classifier)
    assert any("made of 60 known-good images; none were left" in note for note in one.notes)
    one.save(tmp_path / "screener")
    loaded = Screener.load(tmp_path / "screener", waiting)
    assert loaded.id == one.id
    assert loaded.classifier.sha256 == one.classifier.sha256 != waiting.sha256
    assert loaded.screen(pictures(8, 2)).table.equals(one.screen(pictures(8, 2)).table)
    with pytest.raises(ArtifactError, match="was fitted with model"):
        Screener.load(tmp_path / "screener", fitted(waiting, pictures(60, 3)).classifier)


@pytest.mark.parametrize("runtime", EIGHT_BITS)
def test_eight_bits_depend_on_the_images_and_not_on_their_order(runtime):
    one, images = classifier(plain()).with_runtime(runtime), pictures(150)
    there, back, others = (shown(one, given, 2) for given in (images, images[::-1], pictures(150, 1)))
    assert there.sha256 == back.sha256 != others.sha256
    assert "made of 128 known-good images; on 22 others its labels are those of torch" in there.notes[0]


@pytest.mark.parametrize("runtime", EIGHT_BITS)
@pytest.mark.parametrize(
    ("images", "why"),
    [
        (pictures(15), "at least 16 known-good images; here are 15"),
        (None, "is shown known-good images before they are run; give --reference"),
        (iter(pictures(20)), "give --reference"),
    ],
)
def test_eight_bits_want_images(images, why, runtime):
    with pytest.raises(InputError, match=why):
        shown(classifier(plain()).with_runtime(runtime), images, 1)


@pytest.mark.skipif(find_spec("openvino_telemetry") is None, reason="openvino_telemetry is absent")
def test_openvino_sends_no_event():
    classifier(simple()).with_runtime("openvino")
    import openvino.tools.ovc.telemetry_utils as used

    assert used.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert "openvino_telemetry.backend" not in sys.modules


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_converted_is_kept_where_the_user_says(kept, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    if not kept:
        monkeypatch.setenv("UNCERTAINTY_RUNTIME_CACHE", "")
    assert (cache_folder() is not None) == kept
    found = [classifier(simple()).with_runtime("openvino").network(inputs(3)).logits for _ in range(2)]
    np.testing.assert_array_equal(*found)
    names = sorted(file.suffix for file in tmp_path.rglob("*.*"))
    assert names == ([".bin", ".xml"] if kept else [])


def test_a_folder_that_cannot_be_written_keeps_nothing_and_is_named(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("UNCERTAINTY_RUNTIME_CACHE", str(tmp_path / "file" / "below"))
    assert cache_folder() is None
    assert f"{tmp_path / 'file' / 'below'} can't be written" in caplog.text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("tensorrt", "runtime is 'tensorrt'; it must be one of torch, openvino, onnxruntime"),
        ("openvino:int4", "runtime=openvino:int4 is none; openvino has f32 or bf16 or int8"),
        ("onnxruntime:bf16", "runtime=onnxruntime:bf16 is none; onnxruntime has f32 or int8"),
    ],
)
def test_unknown_runtimes_are_told(said, why):
    with pytest.raises(ModelError, match=why):
        runtime_of(said)


@pytest.mark.parametrize("runtime", EXACT)
def test_what_it_can_not_run_is_told(runtime):
    cast = Classifier.from_module(plain(), preprocess=PREPROCESS, autocast="bf16")
    with pytest.raises(ModelError, match="are two precisions"):
        cast.with_runtime(runtime)

    def scripted_by_numbers(m, x):
        return m.fc(torch.from_numpy(np.sin(hidden(m, x).detach().numpy())))

    with pytest.raises(ModelError, match=f"runtime={runtime} (answers otherwise|can't run)"):
        classifier(made(scripted_by_numbers)).with_runtime(runtime)
