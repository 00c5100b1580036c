"""Three disjoint sets: told apart by content, cleaned of what can't be used, and every gap said in words."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CLASSES, SIDE, tiny_classifier, write_images
from PIL import Image
from problems import known_good, made_problem

from uncertainty.classifiers.batches import Collected, Row
from uncertainty.classifiers.look import Look
from uncertainty.combination import calibration_sets, copies
from uncertainty.combination.equal_outputs import equal_outputs
from uncertainty.combination.evidence import Shares, evidence
from uncertainty.combination.same_images import looks_of
from uncertainty.errors import CalibrationError, InputError, OverlapError
from uncertainty.estimators import create, discover
from uncertainty.images.decoding import digest
from uncertainty.images.duplicates import same_pictures
from uncertainty.images.manifests import Columns
from uncertainty.images.near_copies import near_copies
from uncertainty.images.sources import find_images
from uncertainty.images.thumbnails import thumbnail
from uncertainty.labels.images import labelled_images
from uncertainty.outputs import ModelOutputs
from uncertainty.screener import Screener


def collect(
    world, reference, calibration, *, classifier=None, damaged=False, foreign=False, views=(), asked=None, **options
):
    asked = calibration_sets.Asked(Shares(0.1 * damaged, 0.1 * foreign), **(asked or {}))
    look, classifier = Look(passes=3, **options), classifier or world.classifier
    return calibration_sets.collect(classifier, reference, calibration, look, views, asked)


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def manifest(path, rows, header="file_name,label"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def copied(world, tmp_path):
    """A calibration folder of one's own, to be damaged."""
    return shutil.copytree(world.calibration, tmp_path / "calibration")


def test_copies_are_of_some_images_drawn_by_name_where_there_are_many(world, monkeypatch):
    every = collect(world, world.reference, world.calibration, damaged=True, foreign=True)
    monkeypatch.setattr(copies, "MOST", {"damaged": 20, "foreign": 5})
    some = collect(world, world.reference, world.calibration, damaged=True, foreign=True)
    assert (len(some.calibration), len(some.damaged), len(some.foreign)) == (150, 20, 5)
    assert set(some.foreign.ids) <= set(some.damaged.ids)
    same = every.damaged.take(np.isin(every.damaged.ids, some.damaged.ids))
    np.testing.assert_allclose(some.damaged.logits, same.logits, rtol=1e-4, atol=1e-5)
    assert some.damaged.labels.tolist() == same.labels.tolist()
    other = collect(world, world.reference, world.calibration, damaged=True, seed=1)
    assert set(other.damaged.ids) != set(some.damaged.ids)


def test_outputs_of_three_sets(world):
    sets = collect(world, world.reference, world.calibration, damaged=True, foreign=True)
    assert (len(sets.reference), len(sets.calibration), len(sets.damaged), len(sets.foreign)) == (120, 150, 150, 150)
    assert sets.reference.labels is not None
    assert [CLASSES[k] for k in sets.calibration.labels] == [name.split("/")[0] for name in sets.calibration.ids]
    assert sets.damaged.ids.tolist() == sets.calibration.ids.tolist()
    assert sets.damaged.labels.tolist() == sets.calibration.labels.tolist()
    assert (sets.damaged.logits != sets.calibration.logits).any(axis=1).mean() > 0.9
    assert sets.foreign.ids.tolist() == sets.calibration.ids.tolist()
    assert sets.foreign.wrong.all()
    assert sets.notes == ()


def test_no_copies_where_none_are_wanted(world):
    sets = collect(world, world.reference, world.calibration)
    assert (sets.damaged, sets.foreign) == (None, None)


def test_ids_are_those_of_the_images_by_content(world):
    sets = collect(world, world.reference, world.calibration)
    paths = [*world.reference.rglob("*.png"), *world.calibration.rglob("*.png")]
    assert np.isin(calibration_sets.hashed(digest(path) for path in paths), sets.ids).all()
    assert len(sets.ids) == 2 * len(paths)  # of the file and of the picture
    assert sets.ids.dtype == np.uint64


def test_equal_file_names_with_other_content_are_no_overlap(world):
    names = [
        {p.relative_to(root).as_posix() for p in root.rglob("*.png")} for root in (world.reference, world.calibration)
    ]
    assert names[0] & names[1]
    sets = collect(world, world.reference, world.calibration)
    calibration_sets.refuse_overlap(sets.reference, sets.calibration, "both")


