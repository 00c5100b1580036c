"""Files with many images inside: WebDataset tars, arrays of MedMNIST, Parquet files of several parts."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from uncertainty.errors import InputError
from uncertainty.images.decoding import decode
from uncertainty.images.sources import find_images


def png(shade):
    stream = io.BytesIO()
    Image.new("L", (2, 2), shade).save(stream, "PNG")
    return stream.getvalue()


def tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        for name, data in files.items():
            data = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def shades(images):
    return [int(decode(item.data).pixels[0, 0, 0]) for item in images]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_a_tar_of_webdataset(tmp_path, ending):
    files = {"a/1.cls": " cat\n", "a/1.png": png(1), "x.y.png": png(2), "x.y.cls": "7", "j.png": png(3)}
    files |= {"j.json": json.dumps({"label": "dog"}), "n.png": png(4), ".hidden.png": png(5), "n.txt": "a caption"}
    images = find_images(tar(tmp_path / f"s.{ending}", files))
    assert images.names == ("a/1.png", "x.y.png", "j.png", "n.png")
    assert images.labels == ("cat", "7", "dog", None)
    assert shades(images) == [1, 2, 3, 4]
    assert shades(images.select([1, 3])) == [2, 4]
    assert shades(images.select([2]).cut([0])) == [3]


def test_several_tars_of_one_folder_are_one_set(tmp_path):
    for k in range(3):
        tar(tmp_path / f"s-{k}.tar", {"0.png": png(2 * k), "0.cls": "cat", "1.png": png(2 * k + 1), "1.cls": "dog"})
    images = find_images(tmp_path)
    assert images.names == tuple(f"s-{k}/{i}.png" for k in range(3) for i in range(2))
    assert shades(images) == list(range(6))
    assert shades(images.select([1, 4]).cut([0, 1])) == [1, 4]
    assert images.labels == ("cat", "dog") * 3
    assert images.splits is None


def test_a_tar_of_class_folders(tmp_path):
    images = find_images(tar(tmp_path / "s.tar", {"./cat/1.png": png(1), "./dog/1.png": png(2)}))
    assert images.labels is None
    assert images.labelled().labels == ("cat", "dog")


def test_damaged_and_other_tars(tmp_path):
    whole = tar(tmp_path / "s.tar", {"0.png": png(0), "1.png": png(1)}).read_bytes()
    for length in (512 + 30, 1024 + 60, 1024 + 512 + 30):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"can't be read as a tar file"):
            find_images(tmp_path / "cut.tar")
    with pytest.raises(InputError, match="is neither an image"):
        find_images(tar(tmp_path / "texts.tar", {"a.txt": "x"}))
    (tmp_path / "not.tar.gz").write_bytes(gzip.compress(b"hello"))
    with pytest.raises(InputError, match=r"can't be read as a tar file"):
        find_images(tmp_path / "not.tar.gz")


def medmnist(path, colour, several):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 4), ("val", 2), ("test", 3)):
        shape = (n, 5, 6, 3) if colour else (n, 5, 6)
        arrays[f"{part}_images"] = rng.integers(0, 256, shape, np.uint8)
        labels = np.eye(4, dtype=np.uint8)[np.arange(n)] if several else np.arange(n, dtype=np.uint8)[:, None]
        arrays[f"{part}_labels"] = labels
    np.savez_compressed(path, **arrays)
    return arrays


@pytest.mark.parametrize("colour", [True, False])
def test_arrays_of_medmnist(tmp_path, colour):
    arrays = medmnist(tmp_path / "a.npz", colour, several=False)
    images = find_images(tmp_path / "a.npz")
    assert images.names[4:6] == ("val/0000000", "val/0000001")
    assert images.labels == (0, 1, 2, 3, 0, 1, 0, 1, 2)
    assert images.splits == ("train",) * 4 + ("val",) * 2 + ("test",) * 3
    whole = [arrays[f"{part}_images"][i] for part, n in (("train", 4), ("val", 2), ("test", 3)) for i in range(n)]
    for rows in (range(9), (1, 3, 4, 8)):
        for item, expected in zip(images.select(list(rows)), [whole[row] for row in rows], strict=True):
            assert (decode(item.data).pixels == (expected if colour else expected[:, :, None])).all()


def test_several_labels_of_an_array_are_joined(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        test_images=np.zeros((3, 2, 2), np.uint8),
        test_labels=np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]]),
    )
    assert find_images(tmp_path / "a.npz").labels == ("column 1 of 3;column 3 of 3", "column 2 of 3", "(no label)")


@pytest.mark.parametrize(
    "images", [np.zeros((2, 2, 2), bool), np.zeros((2, 2), np.uint8), np.zeros((2, 0, 2, 4), np.uint8)]
)
def test_other_arrays_are_refused(tmp_path, images):
    np.savez(tmp_path / "a.npz", train_images=images)
    with pytest.raises(InputError, match=r"images are numbers of shape \(n, h, w\) or \(n, h, w, 3\)"):
        find_images(tmp_path / "a.npz")


def test_parts_of_a_hugging_face_folder_are_told_apart(tmp_path):
    for part, n in (("train-00000-of-00001", 2), ("test-00000-of-00001", 1)):
        column = [{"bytes": png(i), "path": f"{part}{i}.png"} for i in range(n)]
        pq.write_table(pa.table({"image": column, "label": [0] * n}), tmp_path / f"{part}.parquet")
    assert find_images(tmp_path).splits == ("test", "train", "train")


def test_a_parquet_column_of_plain_bytes(tmp_path):
    pq.write_table(pa.table({"image": [png(1), png(2)], "label": ["cat", "dog"]}), tmp_path / "a.parquet")
    images = find_images(tmp_path / "a.parquet")
    assert images.names == ("a/0000000", "a/0000001")
    assert shades(images) == [1, 2]
    assert images.labels == ("cat", "dog")


def test_absolute_paths_of_datasets_become_names_below_what_they_share(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(png(1))
    rows = [{"bytes": None, "path": str(tmp_path / "cat" / "1.png")}, {"bytes": None, "path": str(tmp_path / "b.png")}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    images = find_images(tmp_path / "a.parquet")
    assert images.names == ("cat/1.png", "b.png")
    assert decode(next(iter(images)).data).pixels[0, 0, 0] == 1


def test_what_is_sent_to_another_process_is_found_from_any_folder(tmp_path, monkeypatch):
    images = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    np.savez(tmp_path / "small.npz", train_images=images, train_labels=np.zeros((3, 1), np.uint8))
    monkeypatch.chdir(tmp_path)
    portion = find_images(Path("small.npz")).cut([1, 2])
    monkeypatch.chdir(tmp_path.parent)
    assert len([item.data for item in portion]) == 2
