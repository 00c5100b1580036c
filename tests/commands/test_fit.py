"""`uncertainty fit`: what it fills in, what the user got wrong, models and calibration sets at the edge."""

import shutil
from contextlib import nullcontext

import pytest
from conftest import CLASSES, write_images
from PIL import Image

from commands.command_lines import FIT, SPEC, fit_arguments
from uncertainty.commands import fit as fit_command
from uncertainty.screener import Screener
from uncertainty.verdicts import Verdicts


def test_fit_without_reference_splits_and_says_so(run, world, tmp_path):
    status, out, err = run("fit", "--model", SPEC, "--calibration", world.calibration, "-o", tmp_path / "s", *FIT)
    assert status == 0
    assert "note: one labelled set was given: 75 of its images became the reference" in err
    assert "calibrated on 75 images" in out


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("unknown", ["0", "0.01"])
def test_the_progress_of_a_fit_ends_at_its_total(run, world, tmp_path, monkeypatch, reference, unknown):
    totals, done = [], []

    def counted(what, total):
        totals.append(total)
        return nullcontext(done.append)

    monkeypatch.setattr(fit_command, "shown_progress", counted)
    given = {} if reference else {"reference": None}
    arguments = fit_arguments(world, tmp_path / "s", **given)
    assert run(*arguments, "--expect-unknown", unknown)[0] == 0
    assert totals == [sum(done)]


def test_second_opinion_and_views_from_fit_to_screen(run, world, tmp_path):
    arguments = fit_arguments(world, tmp_path / "s")
    status, _, err = run(*arguments, "--embedder", "user_models:plain", "--tta", "flip")
    assert status == 0, err
    assert "note: second opinion: gains" in err
    assert "note: views: gains" in err
    status, _, err = run("screen", str(tmp_path / "s"), str(world.incoming), "-o", str(tmp_path / "o"))
    assert status == 0, err
    names = Verdicts.read(tmp_path / "o").table.column_names
    assert {"est_second_opinion_vote", "est_tta_variance"} <= set(names)
    status, _, err = run(*arguments, "--tta", "mirror")
    assert (status, err.count("\n")) == (1, 1)
    assert "there is no view 'mirror'" in err


