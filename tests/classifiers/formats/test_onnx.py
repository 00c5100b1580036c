"""ONNX files: the same verdicts as the module, and what a graph tells of input, outputs, features and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.classifiers.formats import conformance
from uncertainty import Classifier
from uncertainty.classifiers.export_model import export_model
from uncertainty.classifiers.heat_maps import heat_maps
from uncertainty.errors import ModelError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
helper, array = onnx.helper, onnx.numpy_helper.from_array
FLOAT = onnx.TensorProto.FLOAT
RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.normal(size=(12, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
X = RNG.normal(size=(5, 3, 2, 2)).astype(np.float32)
LOGITS = X.reshape(5, 12) @ WEIGHT + BIAS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network as `export-model` writes it."""
    path = tmp_path_factory.mktemp("onnx") / "m.onnx"
    assert export_model(conformance.classifier(), path) == ()
    return path


def test_what_was_exported_is_a_whole_model_spec(exported: Path) -> None:
    one = Classifier.load(f"onnx:{exported}")
    conformance.check_same_verdicts(one)
    assert (one.preprocess, one.assumed) == (conformance.PREPROCESS, ())


def test_batches_of_any_size_give_the_same(exported: Path) -> None:
    one = Classifier.load(f"onnx:{exported}")
    for batch_size in (1, 7, 60):
        conformance.check_same_verdicts(one, batch_size=batch_size)


def without(path: Path, *outputs: str, batch: int | None = None) -> Path:
    """Write a file as another exporter would: no metadata of ours, without these outputs, with a fixed batch."""
    model = onnx.load(path)
    del model.metadata_props[:]
    kept = [one for one in model.graph.output if one.name not in outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    if batch:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    other = path.with_name(f"{len(outputs)}-{batch}.onnx")
    onnx.save(model, other)
    return other


@pytest.mark.parametrize("batch", [None, 1, 7])
def test_features_are_the_input_of_the_last_layer_and_batches_may_be_fixed(
    exported: Path, tmp_path: Path, batch: int | None
) -> None:
    (tmp_path / "classes.txt").write_text("\n".join(conformance.CLASSES), "utf-8")
    plain = without(exported, "features", batch=batch)
    one = Classifier.load(f"onnx:{plain}?{conformance.KEYS}&classes={tmp_path / 'classes.txt'}")
    conformance.check_same_verdicts(one, batch_size=32)


def test_fingerprints_see_weights_beside_the_file_settings_and_outputs(exported: Path, tmp_path: Path) -> None:
    sums = set()
    for factor in (1, 1.01):
        model = onnx.load(exported)
        for tensor in model.graph.initializer:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
            if values.dtype == np.float32:
                tensor.CopyFrom(array(values, tensor.name))
        onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
        sums.add(Classifier.load(f"onnx:{tmp_path / 'm.onnx'}").sha256)
    bare = without(exported)
    for keys in ("", "?crop_pct=0.9", "?features=features"):
        sums.add(Classifier.load(f"onnx:{bare}{keys}").sha256)
    assert len(sums) == 5
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"has its weights in 'm.data', which does not lie beside it"):
        Classifier.load(f"onnx:{tmp_path / 'm.onnx'}")