def test_the_same_image_under_another_name_is_refused_and_both_are_named(world, copied):
    shutil.copy(world.reference / "cat" / "000.png", copied / "dog" / "holiday.png")
    with pytest.raises(OverlapError) as caught:
        collect(world, world.reference, copied)
    message = one_line(caught)
    assert message.startswith("1 calibration image is in the reference too, e.g. ")
    assert f"'{copied}/dog/holiday.png' is '{world.reference}/cat/000.png'" in message


def test_one_set_is_split_into_disjoint_halves_by_the_seed(world):
    first, again, other = (collect(world, None, world.calibration, seed=seed) for seed in (0, 0, 1))
    names = [{name.removeprefix("reference:") for name in first.reference.ids}, set(first.calibration.ids)]
    assert (len(names[0]), len(names[1])) == (75, 75)
    assert not names[0] & names[1]
    assert first.reference.ids.tolist() == again.reference.ids.tolist()
    assert first.reference.ids.tolist() != other.reference.ids.tolist()
    assert first.ids.tolist() == other.ids.tolist()
    assert first.notes[0].startswith("one labelled set was given: 75 of its images became the reference")


def test_one_set_is_split_in_whole_groups(world):
    names = [path.relative_to(world.calibration).as_posix() for path in world.calibration.rglob("*.png")]
    films = {name: f"{name.split('/')[0]} film {int(name[-7:-4]) // 4}" for name in names}
    first, again, other = (
        collect(world, None, world.calibration, seed=seed, asked={"groups": films}) for seed in (0, 0, 1)
    )
    halves = [[name.removeprefix("reference:") for name in first.reference.ids], first.calibration.ids.tolist()]
    assert sorted([*halves[0], *halves[1]]) == sorted(names)
    assert not {films[name] for name in halves[0]} & {films[name] for name in halves[1]}
    assert abs(len(halves[0]) - 75) <= 4 * len(CLASSES) / 2
    assert first.reference.ids.tolist() == again.reference.ids.tolist()
    assert first.reference.ids.tolist() != other.reference.ids.tolist()
    n = len(halves[0])
    said = f"one labelled set was given: {n} of its images became the reference, the rest calibration, in whole groups"
    assert first.notes[0] == said
    assert not any("no image of" in note for note in first.notes)


def test_a_class_whose_images_are_all_of_one_group_is_named(world):
    names = [path.relative_to(world.calibration).as_posix() for path in world.calibration.rglob("*.png")]
    sets = collect(
        world, None, world.calibration, asked={"groups": {n: n if n[0] != "c" else "cat film" for n in names}}
    )
    said = "reference: no image of 1 classes, e.g. 'cat', whose groups are all in the other half; give a reference, too"
    assert said in sets.notes
    with pytest.raises(InputError, match="all labelled images are of one group"):
        collect(world, None, world.calibration, asked={"groups": dict.fromkeys(names, "film")})


def test_one_set_with_an_image_in_it_twice_is_split_all_the_same(world, copied):
    for path in sorted((copied / "cat").iterdir())[:10]:
        shutil.copy(path, path.with_name(f"copy of {path.name}"))
    sets = collect(world, None, copied, damaged=True)
    left_out = 160 - len(sets.reference) - len(sets.calibration)
    assert 0 < left_out <= 10
    counts = [int(note.split()[0]) for note in sets.notes if "were left out: the reference holds" in note]
    counts += [int(note.split()[0]) for note in sets.notes if "are copies of others" in note]
    assert sum(counts) == left_out
    assert sets.damaged.ids.tolist() == sets.calibration.ids.tolist()


def test_unreadable_images_are_left_out_and_named(world, copied):
    (copied / "cat" / "000.png").write_bytes(b"")
    (copied / "dog" / "001.png").write_bytes((copied / "dog" / "001.png").read_bytes()[:60])
    sets = collect(world, world.reference, copied, damaged=True)
    assert len(sets.calibration) == len(sets.damaged) == 148
    assert sets.notes == (
        "2 calibration images can't be read and were left out, e.g. 'cat/000.png': is empty (0 bytes)",
    )
    assert sets.damaged.ids.tolist() == sets.calibration.ids.tolist()


