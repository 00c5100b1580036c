"""A saved screener is data: complete, sealed, the same bits again, and every damage is an error of one line."""

import json

import numpy as np
import pytest
from problems import known_good, made_problem

from screener.sealing import arrays_file, arrays_of, edited, sealed_again
from uncertainty.errors import ArtifactError
from uncertainty.estimators import create
from uncertainty.screener import Screener, artifact
from uncertainty.screener.artifact import MANIFEST, Manifest, SavedEstimator, SavedModel

KEYS = {
    Manifest: "arrays arrays_file calibrated_on cascade combiner decision decisions estimators format_version "
    "history model notes passes seal seed views",
    SavedModel: "answers classes embedder embedder_answers embedder_runtime embedder_source preprocess runtime sha256 "
    "source spec steady table task thresholds",
    SavedEstimator: "arguments arrays name numbers",
}
NAMES = ("nn_distance", "trust_ratio", "image_quality", "logit_gap")


@pytest.fixture(scope="module")
def screener():
    return Screener.fit_outputs(known_good(150, 1), made_problem(400, 2))


@pytest.fixture
def saved(screener, tmp_path):
    screener.save(tmp_path / "screener")
    return tmp_path / "screener"


def refused(folder):
    with pytest.raises(ArtifactError) as caught:
        Screener.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fitted(names=NAMES):
    return [create(name).fit(known_good(60, 1)) for name in names]


def test_the_folder_holds_two_files_and_no_pickle(saved):
    assert sorted(path.name for path in saved.iterdir()) == [arrays_file(saved).name, MANIFEST]
    json.loads((saved / MANIFEST).read_text(encoding="utf-8"))
    assert arrays_of(saved)
    header = arrays_file(saved).read_bytes()[8:200]
    assert header.startswith(b"{")
    assert b"pickle" not in arrays_file(saved).read_bytes()


def test_equal_arrays_are_stored_once(saved):
    arrays = arrays_of(saved)
    contents = [(array.shape, array.tobytes()) for name, array in arrays.items()]
    assert len(set(contents)) == len(contents)
    estimators = {one["name"]: one for one in json.loads((saved / MANIFEST).read_text())["estimators"]}
    assert estimators["trust_ratio"]["arrays"] == estimators["nn_distance"]["arrays"]
    assert estimators["nn_distance"]["arrays"]["vectors_"] == "nn_distance.vectors_"


def test_unpack_undoes_pack():
    estimators, new = fitted(), made_problem(50, 5)
    saved, arrays = artifact.pack(estimators)
    back = artifact.unpack(saved, arrays)
    assert [one.name for one in back] == list(NAMES)
    for before, after in zip(estimators, back, strict=True):
        assert after.arguments() == before.arguments()
        assert after.score(new).tobytes() == before.score(new).tobytes()


def test_pack_leaves_numbers_in_the_manifest_and_keeps_arguments():
    estimator = create("nn_distance", k=2).restore({"count_": np.int64(3), "flag_": True, "x_": np.arange(2)})
    (saved,), arrays = artifact.pack([estimator])
    assert saved.arguments == {"k": 2, "approximate": None}
    assert saved.numbers == {"count_": 3, "flag_": True}
    assert type(saved.numbers["count_"]) is int
    assert list(arrays) == ["nn_distance.x_"]


def test_equal_numbers_of_another_type_or_shape_are_not_equal_arrays():
    one = create("nn_distance").restore({"a_": np.zeros(4, np.int32), "b_": np.zeros(4, np.float32)})
    two = create("trust_ratio").restore({"a_": np.zeros((2, 2), np.float32), "b_": np.zeros(4, np.float32)})
    saved, arrays = artifact.pack([one, two])
    assert len(arrays) == 3
    assert saved[1].arrays == {"a_": "trust_ratio.a_", "b_": "nn_distance.b_"}


def test_arrays_of_any_shape_and_layout_come_back(tmp_path):
    arrays = {
        "scalar": np.array(3.5),
        "empty": np.empty((0, 4), np.float32),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "cut": np.arange(10)[::2],
        "hashes": np.array([0, 2**64 - 1], np.uint64),
    }
    artifact.write(tmp_path, manifest(), arrays)
    _, back = artifact.read(tmp_path)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert (back[name] == array).all()


def manifest():
    model = SavedModel(classes=["Größe", "NA"], task="multiclass")
    return Manifest(
        model=model,
        estimators=[],
        combiner={},
        decision={"threshold": 0.1 + 0.2},
        passes=0,
        seed=2**40,
        calibrated_on={"errors": 3},
        notes=["naïve"],
    )


def test_a_manifest_that_lacks_what_a_later_release_has_to_say_is_read(tmp_path):
    artifact.write(tmp_path, manifest(), {"x": np.zeros(1)})
    sealed_again(tmp_path, model={"classes": ["Größe", "NA"], "task": "multiclass"})
    back, _ = artifact.read(tmp_path)
    assert back.model == manifest().model


