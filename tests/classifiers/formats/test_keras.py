"""Keras 3 on torch: the same answers as `predict`, dropout by fixed masks, batch norm untouched."""

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

import torch

from tests.classifiers.formats.conformance import CLASSES, KEYS, SIZE, check_same_verdicts, network
from uncertainty import Classifier
from uncertainty.errors import ModelError

os.environ.setdefault("KERAS_BACKEND", "torch")
pytestmark = pytest.mark.filterwarnings("ignore")
PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


@pytest.fixture
def save(keras, tmp_path):
    """Write layers on images of 16 x 16 as a model; returns it and its spec."""

    def save(*layers, shape=(SIZE, SIZE, 3), batch=None, name="m"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input(shape, batch_size=batch), *layers], name=name)
        model.save(tmp_path / f"{name}.keras")
        return model, f"keras:{tmp_path / name}.keras"

    return save


def seen(one, pixels=PIXELS, **options):
    inputs = np.stack([one.preprocess(image) for image in pixels])
    return one.outputs_from_inputs([str(k) for k in range(len(pixels))], inputs, **options)


def copied(keras, softmax):
    """Build the network of the conformance in Keras, with its weights."""
    layers, net = keras.layers, network()
    end = "softmax" if softmax else None
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(12, 3, strides=2),
            layers.BatchNormalization(epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2D(12, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation=end),
        ]
    )
    first, norm, second = net.body[0], net.body[1], net.body[3]
    numbers = [p.detach().numpy() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)]
    for layer, values in zip(
        [model.layers[0], model.layers[1], model.layers[3], model.layers[5]],
        [of_conv(first), numbers, of_conv(second), [net.fc.weight.detach().numpy().T, net.fc.bias.detach().numpy()]],
        strict=True,
    ):
        layer.set_weights(values)
    return model


def of_conv(layer):
    return [layer.weight.detach().numpy().transpose(2, 3, 1, 0), layer.bias.detach().numpy()]


@pytest.mark.parametrize("softmax", [False, True])
def test_the_verdicts_are_those_of_the_module(keras, tmp_path, softmax):
    copied(keras, softmax).save(tmp_path / "m.keras")
    usual = "resizer=pillow&interpolation=bicubic&range=1"
    check_same_verdicts(Classifier.load(f"keras:{tmp_path / 'm.keras'}?{KEYS}&{usual}", classes=CLASSES))


def trained(keras, save):
    L = keras.layers  # noqa: N806
    layers = [L.Rescaling(1 / 127.5, offset=-1), L.Conv2D(8, 3, activation="relu"), L.BatchNormalization()]
    layers += [L.SpatialDropout2D(0.2), L.GlobalAveragePooling2D(), L.Dropout(0.3), L.Dense(3, activation="softmax")]
    model, spec = save(*layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(PIXELS.astype("float32"), np.arange(5) % 3, epochs=2, verbose=0)
    model.save(spec.removeprefix("keras:"))
    return model, spec


def test_answers_are_those_of_predict_and_dropout_is_by_fixed_masks(keras, save):
    model, spec = trained(keras, save)
    one = Classifier.load(spec)
    assert one.preprocess.range == 255
    assert one.assumed == ("resize", "resizer", "interpolation")
    before = one.sha256
    found = seen(one)
    np.testing.assert_allclose(found.probs, model.predict(PIXELS.astype("float32"), verbose=0), atol=1e-6)
    np.testing.assert_allclose(found.features, model_before_last(keras, model)(PIXELS), atol=1e-5)
    assert found.mc_probs.std(axis=1).max() > 1e-3
    np.testing.assert_allclose(seen(one, PIXELS[3:4]).mc_probs[0], found.mc_probs[3], atol=1e-5)
    np.testing.assert_array_equal(seen(one).mc_probs, found.mc_probs)
    assert one.sha256 == before == Classifier.load(spec).sha256


def model_before_last(keras, model):
    cut = keras.Model(model.inputs, model.layers[-2].output)
    return lambda pixels: cut.predict(pixels.astype("float32"), verbose=0)


def test_another_layer_of_features(keras, save):
    _, spec = trained(keras, save)
    name = next(layer for layer in names(keras, spec) if layer.startswith("conv2d"))
    one = Classifier.load(f"{spec}?features={name}")
    assert seen(one).features.shape == (5, 8)
    with pytest.raises(ModelError, match=r"features='nix' is no layer of it; its last ones are .*dense"):
        Classifier.load(f"{spec}?features=nix")


def names(keras, spec):
    return [layer.name for layer in keras.saving.load_model(spec.removeprefix("keras:"), compile=False).layers]


def test_one_sigmoid_is_two_classes_and_one_channel_is_grey(keras, save):
    L = keras.layers  # noqa: N806
    model, spec = save(L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(1, activation="sigmoid"), shape=(16, 20, 1))
    one = Classifier.load(spec)
    assert (one.form.binary, one.preprocess.grayscale, one.preprocess.size) == (True, True, (16, 20))
    found = seen(one)
    inputs = np.stack([one.preprocess(image) for image in PIXELS]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found.probs[:, 1:], model.predict(inputs, verbose=0), atol=1e-6)
    assert found.features.shape == (5, 4)


def test_heads_of_other_kinds(keras, save, caplog):
    L = keras.layers  # noqa: N806
    body = L.Conv2D(4, 3, activation="relu")
    one = Classifier.load(save(body, L.Conv2D(5, 1), L.GlobalAveragePooling2D(), L.Softmax(), name="conv")[1])
    assert (one.form.output, one.network.feature_layer.width) == ("logits", 4)
    one = Classifier.load(save(L.Flatten(), L.Dense(5, activation="sigmoid"), name="many")[1])
    assert one.form.output == "probabilities"
    assert "5 sigmoids; they are taken as classes that exclude each other" in caplog.text
    one = Classifier.load(save(L.Flatten(), L.Dropout(0.5), L.Dense(3), batch=4, name="fixed")[1])
    assert any("it is fixed to batches of 4 images" in note for note in one.notes)
    assert seen(one).features.shape == (5, 3 * SIZE**2)


def test_attention_dropout_is_replayed(keras, tmp_path):
    L = keras.layers  # noqa: N806
    images = keras.Input((SIZE, SIZE, 3))
    tokens = L.Reshape((SIZE, 3 * SIZE))(images)
    answer = L.Dense(3)(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 8, dropout=0.3)(tokens, tokens)))
    keras.Model(images, answer).save(tmp_path / "m.keras")
    one = Classifier.load(f"keras:{tmp_path / 'm.keras'}")
    assert seen(one).mc_probs.std(axis=1).max() > 0