def test_the_damage_is_the_same_whatever_the_batch_and_the_order(world):
    first = collect(world, world.reference, world.calibration, damaged=True, batch_size=7, workers=3)
    second = collect(world, world.reference, world.calibration, damaged=True)
    assert np.abs(first.damaged.logits - second.damaged.logits).max() < 1e-4
    other = collect(world, world.reference, world.calibration, damaged=True, seed=5)
    assert np.abs(first.damaged.logits - other.damaged.logits).max() > 0.1


def test_a_flat_folder_has_no_labels_to_calibrate_on(world):
    with pytest.raises(InputError, match="has no labels") as caught:
        collect(world, world.reference, world.incoming)
    one_line(caught)


def test_arrays_have_no_labels_to_calibrate_on(world):
    with pytest.raises(InputError, match=r"give them beside the images, labels=") as caught:
        collect(world, world.reference, np.zeros((3, SIDE, SIDE, 3), np.uint8))
    one_line(caught)


def test_missing_labels_are_counted(world, copied):
    rows = [f"cat/{i:03}.png,cat" for i in range(0, 30, 3)] + ["dog/001.png,", "dog/004.png,"]
    sets = collect(world, world.reference, manifest(copied / "labels.csv", rows))
    assert len(sets.calibration) == 10
    assert "2 calibration images have no label and were left out, e.g. 'dog/001.png'" in sets.notes
    rows = [row.partition(",")[0] + "," for row in rows]
    with pytest.raises(CalibrationError, match="12 of 12 calibration images have no label") as caught:
        collect(world, world.reference, manifest(copied / "labels.csv", rows))
    one_line(caught)


def test_labels_of_which_none_is_a_class_are_refused(world, copied):
    for name in CLASSES:
        (copied / name).rename(copied / f"{name}s")
    with pytest.raises(CalibrationError) as caught:
        collect(world, world.reference, copied)
    assert "not one calibration label, e.g. 'cats', is a class of the model, e.g. 'cat'" in one_line(caught)
    assert "task=multilabel" not in one_line(caught)


def test_several_labels_for_a_model_of_one_name_the_task(world, copied):
    rows = [f"cat/{i:03}.png,cat;dog" for i in range(0, 30, 3)]
    with pytest.raises(CalibrationError, match="say task=multilabel in the model spec") as caught:
        collect(world, world.reference, manifest(copied / "labels.csv", rows))
    one_line(caught)


@pytest.mark.parametrize("folder", ["_unlabeled", "@eaDir", "train", "cat;dog", "fox"])
def test_labels_that_are_no_class_are_no_truth_and_it_is_said(world, copied, folder):
    (copied / "eel").rename(copied / folder)
    sets = collect(world, world.reference, copied, damaged=True)
    assert len(sets.calibration) == len(sets.damaged) == 100
    assert not any(name.startswith(folder) for name in sets.calibration.ids)
    assert (sets.damaged.labels == sets.calibration.labels).all()
    said = f"50 calibration labels are no class of the model and no truth, e.g. {folder!r}; where it is true, call it"
    assert f"{said} '(no known class)'" in sets.notes
    assert "1 of 3 classes, e.g. 'eel', have no calibration image" in sets.notes


def test_no_known_class_alone_is_an_error_of_the_classifier(world, copied):
    (copied / "eel").rename(copied / "(no known class)")
    sets = collect(world, world.reference, copied)
    foreign = np.array([name.startswith("(no known class)/") for name in sets.calibration.ids])
    assert foreign.sum() == 50
    assert (sets.calibration.labels[foreign] == -1).all()
    assert sets.calibration.wrong[foreign].all()


