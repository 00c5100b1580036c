import json
import pickle

import pytest

from uncertainty.classifiers.class_names import names_in_order, read_class_names
from uncertainty.errors import InputError, ModelError
from uncertainty.labels.by_name import read_labels


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def filled(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_labels_of_a_table(tmp_path):
    path = written(tmp_path, "a.csv", "filename,label\nx/1.jpg,01\n2.jpg,\n3.jpg,dog\n3.jpg,dog\n")
    assert read_labels(path) == {"x/1.jpg": "01", "3.jpg": "dog"}
    assert read_labels(written(tmp_path, "a.jsonl", '{"file_name": "a", "label": 3}\n')) == {"a": "3"}


def test_labels_of_class_folders_with_and_without_the_folder(tmp_path):
    filled(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "dog/mon/3.jpg")
    assert read_labels(tmp_path) == {
        "cat/1.jpg": "cat",
        "dog/1.jpg": "dog",
        "dog/2.jpg": "dog",
        "dog/mon/3.jpg": "dog",
        "2.jpg": "dog",
        "mon/3.jpg": "dog",
    }


def test_a_whole_name_wins_over_a_shortened_one(tmp_path):
    filled(tmp_path, "a/b/1.jpg", "b/1.jpg")
    assert read_labels(tmp_path) == {"a/b/1.jpg": "a", "b/1.jpg": "b", "1.jpg": "b"}


def test_labels_of_a_folder_with_metadata(tmp_path):
    filled(tmp_path, "1.jpg", "2.jpg")
    written(tmp_path, "metadata.csv", "file_name,label\n2.jpg,dog\n")
    assert read_labels(tmp_path) == {"2.jpg": "dog"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("file_name,klass\na,b\n", "has no column label; it has 'file_name', 'klass'"),
        ("name,label\na,b\n", "it has 'name', 'label'"),
        ("file_name,label\n", "has no rows"),
        ("file_name,label\na,\nb,\n", "names 2 images and labels none"),
        ("file_name,label\na,cat\nb,cat\na,dog\n", "gives 'a' two labels, 'cat' and 'dog'"),
    ],
)
def test_bad_label_tables(tmp_path, content, expected):
    with pytest.raises(InputError) as caught:
        read_labels(written(tmp_path, "a.csv", content))
    assert expected in str(caught.value)


def test_no_labels_to_be_had(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_labels(tmp_path / "none.csv")
    with pytest.raises(InputError, match="has no labels"):
        read_labels(filled(tmp_path, "1.jpg"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "cat\nbig dog\r\nkäse\n\n"),
        ("a.txt", "\ufeffcat\nbig dog\nkäse"),
        ("a.json", ["cat", "big dog", "käse"]),
        ("a.json", {"2": "käse", "0": "cat", "1": "big dog"}),
        ("config.json", {"model_type": "vit", "id2label": {"0": "cat", "1": "big dog", "2": "käse"}}),
        ("config.json", {"architecture": "resnet18", "label_names": ["cat", "big dog", "käse"]}),
    ],
)
def test_class_names(tmp_path, name, content):
    assert read_class_names(written(tmp_path, name, content)) == ("cat", "big dog", "käse")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "", "'' as the name of class 0"),
        ("a.txt", "cat\n\ndog\n", "'' as the name of class 1"),
        ("a.txt", "cat\ndog\ncat\n", "the class 'cat' twice"),
        ("a.json", "[", "is not valid JSON"),
        ("a.json", [], "no class names"),
        ("a.json", [1, 2], "1 as the name of class 0"),
        ("a.json", "3", "holds int"),
        ("a.json", {"0": "cat", "2": "dog"}, "without a gap; it has the keys '0', '2'"),
        ("a.json", {"model_type": "vit"}, "it has the keys 'model_type'"),
        ("a.json", {"label_names": 7}, "holds int"),
        ("a.csv", "cat", "is not a file of class names"),
    ],
)
def test_bad_class_names(tmp_path, name, content, expected):
    path = written(tmp_path, name, content)
    with pytest.raises(InputError) as caught:
        read_class_names(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_pickles_and_foreign_text_are_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(["cat"]))
    with pytest.raises(InputError, match="pickle"):
        read_class_names(tmp_path / "a.pkl")
    (tmp_path / "a.txt").write_bytes("käse".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_class_names(tmp_path / "a.txt")
    with pytest.raises(InputError, match="can't be read"):
        read_class_names(tmp_path / "none.txt")


@pytest.mark.parametrize("table", [{"b": 1, "a": 0, "c": 2}, {1: "b", 0: "a", 2: "c"}, {"1": "b", "2": "c", "0": "a"}])
def test_tables_are_read_by_position_and_not_as_they_are_written(table):
    assert names_in_order(table, 3) == ("a", "b", "c")
    assert names_in_order({"1": 0, "2": 1, "0": 2}, 3) == ("1", "2", "0")


@pytest.mark.parametrize("names", ["abc", {"a", "b", "c"}, 3, {"a": 0, "b": 2, "c": 3}, {0: "a", 1: "b", 3: "c"}])
def test_what_has_no_order_is_refused(names):
    with pytest.raises(ModelError, match=r"the class names are .*; give a list in the order of the outputs"):
        names_in_order(names, 3)


def test_half_characters_are_no_name() -> None:
    with pytest.raises(ModelError, match="holds half a character, which no table can hold"):
        names_in_order(["cat", "\ud83d"], 2)
    assert names_in_order(["cat", "\U0001f600"], 2) == ("cat", "\U0001f600")
