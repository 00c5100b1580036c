"""Who a Keras model was wrong about: its real thing where Keras is installed, stand-ins everywhere."""

import importlib
import os

import numpy as np
import pytest

from uncertainty import Outcomes
from uncertainty.errors import InputError

CLASSES = ["a", "b", "c"]

# What Keras says of its own way to NumPy, on torch.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Model:
    """Answers as Keras models do: batches of NumPy to NumPy."""

    def __init__(self, outputs=3, *, logits=False):
        self.weights = np.random.default_rng(0).normal(size=(4, outputs))
        self.logits = logits

    def predict_on_batch(self, x):
        z = x @ self.weights
        if self.logits:
            return z
        return np.exp(z) / np.exp(z).sum(1, keepdims=True) if z.shape[1] > 1 else 1 / (1 + np.exp(-z))


class Sequence:
    """A keras PyDataset of old: it is counted, and has no end of its own."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, k):
        return self.batches[k % len(self.batches)]


def data(n=20):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 4)), rng.integers(0, 3, n)


def batches(x, *others, size=8):
    return [tuple(one[i : i + size] for one in (x, *others)) for i in range(0, len(x), size)]


def test_labels_and_probabilities_of_the_misclassified():
    x, y = data()
    p = Model().predict_on_batch(x)
    found = Outcomes.from_tf(batches(x, y), Model(), output="probabilities", classes=CLASSES)
    wrong = np.flatnonzero(p.argmax(1) != y)
    listed = found.misclassified()
    assert listed["file_name"].to_pylist() == [str(k) for k in wrong]
    assert listed["label"].to_pylist() == [CLASSES[k] for k in y[wrong]]
    assert np.allclose(listed["prob_b"], p[wrong, 1])


@pytest.mark.parametrize("form", [lambda y: y[:, None], lambda y: np.eye(3)[y], lambda y: y.astype(np.float32)])
def test_labels_in_columns_and_one_hot(form):
    x, y = data()
    found = Outcomes.from_tf(batches(x, form(y)), Model(), output="probabilities")
    assert np.array_equal(found.truth, y)


def test_logits_are_said_and_any_callable_answers():
    x, y = data()
    one = Outcomes.from_tf(Sequence(batches(x, y)), Model(logits=True), output="logits")
    other = Outcomes.from_tf(batches(x, y), Model().predict_on_batch, output="probabilities")
    assert np.allclose(one.probs, other.probs)


def test_one_output_is_a_yes_or_no_answer():
    x, y = data()
    p = Model(1).predict_on_batch(x)[:, 0]
    for model, output in ((Model(1), "probabilities"), (Model(1, logits=True), "logits")):
        found = Outcomes.from_tf(batches(x, (y > 0)[:, None]), model, output=output, classes=["no", "yes"])
        assert np.allclose(found.probs, np.stack([1 - p, p], axis=1))
        assert np.array_equal(found.wrong, (p > 0.5) != (y > 0))


def test_names_of_bytes_and_several_labels():
    x, y = data()
    names = np.array([f"{k}.png".encode() for k in range(20)])
    assert Outcomes.from_tf(batches(x, y, names), Model(), output="probabilities").names[3] == "3.png"
    several = Outcomes.from_tf(batches(x, np.eye(3)[y]), Model(logits=True), output="logits", task="multilabel")
    assert np.array_equal(several.truth, np.eye(3)[y])


class Endless(list):
    def cardinality(self):
        return -1


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (Endless(batches(*data())), {}, r"never ends; leave out repeat\(\)"),
        (batches(*data(), np.ones(20)), {}, "third of each batch is float64; give"),
        ([data()[0]], {}, "yields ndarray; it must yield"),
        ([], {}, "no batch"),
        (batches(*data()), {"output": "scores"}, "output is 'scores'; say whether"),
        (batches(data()[0], np.full((20, 3), 1)), {}, "neither positions nor one-hot"),
    ],
)
def test_what_is_refused(dataset, options, message):
    with pytest.raises(InputError, match=message):
        Outcomes.from_tf(dataset, Model(), **{"output": "probabilities", **options})


def test_logits_given_as_probabilities_are_refused():
    with pytest.raises(InputError, match="not logits"):
        Outcomes.from_tf(batches(*data()), Model(logits=True), output="probabilities")


@pytest.fixture
def keras():
    """Keras on torch, unless it runs on another engine already; without it these tests are left out."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("keras")
    return importlib.import_module("keras")


def network(keras, activation):
    layers = keras.layers
    body = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *body, layers.Dense(3, activation=activation)])


@pytest.mark.parametrize(("activation", "output"), [("softmax", "probabilities"), (None, "logits")])
def test_a_keras_model_without_its_dropout(keras, activation, output):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 8, 8, 3)).astype("float32"), rng.integers(0, 3, 60)
    model = network(keras, activation)
    found = Outcomes.from_tf(batches(x, y), model, output=output)
    assert np.array_equal(found.wrong, model.predict(x, verbose=0).argmax(1) != y)
    again = Outcomes.from_tf(batches(x, y), model, output=output)
    assert np.array_equal(found.probs, again.probs)


def test_a_keras_dataset(keras):
    class Images(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, k):
            return np.full((4, 8, 8, 3), k, "float32"), np.arange(4) % 3

    assert len(Outcomes.from_tf(Images(), network(keras, "softmax"), output="probabilities")) == 12


def test_a_dataset_of_tensorflow(keras):
    tensorflow = pytest.importorskip("tensorflow")
    x, y = np.random.default_rng(0).normal(size=(20, 8, 8, 3)).astype("float32"), np.arange(20) % 3
    dataset = tensorflow.data.Dataset.from_tensor_slices((x, y)).batch(8)
    model = network(keras, "softmax")
    found = Outcomes.from_tf(dataset, model, output="probabilities")
    assert np.allclose(found.probs, model.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(InputError, match="never ends"):
        Outcomes.from_tf(dataset.repeat(), model, output="probabilities")