@pytest.mark.parametrize(
    ("name", "settings"),
    [("VGG16", ("bgr", 255.0, 103.939)), ("MobileNet", ("rgb", 1.0, 0.5)), ("DenseNet121", ("rgb", 1.0, 0.485))],
)
def test_applications_are_prepared_as_their_preprocess_input_does(keras, tmp_path, name, settings):
    model = getattr(keras.applications, name)(input_shape=(32, 32, 3), weights=None, classes=3)
    model.save(tmp_path / "m.keras")
    one = Classifier.load(f"keras:{tmp_path / 'm.keras'}")
    assert (one.preprocess.channels, one.preprocess.range, one.preprocess.mean[0]) == settings
    assert "mean" in one.assumed
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    module = {"VGG16": "vgg16", "MobileNet": "mobilenet", "DenseNet121": "densenet"}[name]
    theirs = getattr(keras.applications, module).preprocess_input(pixels.astype("float32"))
    found = np.stack([one.preprocess(image) for image in pixels]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, theirs, atol=2e-4)


def test_what_can_not_be_read_is_told_in_one_line(keras, save, tmp_path):
    L = keras.layers  # noqa: N806

    class Doubled(L.Layer):
        def call(self, inputs):
            return 2 * inputs

    (tmp_path / "text.keras").write_text("no archive")
    two = [keras.Input((SIZE, SIZE, 3)) for _ in range(2)]
    keras.Model(two, L.Dense(3)(L.Flatten()(L.Add()(two)))).save(tmp_path / "two.keras")
    known = {
        save(L.Lambda(lambda x: x / 255), L.Flatten(), L.Dense(3), name="code")[1]: "code of a file is never run",
        save(Doubled(), L.Flatten(), L.Dense(3), name="own")[1]: "it has 'Doubled', which only the code of its author",
        f"keras:{tmp_path / 'text.keras'}": "is no .keras file",
        f"keras:{tmp_path}": "is no .keras file",
        f"keras:{tmp_path / 'two.keras'}": "it takes 2 inputs",
    }
    for spec, message in known.items():
        with pytest.raises(ModelError, match=message) as raised:
            Classifier.load(spec)
        assert "\n" not in str(raised.value)


def test_another_backend_is_refused(keras, save, monkeypatch):
    _, spec = save(keras.layers.Flatten(), keras.layers.Dense(3))
    other = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "tensorflow"))
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(ModelError, match="imported with the backend 'tensorflow' before"):
        Classifier.load(spec)


def test_torch_is_the_backend_whatever_the_environment_says(keras, save):
    _, spec = save(keras.layers.Flatten(), keras.layers.Dense(3))
    code = "import os, sys; from uncertainty import Classifier; Classifier.load(sys.argv[1]); "
    code += "assert os.environ['KERAS_BACKEND'] == 'tensorflow'"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", code, spec], env=environment, check=True)


def test_heat_maps_say_why_there_are_none(keras, save):
    from uncertainty.classifiers.heat_maps import heat_maps

    one = Classifier.load(save(keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D())[1])
    with pytest.raises(ModelError, match=r"no layer whose output|need gradients"):
        heat_maps(one, torch.zeros(1, 3, SIZE, SIZE).numpy(), [0])
