"""What was changed and sealed again is refused where no fit gives it; what a verdict depends on is in the id."""

import json
from copy import deepcopy

import numpy as np
import pytest
from problems import known_good, made_problem

from screener.sealing import arrays_file, arrays_of, edited, sealed_again
from uncertainty.errors import ArtifactError
from uncertainty.screener import Screener
from uncertainty.screener.artifact import MANIFEST


@pytest.fixture(scope="module")
def screener():
    return Screener.fit_outputs(known_good(150, 1), made_problem(300, 2))


@pytest.fixture
def saved(screener, tmp_path):
    screener.save(tmp_path / "screener")
    return tmp_path / "screener"


def content(folder):
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def refused(folder):
    with pytest.raises(ArtifactError) as caught:
        Screener.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_id_on_disk_is_the_one_in_memory(screener, saved):
    back = Screener.load(saved)
    assert back.id == screener.id == Screener.of(back).id
    assert content(saved)["seal"]


def turned(manifest):
    manifest["estimators"] = manifest["estimators"][::-1]


def exchanged(manifest):
    (quality,) = [one for one in manifest["estimators"] if one["name"] == "image_quality"]
    quality["arrays"]["below_"], quality["arrays"]["above_"] = quality["arrays"]["above_"], quality["arrays"]["below_"]


def more_neighbours(manifest):
    (nearest,) = [one for one in manifest["estimators"] if one["name"] == "nn_distance"]
    nearest["numbers"]["k_"] = 5


def other_policy(manifest):
    manifest["decision"]["lines"][0]["threshold"] = 0.25


def other_weight(manifest):
    weights = manifest["combiner"]["experts"]["clean"]["weights"]
    weights[0] += 0.5


def other_views(manifest):
    manifest["views"] = ["flip"]


@pytest.mark.parametrize("change", [turned, exchanged, more_neighbours, other_policy, other_weight, other_views])
def test_an_edited_manifest_is_refused_and_sealed_again_has_another_id(screener, saved, change):
    manifest = content(saved)
    change(manifest)
    assert "its seal is broken" in refused(edited(saved, **manifest))
    sealed_again(saved, **manifest)
    try:
        assert Screener.load(saved).id != screener.id
    except ArtifactError as error:
        assert "is of the estimators" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("name", ["nn_distance.vectors_", "image_quality.median_", "held_out", "fitted_on"])
def test_a_changed_array_is_refused_and_sealed_again_has_another_id(screener, saved, name):
    arrays = arrays_of(saved)
    arrays[name] = arrays[name].copy()
    flat = arrays[name].reshape(-1)
    flat[0] = flat[0] + flat.dtype.type(1e-3 if flat.dtype.kind == "f" else 1)
    data = arrays_file(saved).read_bytes()
    sealed_again(saved, arrays)
    assert Screener.load(saved).id != screener.id
    sealed = arrays_file(saved).read_bytes()
    arrays_file(saved).write_bytes(data)
    assert f"the hash of {name!r} is not the manifest's" in refused(saved)
    assert len(sealed) == len(data)


def at(*path, value):
    def change(manifest):
        place = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def estimator(name, part, key, value):
    def change(manifest):
        (one,) = [one for one in manifest["estimators"] if one["name"] == name]
        one[part][key] = value

    return change


def doubled(manifest):
    manifest["estimators"].append(manifest["estimators"][0])


def one_missing(manifest):
    manifest["estimators"].pop()


