"""Whatever is given as images gives the same pixels and labels: lists, pictures, tensors, data sets and loaders."""

import numpy as np
import pytest
import torch
from conftest import stripes
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from uncertainty.classifiers.image_loader import load
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import InputError
from uncertainty.images.data_sets import HeldImages
from uncertainty.images.formats.base import Reading
from uncertainty.images.given import image_items
from uncertainty.images.in_memory import ArrayItem, held, label_of

PIXELS, LABELS = stripes(7, 5)
PREPROCESS = Preprocess(size=8)


def tensors(pixels=PIXELS):
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


class Endless(Dataset):
    """As many people write one: it never says where it ends, and has something at every index."""

    def __init__(self, images, labels=LABELS):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index % len(self.images)], int(self.labels[index % len(self.images)])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(tensors(), LABELS, strict=True))


class HuggingFace:
    """What `datasets.Dataset` shows of itself."""

    column_names = ("picture", "kind")

    def __init__(self):
        self.features = {
            "picture": type("Image", (), {})(),
            "kind": type("ClassLabel", (), {"names": ["a", "b", "c"]})(),
        }

    def __len__(self):
        return len(PIXELS)

    def __getitem__(self, index):
        return {"picture": Image.fromarray(PIXELS[index]), "kind": int(LABELS[index])}


def pictures():
    return [Image.fromarray(one) for one in PIXELS]


def loader(images, **options):
    return DataLoader(Endless(images), batch_size=3, **options)


SOURCES = {
    "arrays": lambda: PIXELS,
    "list of arrays": lambda: list(PIXELS),
    "pictures": pictures,
    "tensors": lambda: list(tensors()),
    "one tensor of all": tensors,
    "floats": lambda: tensors().float() / 255,
    "pairs": lambda: list(zip(pictures(), LABELS, strict=True)),
    "dictionaries": lambda: [{"image": one, "label": k} for one, k in zip(pictures(), LABELS, strict=True)],
    "data set of pictures": lambda: Endless(pictures()),
    "data set of arrays": lambda: Endless(PIXELS),
    "data set of tensors": lambda: Endless(tensors()),
    "iterable data set": Stream,
    "loader": lambda: loader(tensors()),
    "loader that makes lists": lambda: loader(pictures(), collate_fn=list),
    "loader that makes two lists": lambda: loader(
        pictures(), collate_fn=lambda rows: ([x for x, _ in rows], [k for _, k in rows])
    ),
    "loader without batches": lambda: DataLoader(Endless(tensors()), batch_size=None),
    "batches as dictionaries": lambda: loader(
        tensors(), collate_fn=lambda rows: {"image": torch.stack([x for x, _ in rows]), "label": [k for _, k in rows]}
    ),
    "Hugging Face": HuggingFace,
    "generator": lambda: (one for one in pictures()),
}
WITH_LABELS = {name for name in SOURCES if any(word in name for word in ("data set", "loader", "pairs", "dictionar"))}


def read(images, labels=None):
    return [load(item, PREPROCESS) for item in image_items(images, labels)]


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_images_from_every_source(name):
    found = read(SOURCES[name]())
    assert [one.error for one in found] == [None] * len(PIXELS)
    assert all(np.array_equal(one.inputs, PREPROCESS(pixels)) for one, pixels in zip(found, PIXELS, strict=True))
    if name in WITH_LABELS:
        assert [one.item.label for one in found] == LABELS.tolist()
    if name == "Hugging Face":
        assert [one.item.label for one in found] == ["abc"[k] for k in LABELS]


@pytest.mark.parametrize("one", [PIXELS[0], Image.fromarray(PIXELS[0]), tensors()[0], [PIXELS[0]]])
def test_one_image(one):
    (found,) = read(one)
    assert np.array_equal(found.inputs, PREPROCESS(PIXELS[0]))


def test_a_path_in_a_data_set_and_a_picture_that_is_not_loaded_are_read_as_files(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS[0]).save(path)
    whole = read(path)
    opened = Image.open(path)
    assert read([opened])[0].digest == read(Endless([str(path)]))[0].digest == whole[0].digest
    assert opened.tile  # nothing was loaded into the list of the caller
    opened.close()
    grey = read([Image.fromarray(PIXELS[0]).convert("L")])[0]
    assert grey.error is None