def made(path: Path, *ends: Any, shape: Any = ("n", 3, 2, 2), outputs: Any = None, **options: Any) -> Path:
    """Write a linear network of pixels: nodes that end in `h`, a layer from `h` to `z`, and these nodes."""
    before = options.pop("before", [helper.make_node("Flatten", ["images"], ["h"])])
    nodes = [*before, helper.make_node("Gemm", ["h", "w", "b"], ["z"]), *ends]
    last = [(nodes[-1].output[0], ["n", 3])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", options.pop("kind", FLOAT), shape), *options.pop("inputs", [])],
        [helper.make_tensor_value_info(name, FLOAT, sides) for name, sides in outputs or last],
        [
            array(WEIGHT, "w"),
            array(BIAS, "b"),
            *options.pop("tensors", []),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", options.pop("opset", 20))], ir_version=10)
    helper.set_model_props(model, options.pop("metadata", {}))
    onnx.save(model, path)
    return path


def node(kind: str, given: str, gives: str, **attributes: Any) -> Any:
    return helper.make_node(kind, given.split(), gives.split(), **attributes)


def answers(path: Path, keys: str = "", x: Any = X) -> Any:
    one = Classifier.load(f"onnx:{path}?size=2{keys}")
    return one, one.outputs_from_inputs([str(k) for k in range(len(x))], x)


def softmax(z: Any) -> Any:
    return np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("ends", "output"),
    [
        ([node("Softmax", "z", "logits", axis=1)], "probabilities"),
        ([node("Softmax", "z", "s", axis=1), node("Identity", "s", "y")], "probabilities"),
        ([node("LogSoftmax", "z", "probabilities", axis=1)], "logits"),
        ([node("Identity", "z", "probabilities")], "logits"),
    ],
)
def test_the_last_node_tells_logits_from_probabilities_and_no_name(tmp_path: Path, ends: Any, output: str) -> None:
    one, found = answers(made(tmp_path / "m.onnx", *ends))
    assert one.form.output == output
    np.testing.assert_allclose(found.probs, softmax(LOGITS), atol=1e-6)
    np.testing.assert_array_equal(found.features, X.reshape(5, 12))


def test_one_sigmoid_is_two_classes(tmp_path: Path) -> None:
    one = [array(WEIGHT[:, :1], "u")]
    ends = [node("MatMul", "h u", "t"), node("Sigmoid", "t", "p")]
    made(tmp_path / "m.onnx", *ends, tensors=one, outputs=[("p", ["n", 1])])
    p = 1 / (1 + np.exp(-X.reshape(5, 12) @ WEIGHT[:, :1]))
    np.testing.assert_allclose(answers(tmp_path / "m.onnx")[1].probs, np.concatenate([1 - p, p], axis=1), atol=1e-6)


def test_scores_are_found_among_outputs(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    prob = node("Softmax", "z", "p", axis=1)
    for outputs in ([("h", ["n", 12]), ("z", ["n", 3])], [("z", ["n", 3]), ("p", ["n", 3])]):
        one, found = answers(made(path, prob, outputs=outputs))
        assert one.form.output == "logits"
        np.testing.assert_allclose(found.logits, LOGITS, atol=1e-5)
        np.testing.assert_array_equal(found.features, X.reshape(5, 12))
    other = [prob, node("Neg", "z", "o"), node("Softmax", "o", "q", axis=1)]
    made(path, *other, outputs=[("p", ["n", 3]), ("q", ["n", 3])])
    with pytest.raises(ModelError, match="several outputs of scores; say output_name= and one of p, q"):
        answers(path)
    np.testing.assert_allclose(answers(path, "&output_name=q")[1].probs, softmax(-LOGITS), atol=1e-6)
    with pytest.raises(ModelError, match="output_name='r' is no output of it; it has p, q"):
        answers(path, "&output_name=r")


def test_features_may_be_named(tmp_path: Path) -> None:
    before = [node("Relu", "images", "r"), node("Flatten", "r", "h")]
    np.testing.assert_array_equal(
        answers(made(tmp_path / "m.onnx", before=before), "&features=r")[1].features, X.clip(0).mean((2, 3))
    )
    with pytest.raises(ModelError, match="features='q' is no tensor of it; its last ones are r, h, z"):
        answers(tmp_path / "m.onnx", "&features=q")


@pytest.mark.parametrize(
    ("shape", "before", "x"),
    [
        (("n", 2, 2, 3), [node("Flatten", "images", "h")], X.transpose(0, 3, 1, 2)),
        (("n", 4, 3), [node("Flatten", "images", "h")], X.reshape(5, 1, 4, 3)),
        ((None, 12), [node("Identity", "images", "h")], X.reshape(5, 1, 4, 3)),
        (("n", 3, "h", "w"), [node("Flatten", "images", "h")], X),
    ],
)
def test_inputs_are_known_by_their_shape(tmp_path: Path, shape: Any, before: Any, x: Any) -> None:
    made(tmp_path / "m.onnx", shape=shape, before=before)
    given = X.reshape(5, 2, 2, 3).transpose(0, 3, 1, 2) if shape[-1] == 3 and len(shape) == 4 else x
    keys = "&size=4x3&grayscale=true" if x.shape[1] == 1 else ""
    np.testing.assert_allclose(answers(tmp_path / "m.onnx", keys, given)[1].logits, LOGITS, atol=1e-5)


def test_bytes_and_half_precision(tmp_path: Path) -> None:
    cast = [node("Flatten", "images", "f"), node("Cast", "f", "h", to=FLOAT)]
    made(tmp_path / "u.onnx", before=cast, kind=onnx.TensorProto.UINT8)
    one = Classifier.load(f"onnx:{tmp_path / 'u.onnx'}")
    pixels = RNG.integers(0, 256, (5, 2, 2, 3), np.uint8)
    expected = pixels.transpose(0, 3, 1, 2).reshape(5, 12) @ WEIGHT + BIAS
    np.testing.assert_allclose(one.run(list(pixels)).logits, expected, rtol=1e-5)
    assert one.preprocess.range == 255
    made(tmp_path / "h.onnx", before=cast, kind=onnx.TensorProto.FLOAT16)
    np.testing.assert_allclose(answers(tmp_path / "h.onnx")[1].logits, LOGITS, atol=0.02)


def test_dropout_as_in_training_is_left_out_and_said(tmp_path: Path) -> None:
    tensors = [array(np.array(v), n) for n, v in (("p", np.float32(0.5)), ("on", True))]
    before = [node("Flatten", "images", "f"), node("Dropout", "f p on", "h")]
    one, found = answers(made(tmp_path / "m.onnx", before=before, tensors=tensors))
    np.testing.assert_allclose(found.logits, LOGITS, atol=1e-5)
    assert found.mc_probs is None
    assert any("has dropout as in training, which is left out" in note for note in one.notes)
    plain, _ = answers(made(tmp_path / "m.onnx"))
    assert any("exported for evaluation, an ONNX file has none" in note for note in plain.notes)


def test_class_names_come_from_metadata(tmp_path: Path) -> None:
    made(tmp_path / "m.onnx", metadata={"names": "{0: 'cat', 1: 'dog', 2: 'eel'}"})
    assert answers(tmp_path / "m.onnx")[0].classes == ("cat", "dog", "eel")
    made(tmp_path / "m.onnx", metadata={"names": '["cat", "dog"]'})
    with pytest.raises(ModelError, match="3 outputs and 2 class names"):
        answers(tmp_path / "m.onnx")


def linear_classifier(path: Path, transform: str, zip_map: bool) -> Path:
    """Write what skl2onnx makes of a logistic regression, whose scores are called probabilities either way."""
    domain = {"domain": "ai.onnx.ml"}
    names = {"classlabels_strings": ["cat", "dog", "eel"]}
    options = {"coefficients": WEIGHT.T.ravel(), "intercepts": BIAS, "post_transform": transform, **names, **domain}
    nodes = [node("LinearClassifier", "X", "label probabilities", **options)]
    nodes += [node("ZipMap", "probabilities", "output_probability", **names, **domain)] if zip_map else []
    label = helper.make_tensor_value_info("label", onnx.TensorProto.STRING, [None])
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(onnx.TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))
    )
    scores = helper.make_value_info("output_probability", maps)
    plain = helper.make_tensor_value_info("probabilities", FLOAT, [None, 3])
    given = [helper.make_tensor_value_info("X", FLOAT, [None, 12])]
    graph = helper.make_graph(nodes, "g", given, [label, scores if zip_map else plain])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.mark.parametrize("zip_map", [True, False])