CLEAN = ("combiner", "experts", "clean")
DAMAGE = {
    "threshold not a number": (at("decision", "lines", 0, "threshold", value="a"), "a threshold is 'a'"),
    "threshold below": (at("decision", "lines", 0, "threshold", value=-0.1), "a threshold is -0.1"),
    "threshold above": (at("decision", "lines", 0, "threshold", value=2), "a threshold is 2"),
    "threshold missing": (at("decision", "lines", 0, "threshold", value=None), "a threshold is None"),
    "no lines": (at("decision", "lines", value=[]), "its policy has 0 lines"),
    "a line of no class": (at("decision", "lines", 0, "classes", value=[99]), "its policy has 1 lines"),
    "no such policy": (at("decision", "policy", "kind", value="luck"), ""),
    "policy of text": (at("decision", "policy", "target", value="much"), ""),
    "weights beyond": (at(*CLEAN, "weights", 0, value=1e308), "out of range"),
    "weights of text": (at(*CLEAN, "intercept", value="x"), ""),
    "spread 0": (at("combiner", "basis", "spreads", 0, value=0), "a spread that is not above 0"),
    "scale": (at("combiner", "basis", "scales", 0, value="cubic"), "scales"),
    "fewer weights": (at(*CLEAN, "weights", value=[0.0]), ""),
    "no clean expert": (at("combiner", "experts", value={}), ""),
    "other names": (at("combiner", "names", value=["margin"]), ""),
    "passes": (at("passes", value=10**9), "passes is 1000000000"),
    "negative passes": (at("passes", value=-1), "passes is -1"),
    "seed": (at("seed", value=-1), "seed is -1"),
    "calibrated on nothing": (at("calibrated_on", value={}), "calibrated_on has None as 'calibration'"),
    "calibrated on text": (at("calibrated_on", "errors", value="few"), "calibrated_on has 'few' as 'errors'"),
    "doubled": (doubled, "one is there twice"),
    "one missing": (one_missing, "combiner is of the estimators"),
    "classes twice": (at("model", "classes", value=["a", "a", "b", "c"]), "not each of its own"),
    "no classes": (at("model", "classes", value=[]), "its classes are none"),
    "k too large": (estimator("nn_distance", "numbers", "k_", 10**6), "looks for 1000000 neighbours among"),
    "k none": (estimator("nn_distance", "numbers", "k_", 0), "looks for 0 neighbours"),
    "k of text": (estimator("nn_distance", "numbers", "k_", "x"), "is damaged at 'estimators."),
    "a method": (estimator("nn_distance", "numbers", "score", 1), "is damaged at 'estimators."),
    "a private name": (estimator("nn_distance", "numbers", "__class__", 1), "is damaged at 'estimators."),
    "an absent array": (estimator("nn_distance", "arrays", "vectors_", "nothing"), "lacks the array 'nothing'"),
    "an array of another": (estimator("nn_distance", "arrays", "vectors_", "held_out"), "nn_distance"),
    "arguments": (estimator("nn_distance", "arguments", "k", "many"), ""),
    "cascade of text": (at("cascade", value={"x": 1}), "cascade is damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_numbers_and_names_that_no_fit_gives_are_refused(saved, kind):
    change, said = DAMAGE[kind]
    manifest = content(saved)
    change(manifest)
    assert said in refused(sealed_again(saved, **manifest))


def kept_as(folder, name):
    """The key of an array; estimators that learnt the same share one."""
    estimator, _, learnt = name.partition(".")
    known = {one["name"]: one["arrays"] for one in content(folder)["estimators"]}
    return known.get(estimator, {}).get(learnt, name)


def zeroed(array):
    array[:] = 0


def set_to(value):
    def change(array):
        array.reshape(-1)[0] = value

    return change


ARRAYS = {
    "zeroed vectors": ("nn_distance.vectors_", zeroed, "not of length 1"),
    "a vector that is no number": ("nn_distance.vectors_", set_to(np.nan), "not finite"),
    "an infinite vector": ("nn_distance.vectors_", set_to(np.inf), "not finite"),
    "classes too large": ("nn_distance.classes_", set_to(10**9), "classes that are not those"),
    "classes below": ("nn_distance.classes_", set_to(-7), "classes that are not those"),
    "p_wrong above 1": ("held_out", set_to(3), "out of range"),
    "condition": ("held_out.facts", lambda array: array.__setitem__(1, 9), "that there are not"),
    "predicted": ("held_out.predicted", set_to(99), "that there are not"),
    "temperature": ("baseline.temperature", set_to(0), "temperature of the baseline is 0.0"),
    "temperature not a number": ("baseline.temperature", set_to(np.nan), "not finite"),
    "confidence": ("baseline.confidence", set_to(7), "the baseline rows are out of range"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_no_fit_gives_are_refused(saved, kind):
    name, change, said = ARRAYS[kind]
    arrays, name = deepcopy(arrays_of(saved)), kept_as(saved, name)
    change(arrays[name])
    assert said in refused(sealed_again(saved, arrays))


SHAPES = {
    "integer vectors": ("nn_distance.vectors_", lambda a: a.astype(np.int32)),
    "flat vectors": ("nn_distance.vectors_", lambda a: a.ravel()),
    "fewer vectors": ("nn_distance.vectors_", lambda a: a[:-1]),
    "no vectors": ("nn_distance.vectors_", lambda a: a[:0]),
    "classes unsorted": ("nn_distance.classes_", lambda a: a[::-1].copy()),
    "more columns": ("held_out.scores", lambda a: np.concatenate([a, a], axis=1)),
    "seven columns": ("held_out", lambda a: a[:, :7]),
    "three rows": ("held_out", lambda a: np.concatenate([a, a[:1]])),
    "flat facts": ("held_out.facts", lambda a: a.ravel()),
    "baseline cut": ("baseline.p_wrong", lambda a: a[:-1]),
    "baseline of another rank": ("baseline.scores", lambda a: a.ravel()),
    "no temperature": ("baseline.temperature", lambda a: a[:0]),
    "names that are none": ("known_good", lambda a: np.frombuffer(b"{", np.uint8)),
    "names of numbers": ("known_good", lambda a: np.frombuffer(b"[1, 2]", np.uint8)),
    "a dictionary of names": ("known_good", lambda a: np.frombuffer(b'{"a": 1}', np.uint8)),
    "names nested deep": ("known_good", lambda a: np.frombuffer(b"[" * 100_000, np.uint8)),
    "hashes of floats": ("fitted_on", lambda a: a.astype(np.float64)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_arrays_of_another_shape_or_kind_are_refused(saved, kind):
    name, change = SHAPES[kind]
    arrays, name = arrays_of(saved), kept_as(saved, name)
    refused(sealed_again(saved, {**arrays, name: change(arrays[name])}))


def header(text, body=b""):
    data = text if isinstance(text, bytes) else json.dumps(text).encode()
    return len(data).to_bytes(8, "little") + data + body


ONE = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 16,
        header(b"a"),
        header([]),
        header({"x": 3}),
        header(b"[" * 200_000),
        header(b'{"a":' * 200_000),
        header({"x": ONE | {"data_offsets": [10**15, 10**15 + 8]}}, b"\0" * 8),
        header({"x": ONE | {"shape": [10**15]}}, b"\0" * 8),
        header({"x": ONE | {"shape": ["a"]}}, b"\0" * 8),
        header({"x": ONE | {"shape": [-1]}}, b"\0" * 8),
        header({"x": ONE | {"dtype": "F7"}}, b"\0" * 8),
        header({"x": ONE | {"dtype": ["F64"]}}, b"\0" * 8),
        header({"x": ONE | {"data_offsets": [0]}}, b"\0" * 8),
        header({"x": ONE | {"data_offsets": "08"}}, b"\0" * 8),
        header({"x": ONE}, b"\0" * 9),
        header({"x": ONE}, b"\0" * 8),
    ],
)
def test_files_of_arrays_that_are_none_are_refused(saved, data):
    arrays_file(saved).write_bytes(data)
    assert "is damaged or of another screener" in refused(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        '{"format_version": 4, "x": NaN}',
        '{"format_version": 4, "passes": Infinity}',
        '{"format_version": 4, "passes": 1e999}',
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"format_version": 4}',
        '{"format_version": 4, "model": ' + "[" * 500 + "]" * 500 + "}",
        "9" * 5000,
    ],
)
def test_manifests_that_are_none_are_refused(saved, text):
    (saved / MANIFEST).write_text(text)
    refused(saved)


@pytest.mark.parametrize("name", ["../arrays.safetensors", "/etc/passwd", "manifest.json", "", "arrays-x.safetensors"])
def test_a_manifest_names_no_file_of_others(saved, name):
    assert "is no file of a screener" in refused(sealed_again(saved, arrays_file=name))