def test_a_picture_is_turned_as_its_file_would_be():
    picture = Image.fromarray(PIXELS[0])
    picture.getexif()[0x0112] = 3  # upside down
    assert np.array_equal(held(picture), PIXELS[0][::-1, ::-1])
    assert np.array_equal(held(picture, Reading(exif=False)), PIXELS[0])


@pytest.mark.parametrize("name", ["arrays", "pictures", "data set of tensors"])
def test_labels_beside_images(name):
    labels = ["cat", None, 2, np.int64(1), torch.tensor(0), "dog", float("nan")]
    assert [one.item.label for one in read(SOURCES[name](), labels)] == ["cat", None, 2, 1, 0, "dog", None]
    with pytest.raises(InputError, match="2 labels and 7 images"):
        image_items(SOURCES[name](), [1, 2])


def test_labels_go_along_with_a_selection():
    items = image_items(pictures(), LABELS)
    assert isinstance(items, HeldImages)
    assert [(item.name, item.label) for item in items[2:4]] == [("2", LABELS[2]), ("3", LABELS[3])]
    assert [item.name for item in items[2:].select([0, 3])] == ["2", "5"]
    assert items[-1].name == "6"


def test_an_image_that_the_data_set_can_not_give_is_a_row():
    class Damaged(Endless):
        def __getitem__(self, index):
            if index == 3:
                raise KeyError("gone")
            return super().__getitem__(index)

    found = read(Damaged(pictures()))
    assert [one.error is None for one in found] == [True] * 3 + [False] + [True] * 3
    assert "can't be had from Damaged ('gone')" in found[3].error


def test_normalised_tensors_are_refused_in_words():
    with pytest.raises(InputError, match=r"the first image of Endless is a tensor of floats from -2 to .*normalised"):
        image_items(Endless(tensors().float() / 64 - 2))
    with pytest.raises(InputError, match="normalised"):
        read(loader(tensors().float()))
    with pytest.raises(InputError, match="tensor of int64"):
        image_items(Endless(tensors().long()))
    with pytest.raises(InputError, match=r"tensor of shape \(8, 8, 3\)"):
        image_items(Endless(torch.from_numpy(PIXELS)))


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (None, "NoneType"),
        (3, "int"),
        ({"a.png": 1}, "dict"),
        ([3, 4], "int"),
        (np.zeros((2, 3)), r"ndarray of shape \(2, 3\)"),
        (np.zeros((5, 8, 8, 3)), "float64"),
        (np.zeros((5, 8, 8), bool), r"\(5, 8, 8\)"),
        (torch.zeros(3), "Tensor of shape"),
        (type("DataFrame", (), {"__len__": len, "__getitem__": len, "__iter__": iter})(), "DataFrame"),
        (type("NoLength", (), {"__getitem__": lambda self, k: k})(), "NoLength without __len__"),
        (iter(()), "yields nothing"),
    ],
)
def test_anything_else_is_one_error_that_names_it(images, named):
    with pytest.raises(InputError, match=named) as caught:
        image_items(images)
    assert "\n" not in str(caught.value)


def test_arrays_and_paths_are_not_mixed():
    with pytest.raises(InputError, match="mixes arrays and paths"):
        image_items([PIXELS[0], "a.png"])


def test_a_loader_that_fails_says_where():
    def batches():
        yield tensors()[:2], LABELS[:2]
        raise RuntimeError("the disk is gone")

    source = type("Loader", (), {"dataset": None, "batch_size": 2, "__iter__": lambda self: batches()})()
    with pytest.raises(InputError, match="Loader fails after 1 batches: the disk is gone"):
        list(image_items(source))


def test_labels_of_a_stream_come_with_it():
    with pytest.raises(InputError, match="yield"):
        image_items(Stream(), LABELS)


def test_items_are_taken_as_they_are():
    items = [ArrayItem("x", PIXELS[0], "cat")]
    assert image_items(items) is not None
    assert image_items(items)[0].name == "x"
    assert image_items(items := image_items(pictures())) is items