def test_a_precision_is_asked_for_once(run, fails, world, tmp_path):
    fit = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration, *FIT)
    assert run(*fit, "--autocast", "bf16", "-o", tmp_path / "s")[0] == 0
    assert Screener.load(tmp_path / "s").model.spec.endswith("&autocast=bf16")
    assert run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out")[0] == 0
    said = fails("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "out", "--model", SPEC)
    assert "precision differ" in said


def test_a_screener_from_before_there_was_a_draft_decodes_at_full_size(run, fails, world, tmp_path):
    fit = ("fit", "--reference", world.reference, "--calibration", world.calibration, *FIT, "-o", tmp_path / "s")
    assert run(*fit, "--model", f"{SPEC}&draft=0")[0] == 0
    assert "draft" not in Screener.load(tmp_path / "s").model.preprocess
    out = ("-o", tmp_path / "out")
    assert run("screen", tmp_path / "s", world.incoming, *out, "--model", SPEC)[0] == 0


def test_a_cascade_with_nothing_deeper_says_so(run, world, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    status, _, err = run(*arguments, *FIT, "--cascade", "-o", tmp_path)
    assert status == 0
    assert "note: there is no cascade: nothing here costs more than one pass" in err


def test_an_unknown_view_is_an_error_of_one_line(fails, world, tmp_path):
    arguments = ("fit", "--model", SPEC, "--reference", world.reference, "--calibration", world.calibration)
    assert "there is no view 'mirror'" in fails(*arguments, *FIT, "--tta", "mirror", "-o", tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("user_models", "is not of the form package.module:factory"),
        ("no_such_module:tiny", "can't import 'no_such_module'"),
        ("user_models:missing", "module 'user_models' has no function 'missing'"),
        ("user_models:broken", "user_models:broken() fails: no such layer"),
        ("user_models:number", "user_models:number() returns int"),
        ("user_models:tiny?weight=a", "model spec has unknown keys ['weight']"),
        ("user_models:tiny?size=big", "size='big'"),
        ("user_models:tiny?weights=missing.safetensors", "missing.safetensors does not exist"),
        ("user_models:tiny?weights=text.safetensors", "is of another kind, or damaged"),
        ("user_models:tiny?weights=half.safetensors", "does not fit the model"),
        ("user_models:four?weights=weights.safetensors", "does not fit the model"),
    ],
)
def test_a_wrong_model(fails, world, tmp_path, spec, message):
    assert message in fails(*fit_arguments(world, tmp_path / "s", model=spec))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("names", ["cat\ndog\n", "cat\ndog\neel\nfox\n"])
def test_class_names_that_do_not_match_the_outputs(fails, world, tmp_path, names):
    (tmp_path / "classes.txt").write_text(names, "utf-8")
    message = fails(*fit_arguments(world, tmp_path / "s", classes=tmp_path / "classes.txt"))
    assert f"the model has 3 outputs and {len(names.split())} class names were given" in message


def test_class_names_that_are_others_than_the_labels(fails, world, tmp_path):
    spec = SPEC.replace("tiny", "renamed")
    message = fails(*fit_arguments(world, tmp_path / "s", model=spec))
    assert "not one calibration label, e.g. 'cat', is a class of the model, e.g. 'Katze'" in message


@pytest.mark.parametrize("which", ["reference", "calibration"])
def test_missing_and_empty_folders(fails, world, tmp_path, which):
    assert "does not exist" in fails(*fit_arguments(world, tmp_path / "s", **{which: tmp_path / "gone"}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.txt").write_text("", "utf-8")
    message = fails(*fit_arguments(world, tmp_path / "s", **{which: tmp_path / "empty"}))
    assert "holds no image; looked for files ending in .jpg .png .webp .tif .dcm and " in message
    assert len(message) < 300 + len(str(tmp_path))
    assert "found 1 other file such as 'readme.txt'" in message


def test_calibration_without_labels(fails, world, tmp_path):
    assert "has no labels" in fails(*fit_arguments(world, tmp_path / "s", calibration=world.incoming))


def test_the_same_images_twice(fails, world, tmp_path):
    message = fails(*fit_arguments(world, tmp_path / "s", reference=world.calibration))
    assert "150 calibration images are in the reference too" in message


def test_what_is_in_both_sets_is_left_out_where_asked_for_and_answers_are_kept_where_told(run, fails, world, tmp_path):
    calibration = shutil.copytree(world.calibration, tmp_path / "calibration")
    shutil.copy(world.reference / "cat" / "000.png", calibration / "dog" / "holiday.png")
    arguments = fit_arguments(world, tmp_path / "s", calibration=calibration)
    assert f"'{calibration}/dog/holiday.png' is '{world.reference}/cat/000.png'" in fails(*arguments)
    with Image.open(world.reference / "cat" / "003.png") as picture:
        picture.point(lambda v: v // 2 + 40).save(calibration / "dog" / "lighter.png")
    cache = tmp_path / "answers"
    assert "two answers" in fails(*arguments, "--cache", cache, "--no-cache")
    status, out, err = run(*arguments, "--drop-duplicates", "--cache", cache)
    assert (status, out.splitlines()[0].endswith("is that what you know of it?")) == (0, True)
    assert "note: 1 calibration image was left out: the reference holds it too" in err
    assert err.count("nearly like one of the reference") == 1, "it is said before the network runs, and not again"
    assert list(cache.glob("??/*.safetensors"))


def test_only_unreadable_calibration_images(fails, world, tmp_path):
    (tmp_path / "c" / "cat").mkdir(parents=True)
    (tmp_path / "c" / "cat" / "a.png").write_bytes(b"no image")
    assert "not one of 1 images can be read" in fails(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))


def test_an_output_that_is_a_file(fails, world, fitted, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    message = fails(*fit_arguments(world, tmp_path / "file"))
    assert f"{tmp_path / 'file'} is a file; choose another place" in message
    assert f"File exists: {tmp_path / 'file'}" in fails("screen", fitted, world.incoming, "-o", tmp_path / "file")


def test_a_model_without_dropout_and_linear_layer_says_so_and_goes_on(run, world, tmp_path):
    status, _, err = run(*fit_arguments(world, tmp_path / "s", model="user_models:plain"))
    assert status == 0
    assert "the model calls no dropout" in err
    assert "nn_distance and trust_ratio are off" in err
    assert run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")[0] == 0
    names = Verdicts.read(tmp_path / "o").table.column_names
    assert not [name for name in names if name.startswith(("est_mc", "est_nn"))]


def sorted_by_prediction(world, folder, n, seed):
    """n images in the folders of the classes that the classifier takes them for: a set without errors."""
    outputs = world.classifier.run(write_images(folder / "raw", n, seed, folders=False), passes=0)
    for name, k in zip(outputs.ids, outputs.predictions, strict=True):
        (folder / "set" / CLASSES[k]).mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "raw" / str(name), folder / "set" / CLASSES[k] / str(name))
    return folder / "set"


def test_calibration_without_errors(run, world, tmp_path):
    calibration = sorted_by_prediction(world, tmp_path, 60, seed=21)
    status, out, err = run(*fit_arguments(world, tmp_path / "s", calibration=calibration))
    assert status == 0
    assert "60 images with 0 errors" in out
    assert "note: calibration has 0 errors, fewer than 10" in err
    status, out, err = run("screen", tmp_path / "s", world.incoming, "-o", tmp_path / "o")
    assert status == 0
    assert "fewer than 10" not in out + err, "said once, by fit"
    p_wrong = Verdicts.read(tmp_path / "o").table["p_wrong"].to_numpy()
    assert ((p_wrong >= 0) & (p_wrong <= 1)).all()


def test_a_class_that_calibration_never_saw(run, world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "c", ignore=shutil.ignore_patterns("eel"))
    status, _, err = run(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))
    assert status == 0
    assert "note: 1 of 3 classes, e.g. 'eel', have no calibration image" in err


def test_calibration_labels_that_the_model_does_not_know(run, world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "c")
    (tmp_path / "c" / "eel").rename(tmp_path / "c" / "yak")
    status, _, err = run(*fit_arguments(world, tmp_path / "s", calibration=tmp_path / "c"))
    assert status == 0
    assert "50 calibration labels are no class of the model and no truth, e.g. 'yak'" in err