def test_a_manifest_comes_back_to_the_last_bit(tmp_path):
    artifact.write(tmp_path, manifest(), {"x": np.zeros(1)})
    back, _ = artifact.read(tmp_path)
    assert back.model_copy(update={"arrays": {}, "arrays_file": "", "seal": ""}) == manifest()
    assert "Größe" in (tmp_path / MANIFEST).read_text(encoding="utf-8")


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
def test_a_cut_manifest_is_refused(saved, keep):
    text = (saved / MANIFEST).read_text()
    (saved / MANIFEST).write_text(text[: keep if keep in (0, 1) else int(len(text) * keep)])
    assert "is not valid JSON" in refused(saved)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"null", b"[]", b'"text"', b"3", b"{}"])
def test_another_manifest_is_refused(saved, content):
    (saved / MANIFEST).write_bytes(content)
    refused(saved)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"threshold": "high"}, "'threshold'"),
        ({"threshold": None}, "'threshold'"),
        ({"seed": 1.5}, "'seed'"),
        ({"notes": "one"}, "'notes'"),
        ({"estimators": {}}, "'estimators'"),
        ({"estimators": [{"name": "margin"}]}, "'estimators.0.arguments'"),
        ({"model": {"classes": ["a"], "task": "regression"}}, "'model.task'"),
        ({"model": {"classes": ["a"], "task": "multiclass", "more": 1}}, "'model.more'"),
        ({"extra": 1}, "'extra'"),
    ],
)
def test_a_wrong_type_or_an_extra_key_is_named(saved, changes, named):
    assert f"is damaged at {named}" in refused(edited(saved, **changes))


def test_a_missing_key_is_named(saved):
    content = json.loads((saved / MANIFEST).read_text())
    del content["combiner"]
    (saved / MANIFEST).write_text(json.dumps(content))
    assert "is damaged at 'combiner'" in refused(saved)


@pytest.mark.parametrize("version", [0, 2, "4", 4.0, True, None])
def test_another_format_version_is_refused(saved, version):
    said = refused(edited(saved, format_version=version))
    assert f"has format version {version!r}; this release reads 4" in said


def test_a_newer_release_is_named_whatever_keys_it_has(saved):
    said = refused(edited(saved, format_version=5, a_new_key=1))
    assert "was written by a newer release, with format version 5; this one reads up to 4: upgrade uncertainty" in said


def test_an_artifact_of_the_format_before_is_read_and_saved_as_the_present_one(screener, saved):
    before = Screener.load(sealed_again(saved, format_version=3))
    assert before.id == screener.id
    before.save(saved)
    assert json.loads((saved / MANIFEST).read_text())["format_version"] == artifact.FORMAT_VERSION


def test_no_key_is_new_without_another_format_version():
    """A release that lacks a key refuses it; where the version is the same too, it says that the file is damaged."""
    assert artifact.FORMAT_VERSION == 4
    assert {kind: " ".join(sorted(kind.model_fields)) for kind in KEYS} == KEYS


def test_a_missing_file_is_named(saved):
    arrays_file(saved).unlink()
    assert f"{arrays_file(saved).name} is damaged or of another screener: [Errno 2]" in refused(saved)
    (saved / MANIFEST).unlink()
    assert "holds no manifest.json" in refused(saved)


def test_a_folder_that_is_not_there_is_no_screener(tmp_path):
    assert "holds no manifest.json" in refused(tmp_path / "nothing")


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: d[:-1] + b"\x01"])
def test_damaged_arrays_are_refused(saved, damage):
    data = arrays_file(saved).read_bytes()
    arrays_file(saved).write_bytes(damage(data))
    assert "is damaged or of another screener" in refused(saved)


def test_arrays_of_another_screener_are_refused(saved, tmp_path):
    Screener.fit_outputs(known_good(160, 8), made_problem(300, 9)).save(tmp_path / "other")
    arrays_file(saved).write_bytes(arrays_file(tmp_path / "other").read_bytes())
    assert "is damaged or of another screener" in refused(saved)


def test_arrays_that_are_no_safetensors_are_refused(saved):
    arrays_file(saved).write_bytes(b"not safetensors")
    assert "is damaged or of another screener: its header would end at" in refused(saved)


def test_a_missing_array_is_named(saved):
    arrays = arrays_of(saved)
    del arrays["nn_distance.vectors_"]
    assert "lacks the array 'nn_distance.vectors_'" in refused(sealed_again(saved, arrays))


def test_an_estimator_or_argument_of_another_release_is_named(saved):
    content = json.loads((saved / MANIFEST).read_text())
    first = content["estimators"][0]
    assert "'laplace'" in refused(sealed_again(saved, estimators=[first | {"name": "laplace"}]))
    assert "'depth'" in refused(sealed_again(saved, estimators=[first | {"arguments": {"depth": 3}}]))


def test_a_write_that_fails_leaves_the_old_screener(screener, saved):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(TypeError):
        artifact.write(saved, manifest().model_copy(update={"calibrated_on": {"x": object()}}), {"x": np.zeros(1)})
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