@pytest.mark.parametrize(("transform", "output"), [("SOFTMAX", "probabilities"), ("NONE", "logits")])
def test_classifiers_of_scikit_learn(tmp_path: Path, zip_map: bool, transform: str, output: str) -> None:
    one, found = answers(linear_classifier(tmp_path / "m.onnx", transform, zip_map), "&layout=nchw")
    assert (one.form.output, one.classes) == (output, ("cat", "dog", "eel"))
    np.testing.assert_allclose(found.probs, softmax(LOGITS), atol=1e-5)
    with pytest.raises(ModelError, match="say layout=nhwc or nchw, how they were laid out"):
        answers(tmp_path / "m.onnx")


def refused(path: Path, keys: str = "") -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(f"onnx:{path}{keys}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "keys", "said"),
    [
        ({"shape": (3, 2, 2)}, "", "its input has the shape (3, 2, 2), with no axis for the images of a batch"),
        ({"inputs": [helper.make_tensor_value_info("i", FLOAT, [1])]}, "", "it has 2 inputs (images, i)"),
        ({"kind": onnx.TensorProto.INT64}, "", "its input is of int64; it must be one of float32"),
        ({"outputs": [("z", [3])]}, "", "none of its outputs has scores of shape (n, classes): z (3)"),
        ({"opset": 99}, "", "its opset 99 or IR version 10 is newer than it knows; export it with an older"),
        ({}, "?size=3", "it takes images of 2x2 (height x width), and these are 3x3; leave size= away"),
        ({}, "?grayscale=true", "it takes images of 3 channels, and these have 1"),
        ({}, "?autocast=bf16", "autocast is for networks that torch runs; onnxruntime runs"),
        ({}, "?layout=nwhc", "layout is 'nwhc'; it must be one of nchw, nhwc"),
        ({}, "?wat=1", "unknown keys ['wat']; known are layout, output"),
    ],
)
def test_what_can_not_be_read_is_refused_in_one_line(tmp_path: Path, options: Any, keys: str, said: str) -> None:
    assert said in refused(made(tmp_path / "m.onnx", **options), keys)