def test_case_and_unicode_form_of_folders_do_not_matter_and_it_is_said(world, copied):
    (copied / "eel").rename(copied / "EEL")
    sets = collect(world, world.reference, copied)
    assert len(sets.calibration) == 150
    assert any("in case or Unicode form alone were taken for it: 'EEL' as 'eel'" in note for note in sets.notes)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_integers_that_are_names_are_names_in_every_table(world, copied, kind):
    """The same table, with classes called 1, 2 and 3."""
    classifier = world.classifier.with_classes(("1", "2", "3"))
    names = [path.relative_to(copied).as_posix() for path in sorted(copied.rglob("*.png"))]
    labels = [1 + CLASSES.index(name.partition("/")[0]) for name in names]
    path = copied / f"labels.{kind}"
    if kind == "csv":
        manifest(path, [f"{name},{label}" for name, label in zip(names, labels, strict=True)])
    elif kind == "jsonl":
        rows = [{"file_name": name, "label": label} for name, label in zip(names, labels, strict=True)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        pq.write_table(pa.table({"file_name": names, "label": pa.array(labels, pa.float64())}), path)
    sets = collect(world, world.reference, path, classifier=classifier)
    whole = collect(world, world.reference, world.calibration)
    assert sets.calibration.wrong.sum() == whole.calibration.wrong.sum()


def test_class_names_in_another_order_are_caught(world, copied):
    for names in (("dog", "eel", "cat"), ("dog", "cat", "eel")):
        sets = collect(world, world.reference, copied, classifier=world.classifier.with_classes(names))
        assert sets.notes[0].startswith("right on ")
        assert "are the class names in the order of the model's outputs?" in sets.notes[0]
        assert "with the class names in the order cat, dog, eel it would be" in sets.notes[0]
    assert not any("in the order" in note for note in collect(world, world.reference, copied).notes)


def test_copies_in_calibration_count_once(world, copied):
    shutil.copy(copied / "cat" / "000.png", copied / "cat" / "again.png")
    Image.open(copied / "cat" / "003.png").save(copied / "cat" / "saved.bmp")
    sets = collect(world, world.reference, copied)
    assert len(sets.calibration) == 150
    assert any(
        note.startswith("2 calibration images are copies of others and were left out, e.g. 'cat/again.png' of")
        for note in sets.notes
    )


def test_one_picture_under_two_labels_is_kept_apart(world, copied):
    Image.open(copied / "cat" / "000.png").save(copied / "dog" / "other.tif")
    sets = collect(world, world.reference, copied)
    assert len(sets.calibration) == 149
    assert (
        "2 calibration images have two labels and were left out, e.g. 'cat/000.png' is 'dog/other.tif', 'cat' and 'dog'"
        in sets.notes
    )


@pytest.mark.parametrize("ending", ["bmp", "tif", "ppm", "png"])
def test_a_picture_saved_again_is_the_same_picture(world, copied, ending):
    options = {"compress_level": 0} if ending == "png" else {}
    Image.open(world.reference / "cat" / "000.png").save(copied / "dog" / f"holiday.{ending}", **options)
    with pytest.raises(OverlapError, match=rf"/dog/holiday.{ending}' is '.*/cat/000.png', saved again; p_wrong"):
        collect(world, world.reference, copied)


def test_a_fit_refuses_before_the_network_runs_or_leaves_out(world, tmp_path):
    calibration = shutil.copytree(world.calibration, tmp_path / "calibration")
    shutil.copy(world.reference / "cat" / "000.png", calibration / "dog" / "holiday.png")
    ran = []
    hook = world.classifier.network.module.register_forward_hook(lambda m, x, y: ran.append(len(x[0])))
    with pytest.raises(OverlapError, match=r"\(--drop-duplicates\)"):
        Screener.fit(world.classifier, world.reference, calibration)
    hook.remove()
    assert ran == []
    given = {"passes": 2, "expect_damage": 0, "expect_unknown": 0}
    screener = Screener.fit(world.classifier, world.reference, calibration, drop_duplicates=True, **given)
    assert screener.calibrated_on["calibration"] == 50 * len(CLASSES)
    assert any(
        note.startswith("1 calibration image was left out: the reference holds it too") for note in screener.notes
    )
    with pytest.raises(OverlapError, match="all 120 calibration images are in the reference too"):
        Screener.fit(world.classifier, world.reference, world.reference, drop_duplicates=True)


def test_what_was_compared_before_is_not_compared_again(world, copied, monkeypatch):
    shutil.copy(world.reference / "cat" / "000.png", copied / "dog" / "holiday.png")
    found = same_pictures(find_images(world.reference), find_images(copied))
    monkeypatch.setattr(calibration_sets, "same_pictures", None)
    with pytest.raises(OverlapError, match=r"holiday\.png"):
        collect(world, found.reference, copied, asked={"compared": found})
    sets = collect(world, found.reference, copied, asked={"compared": found, "drop_duplicates": True})
    assert len(sets.calibration) == 150


def test_pictures_that_look_nearly_alike_are_told(tmp_path):
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).resize((64, 64)) for _ in range(6)]
    rows = [
        Row(f"{i}.jpg", None, str(i), None, thumbnail=thumbnail(np.asarray(p)).tobytes()) for i, p in enumerate(photos)
    ]
    lighter = np.asarray(photos[0].point(lambda v: v // 2 + 60))
    rows.append(Row("6.jpg", None, "6", None, thumbnail=thumbnail(lighter).tobytes()))
    outputs = ModelOutputs(ids=[row.name for row in rows], logits=np.zeros((7, 2)))
    everything = Collected.of(outputs, rows)
    good, own = everything.take([0, 1]), everything.take([2, 3, 4, 6])
    assert near_copies(looks_of(good), looks_of(own)) == [
        "1 calibration image looks nearly like one of the reference, e.g. '6.jpg' like '0.jpg'; if they are copies, "
        "p_wrong is too low"
    ]
    assert near_copies(looks_of(everything.take([1])), looks_of(everything.take([0, 2, 6]))) == [
        "1 calibration image looks nearly like another one, e.g. '6.jpg' like '0.jpg': calibration has about 2 "
        "different pictures"
    ]


def test_what_is_odd_about_files_is_said_for_each_set(world, copied):
    (copied / "cat" / "notes.txt").write_text("x")
    (copied / "preview.png").write_bytes((copied / "cat" / "000.png").read_bytes() + b" ")
    deep = (np.asarray(Image.open(copied / "cat" / "003.png").convert("L")).astype(np.uint16)) << 4
    Image.fromarray(deep).save(copied / "cat" / "deep.png")
    notes = collect(world, world.reference, copied).notes
    assert "calibration: 1 other file was not looked at: 'cat/notes.txt'" in notes
    assert "1 calibration image has no label and was left out, e.g. 'preview.png'" in notes
    assert any(note.startswith("calibration: all 1 16-bit images stay below 4,096") for note in notes)


def test_a_class_never_seen_in_calibration_is_named(world, copied):
    shutil.rmtree(copied / "dog")
    assert collect(world, world.reference, copied).notes == ("1 of 3 classes, e.g. 'dog', have no calibration image",)


def test_several_labels_of_images(world, copied):
    """Folders say one label each, a list any number, none at all, or that nobody knows."""
    several = replace(tiny_classifier(), task="multilabel")
    names = sorted(p.relative_to(copied).as_posix() for p in copied.rglob("*.png"))
    folders = collect(world, world.reference, world.calibration, classifier=several, foreign=True)
    first = [CLASSES.index(name.split("/")[0]) for name in folders.calibration.ids]
    assert np.array_equal(folders.calibration.labels, np.eye(3)[first])
    assert not folders.foreign.labels.any()
    assert folders.labelled_reference.all()
    known = ["cat;dog", ";", "", "?cat;eel", "fox", "(no label)"]
    texts = [known[k] if k < len(known) else "cat" for k in range(len(names))]
    table = manifest(copied / "l.csv", [f"{n},{t}" for n, t in zip(names, texts, strict=True)])
    found = collect(world, world.reference, table, classifier=several)
    labels = dict(zip(found.calibration.ids.tolist(), found.calibration.labels.tolist(), strict=True))
    answers = [[1, 1, 0], [0, 0, 0], None, [-1, 0, 1], None, [0, 0, 0], [1, 0, 0]]
    assert [labels.get(name) for name in names[:7]] == answers
    assert "1 calibration image was left out: its label 'fox' is no class of the model" in found.notes
    assert any("has no label and was left out" in n and "write '(no label)' or ';'" in n for n in found.notes)
    assert any(n == "1 answer in 1 calibration image is unknown: neither yes nor no" for n in found.notes)


def test_classes_of_which_several_labels_teach_nothing(world, copied):
    several = replace(tiny_classifier(), task="multilabel")
    names = sorted(p.relative_to(copied).as_posix() for p in copied.rglob("*.png"))
    notes = collect(
        world, world.reference, manifest(copied / "l.csv", [f"{n},cat;?eel" for n in names]), classifier=several
    ).notes
    assert any(n.startswith("class 'cat' is there in every calibration image") for n in notes)
    assert any(n.startswith("class 'dog' is in no calibration image: ") for n in notes)
    assert any(n.startswith("class 'eel' is answered in no calibration image") for n in notes)


def test_a_reference_without_class_folders_has_no_labels(world, tmp_path):
    write_images(tmp_path / "flat", 12, seed=8, folders=False)
    assert collect(world, tmp_path / "flat", world.calibration).reference.labels is None
    write_images(tmp_path / "other", 12, seed=8)
    for name in CLASSES:
        (tmp_path / "other" / name).rename(tmp_path / "other" / f"{name}s")
    sets = collect(world, tmp_path / "other", world.calibration)
    assert sets.reference.labels is None
    why = "the reference has no labels that the model knows (folders cats, dogs, eels)"
    assert f"{why}: wrong images could not be left out" in sets.notes


def test_one_stray_folder_costs_the_reference_no_labels(world, tmp_path):
    shutil.copytree(world.reference, tmp_path / "r")
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(tmp_path / "r" / "x.png")
    (tmp_path / "r" / "_unlabeled").mkdir()
    (tmp_path / "r" / "x.png").rename(tmp_path / "r" / "_unlabeled" / "x.png")
    sets, plain = (collect(world, root, world.calibration) for root in (tmp_path / "r", world.reference))
    assert calibration_sets.known_good(sets.reference)[1][0].startswith(f"{plain.reference.wrong.sum()} of 121")
    assert any("1 reference image lies in no folder that is called like one class" in note for note in sets.notes)


def test_classes_of_the_reference_below_other_folders(world, tmp_path):
    shutil.copytree(world.reference, tmp_path / "train")
    sets = collect(world, tmp_path, world.calibration)
    assert (
        sets.reference.labels.tolist() == collect(world, world.reference, world.calibration).reference.labels.tolist()
    )


def test_calibration_of_several_parts_asks_which(world, tmp_path):
    shutil.copytree(world.calibration, tmp_path / "val")
    shutil.copytree(world.reference, tmp_path / "train")
    with pytest.raises(InputError, match="holds the parts train, val of a data set; say which with --split"):
        collect(world, world.reference, tmp_path)


@pytest.mark.parametrize("above", ["2024", "site 1/night", "val"])
def test_classes_of_calibration_below_other_folders(world, tmp_path, above):
    shutil.copytree(world.calibration, tmp_path / "all" / above)
    sets = collect(world, world.reference, tmp_path / "all")
    assert sorted(sets.calibration.labels.tolist()) == sorted([0, 1, 2] * 50)
    first = above.partition("/")[0]
    told = f"the first folders ({first}) are no classes: deeper ones were taken"
    assert (told in sets.notes) == (above != "val")


def test_below_the_part_that_is_asked_for_folders_may_be_positions(world, tmp_path):
    for k, name in enumerate(CLASSES):
        shutil.copytree(world.calibration / name, tmp_path / "val" / str(k))
        shutil.copytree(world.reference / name, tmp_path / "train" / str(k))
    found = labelled_images(tmp_path, Columns(split="val"))
    sets = collect(world, world.reference, found)
    assert sorted(sets.calibration.labels.tolist()) == sorted([0, 1, 2] * 50)


def test_a_reference_may_be_arrays_or_paths(world):
    paths = sorted(world.reference.rglob("*.png"))
    arrays = np.stack([np.asarray(Image.open(path)) for path in paths])
    found = [collect(world, given, world.calibration).reference for given in (arrays, paths, find_images(paths))]
    assert [len(one) for one in found] == [120] * 3
    assert np.abs(found[0].logits - found[1].logits).max() < 1e-4


def test_where_labels_tell_wrong_reference_rows_are_left_out():
    rows = made_problem(300, 1)
    good, notes = calibration_sets.known_good(rows)
    assert len(good) == int((~rows.wrong).sum()) < 300
    assert not good.wrong.any()
    assert notes == (f"{int(rows.wrong.sum())} of 300 reference rows were left out: the classifier gets them wrong",)
    unlabelled = replace(rows, labels=None)
    assert calibration_sets.known_good(unlabelled) == (unlabelled, ())
    assert calibration_sets.known_good(good) == (good, ())


def test_a_reference_of_errors_alone_is_refused():
    rows = made_problem(300, 1)
    with pytest.raises(CalibrationError, match="gets every reference row wrong"):
        calibration_sets.known_good(rows.take(rows.wrong))


def test_estimators_without_their_columns_are_off_and_named():
    bare = {"mc_probs": None, "quality": None}
    reference, calibration = replace(known_good(50, 1), **bare), replace(made_problem(60, 2), **bare)
    everything = [create(name) for name in discover()]
    fitted, notes = calibration_sets.fit_estimators(everything, reference, calibration)
    names = {one.name for one in fitted}
    assert {"mc_variance", "image_quality"}.isdisjoint(names)
    assert {"nn_distance", "trust_ratio", "margin"} <= names
    told = next(note for note in notes if note.endswith(" are off: there is no MC dropout (mc_probs)"))
    assert told.startswith("mc_mutual_information, mc_predictive_entropy")
    assert "mc_variance" in told
    assert "image_quality is off: there is no quality" in notes
    off = re.findall(r"\w+", " ".join(note.partition(" off: ")[0] for note in notes))
    # The feature posterior is left out without a word: there is an embedding, and the fused one reads the features too.
    unsaid = {one.name for one in everything} - names - set(off)
    assert unsaid == {"feature_posterior"}


def test_a_column_that_only_the_reference_lacks_is_named():
    reference = replace(known_good(50, 1), features=None)
    _, notes = calibration_sets.fit_estimators(
        [create("trust_ratio"), create("margin")], reference, made_problem(60, 2)
    )
    assert notes == ("trust_ratio is off: there is no features",)


def test_multilabel_leaves_out_the_trust_ratio_by_name():
    reference, calibration = known_good(50, 1, "multilabel"), made_problem(200, 2, "multilabel")
    fitted, notes = calibration_sets.fit_estimators([create(name) for name in discover()], reference, calibration)
    assert len(notes) == 1
    assert notes[0].endswith(" and trust_ratio are off: there is no multilabel form")
    assert "trust_ratio" not in {one.name for one in fitted}


@pytest.mark.parametrize(("errors", "enough"), [(0, False), (11, False), (12, False), (13, True), (40, True)])
def test_what_learns_from_errors_is_off_without_enough_beside_each_fold(errors, enough):
    rows = made_problem(600, 2)
    wrong, right = np.flatnonzero(rows.wrong)[:errors], np.flatnonzero(~rows.wrong)[:100]
    calibration, wanted = rows.take(np.append(wrong, right)), [create("margin"), create("delta_knn")]
    fitted, notes = calibration_sets.fit_estimators(wanted, known_good(50, 1), calibration)
    assert [one.name for one in fitted] == ["margin", "delta_knn"][: 1 + enough]
    why = f"delta_knn is off: calibration has {errors} errors, and it learns from 10 at least beside each fold"
    assert notes == (() if enough else (why,))
    # Where it is on, no fold lacks what it needs.
    evidence(fitted, calibration, (None, None), Shares(0, 0))


def test_calibration_of_errors_alone_teaches_nothing_of_errors():
    rows = made_problem(600, 2)
    calibration, wanted = rows.take(rows.wrong), [create("margin"), create("doctor")]
    _, notes = calibration_sets.fit_estimators(wanted, known_good(50, 1), calibration)
    assert notes == (
        "doctor is off: calibration has 0 correct images, and it learns from 10 at least beside each fold",
    )


def test_a_fallback_is_said():
    calibration = made_problem(600, 2)
    bare = {"mc_probs": None, "tta_probs": None, "labels": np.minimum(calibration.labels, 1)}
    two = replace(calibration, logits=calibration.logits[:, :2], **bare)
    _, notes = calibration_sets.fit_estimators([create("max_logit_pnorm")], two, two)
    assert notes == ("max_logit_pnorm: no p ranks calibration errors better than max softmax, so it is that",)


def test_without_a_usable_estimator_all_reasons_are_given():
    bare = ModelOutputs(ids=["a"], logits=[[0.0, 1.0]])
    with pytest.raises(CalibrationError, match="nn_distance is off: there is no features") as caught:
        calibration_sets.fit_estimators([create("nn_distance")], bare, bare)
    one_line(caught)
    with pytest.raises(CalibrationError, match="none was given"):
        calibration_sets.fit_estimators([], bare, bare)


def test_the_users_own_estimators_stay_as_they_were():
    mine = create("nn_distance", k=2)
    (first,), _ = calibration_sets.fit_estimators([mine], known_good(50, 1), made_problem(60, 2))
    before = first.score(made_problem(20, 3)).tolist()
    calibration_sets.fit_estimators([mine], known_good(70, 4), made_problem(60, 2))
    assert mine.learnt() == {}
    assert first.score(made_problem(20, 3)).tolist() == before


def test_an_estimator_given_twice_is_refused():
    twice = [create("nn_distance", k=1), create("nn_distance", k=5)]
    with pytest.raises(InputError, match="'nn_distance' is given twice"):
        calibration_sets.fit_estimators(twice, known_good(50, 1), made_problem(60, 2))


def test_shared_ids_are_refused_by_name():
    with pytest.raises(OverlapError, match=r"reference and calibration share 3 ids, e\.g\. '2-00057'; they must"):
        calibration_sets.refuse_overlap(
            made_problem(60, 2), made_problem(60, 2).take([57, 58, 59]), "reference and calibration"
        )
    calibration_sets.refuse_overlap(made_problem(5, 1), made_problem(5, 2), "these")


def test_hashes_are_sorted_distinct_and_tell_ids_apart():
    hashes = calibration_sets.hashed(["a", "b", "a", "naïve", "\udcff"])
    assert len(hashes) == 4
    assert (np.diff(hashes.astype(object)) > 0).all()
    assert calibration_sets.hashed([]).dtype == np.uint64


def test_views_are_chosen_on_calibration_and_the_copies_have_the_same(world):
    sets = collect(world, world.reference, world.calibration, views=("auto",), damaged=True)
    assert any(note.startswith("views that the classifier bears on calibration images: ") for note in sets.notes)
    plain = 1 - sets.calibration.wrong.mean()
    for view in np.moveaxis(sets.calibration.tta_probs, 1, 0) if sets.views else ():
        assert (view.argmax(axis=1) == sets.calibration.labels).mean() >= plain - 0.05
    if sets.views:
        assert sets.damaged.tta_probs.shape[1:] == sets.calibration.tta_probs.shape[1:]


def test_behind_auto_only_the_named_views_are_run(world):
    sets = collect(world, world.reference, world.calibration, views=("auto", "flip"), damaged=True)
    assert set(sets.views) <= {"flip"}
    for outputs in (sets.calibration, sets.damaged):
        assert (outputs.tta_probs.shape[1] if sets.views else outputs.tta_probs) == (1 if sets.views else None)


def test_outputs_of_the_same_images_under_other_ids_are_found():
    rows = made_problem(60, 3)
    other = made_problem(60, 4)
    assert equal_outputs(rows, other) == []
    renamed = replace(rows, ids=[f"again {name}" for name in rows.ids])
    with pytest.raises(OverlapError, match="60 of 60 calibration rows have the very outputs of reference rows"):
        Screener.fit_outputs(rows, renamed)
    some = ModelOutputs.concatenate([renamed.take(range(5)), other])
    assert equal_outputs(rows, some)[0].startswith("5 of 65 calibration rows have the very outputs of reference rows")


@pytest.mark.parametrize("factor", [1, 1 + 1e-6])
def test_they_are_found_in_logits_alone_and_though_another_batch_rounded_them(factor):
    rows = made_problem(60, 3)
    again = replace(rows, ids=[f"again {name}" for name in rows.ids], logits=rows.logits * factor)
    with pytest.raises(OverlapError, match="60 of 60 calibration rows"):
        equal_outputs(rows, again)
    alone = [ModelOutputs(ids=one.ids, logits=one.logits) for one in (rows, again)]
    with pytest.raises(OverlapError, match="60 of 60 calibration rows"):
        equal_outputs(*alone)
    counts = [replace(one, logits=np.round(one.logits)) for one in alone]
    assert equal_outputs(*counts) == []
    assert equal_outputs(alone[0], made_problem(60, 4)) == []


def test_references_that_say_nothing_are_refused_as_what_they_are():
    rows = made_problem(40, 3)
    with pytest.raises(CalibrationError, match="reference has no rows"):
        Screener.fit_outputs(rows.take([]), rows)
    alike = replace(made_problem(40, 4), logits=np.zeros_like(rows.logits), features=np.ones_like(rows.features))
    with pytest.raises(CalibrationError, match="answers every reference image alike; were its weights loaded"):
        Screener.fit_outputs(alike, rows)