class Pairs(Dataset):
    """Gives whatever is asked of it, one for each position."""

    def __init__(self, give, size=5):
        self.give, self.size = give, size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return self.give(index)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_paths_and_labels_that_torch_collates_are_columns(size):
    for label in (str, int):
        loader = DataLoader(Pairs(lambda k, label=label: (f"{k}.png", label(k)), size), batch_size=2)
        found = [(item.data, item.label) for item in image_items(loader)]
        assert found == [(f"{k}.png", label(k)) for k in range(size)]
    alone = image_items(DataLoader(Pairs("{}.png".format), batch_size=2))
    assert [item.data for item in alone] == [f"{k}.png" for k in range(5)]


@pytest.mark.parametrize("labelled", [True, False])
def test_three_grey_images_in_a_batch_are_not_taken_for_a_colour(labelled):
    grey = torch.zeros((5, 8, 8))
    data = Pairs(lambda k: (grey[k], k) if labelled else grey[k])
    with pytest.raises(InputError, match=r"is Tensor of shape \(3, 8, 8\); it must be .* or \(n, 1, h, w\)"):
        list(image_items(DataLoader(data, batch_size=3)))


@pytest.mark.parametrize("batch", ["name.png", (tensors()[:3], 3), (tensors()[:3], torch.tensor(3)), None])
def test_batches_that_are_none_are_refused(batch):
    loader = DataLoader(Pairs(int), batch_size=3, collate_fn=lambda rows: batch)
    with pytest.raises(InputError, match="a batch of the loader "):
        list(image_items(loader))


def failing():
    raise OSError("the disk is gone")
    yield


class Sizeless(Pairs):
    def __len__(self):
        raise TypeError("nobody knows")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda tmp: failing(), "generator fails after 0 images: the disk is gone"),
        (lambda tmp: Sizeless(int), "Sizeless does not say how many images it has: nobody knows"),
        (lambda tmp: tensors().float().to_sparse(), "is a tensor with layout sparse_coo; give a dense one"),
        (lambda tmp: tensors().to("meta"), "is a tensor with no values"),
        (lambda tmp: "", "the path of the images is empty"),
    ],
)
def test_what_can_t_be_read_is_said_in_one_line(tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        image_items(given(tmp_path))


def test_lines_of_an_open_file_are_no_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"one\ntwo\n")
    with (tmp_path / "a.png").open("rb") as file, pytest.raises(InputError, match="the images are BufferedReader"):
        image_items(file)


@pytest.mark.parametrize(("given", "label"), [(b"cat", "cat"), (np.array(b"cat"), "cat"), (2**70, str(2**70))])
def test_labels_in_other_forms(given, label):
    assert label_of(given) == label
    assert label_of(np.array([type("NAType", (), {})()])) is None  # as pandas has it


@pytest.mark.parametrize("given", [object(), {"boxes": [1]}, len, torch.zeros(1, device="meta")])
def test_what_is_no_label_is_refused(given):
    with pytest.raises(InputError, match="a label is"):
        label_of(given)


class Folder(Pairs):
    """Lists its files, as the folders of torchvision do."""

    def __init__(self, samples, root=None):
        super().__init__(lambda k: (PIXELS[0], samples[k][1]), len(samples))
        self.samples, self.root = samples, root


def test_a_data_set_that_lists_its_files_calls_images_by_them():
    data = Folder([("in/cat/1.png", 0), ("in/dog/1.png", 1), ("in/dog/2.png", 1)], "in")
    items = image_items(data)
    assert [item.name for item in items] == items.names == ["cat/1.png", "dog/1.png", "dog/2.png"]
    assert [(item.name, item.label) for item in items[1:]] == [("dog/1.png", 1), ("dog/2.png", 1)]
    assert [k for k, _ in items.fetch(["dog/2.png", "none", "cat/1.png"])] == [2, 0]
    assert image_items(Subset(data, [2, 0])).names == ["dog/2.png", "cat/1.png"]
    assert image_items(Folder([("a/1.png", 0), ("b/1.png", 1)])).names == ["a/1.png", "b/1.png"]


def test_names_that_would_not_tell_images_apart_are_not_taken():
    same = Folder([("in/1.png", 0), ("in/1.png", 1)], "in")
    assert image_items(same).names == ["0", "1"]
    assert image_items(Subset(Folder([("1.png", 0), ("2.png", 1)]), [1, 1])).names == ["0", "1"]
    assert image_items(Folder([(PIXELS[0], 0), (PIXELS[1], 1)])).names == ["0", "1"]