def test_files_that_are_none(tmp_path: Path) -> None:
    made(tmp_path / "m.onnx", node("Wobble", "z", "y"))
    assert refused(tmp_path / "m.onnx").endswith("it does not know the operator Wobble")
    (tmp_path / "m.onnx").write_bytes(b"no graph")
    assert "is no ONNX file, or a damaged one" in refused(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"")
    assert "is empty, so it is no file of ONNX" in refused(tmp_path / "m.onnx")
    assert "is a folder; name a file of ONNX in it" in refused(tmp_path)
    assert "there is no" in refused(tmp_path / "n.onnx")


def test_other_devices_are_named_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Classifier.load(f"onnx:{made(tmp_path / 'm.onnx')}", device="cuda:7")
    assert "onnxruntime runs" in caplog.text
    assert caplog.text.rstrip().endswith("on the CPU, not on cuda:7")
    np.testing.assert_allclose(one.outputs_from_inputs(list("abcde"), X).logits, LOGITS, atol=1e-5)
    with pytest.raises(ModelError, match="another library runs this network"):
        export_model(one, tmp_path / "n.onnx")


def test_there_are_no_heat_maps_without_gradients(tmp_path: Path) -> None:
    one = Classifier.load(f"onnx:{made(tmp_path / 'm.onnx')}")
    with pytest.raises(ModelError, match="heat maps need gradients, and onnxruntime runs this network"):
        heat_maps(one, X, [0] * 5)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_tiles_of_many_bands(tmp_path: Path, layout: str) -> None:
    last = layout == "nhwc"
    shape = ("n", 2, 2, 5) if last else ("n", 5, 2, 2)
    weight = array(RNG.normal(size=(20, 3)).astype(np.float32), "w5")
    nodes = [helper.make_node("Flatten", ["images"], ["f"]), helper.make_node("MatMul", ["f", "w5"], ["z"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", FLOAT, shape)],
        [helper.make_tensor_value_info("z", FLOAT, ("n", 3))],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), tmp_path / "m.onnx")
    one = Classifier.load(f"onnx:{tmp_path / 'm.onnx'}?std=0.5")
    assert (one.preprocess.channels, one.preprocess.mean, one.preprocess.std) == (5, (0.0,) * 5, (0.5,) * 5)
    tile = np.arange(20, dtype=np.uint8).reshape(2, 2, 5)
    given = tile / 255 / 0.5 if last else tile.transpose(2, 0, 1) / 255 / 0.5
    expected = given.reshape(1, 20) @ onnx.numpy_helper.to_array(weight)
    np.testing.assert_allclose(one.run(tile, passes=0).logits, expected, atol=1e-5)
