import io
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from uncertainty.errors import ImageError, InputError
from uncertainty.images.decoding import decode
from uncertainty.images.packed import is_packed
from uncertainty.images.packed_text import Numbered
from uncertainty.images.sources import find_images


def png(shade):
    stream = io.BytesIO()
    Image.new("L", (2, 2), shade).save(stream, "PNG")
    return stream.getvalue()


def shard(path, n=10, column="img", start=0, paths=None, labels=None, names=None, rows_in_group=4):
    images = [{"bytes": png(start + i), "path": f"{start + i}.png" if paths is None else paths[i]} for i in range(n)]
    columns = {column: pa.array(images, pa.struct({"bytes": pa.binary(), "path": pa.string()}))}
    if labels is not None:
        columns["label"] = pa.array(labels)
    table = pa.table(columns)
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=rows_in_group)
    return path


def shades(images):
    return [int(decode(item.data).pixels[0, 0, 0]) for item in images]


@pytest.mark.parametrize("column", ["img", "image"])
def test_names_labels_and_pixels(tmp_path, column):
    images = find_images(shard(tmp_path / "dev.parquet", column=column, labels=list(range(10))))
    assert images.names == tuple(f"{i}.png" for i in range(10))
    assert images.labels == tuple(range(10))
    assert shades(images) == list(range(10)) == shades(images)
    assert [item.label for item in images] == list(range(10))


def test_without_labels(tmp_path):
    images = find_images(shard(tmp_path / "dev.parquet"))
    assert images.labels is None
    with pytest.raises(InputError, match="has no labels"):
        images.labelled()


def test_class_names_of_the_data_set(tmp_path):
    images = find_images(shard(tmp_path / "a.parquet", n=3, labels=[1, -1, 0], names=["cat", "dog"]))
    assert images.labels == ("dog", None, "cat")
    assert images.class_names == ("cat", "dog")
    with pytest.raises(InputError, match="has the label 5 and describes 2 classes"):
        find_images(shard(tmp_path / "b.parquet", n=1, labels=[5], names=["cat", "dog"]))


def test_a_shard_without_rows_is_no_images(tmp_path):
    shard(tmp_path / "a.parquet", n=0, paths=[])
    assert len(find_images(tmp_path / "a.parquet")) == 0
    shard(tmp_path / "b.parquet", n=2, paths=["x.png", "y.png"])
    assert len(find_images(tmp_path)) == 2


@pytest.mark.parametrize("rows", [[0], [9], [3, 4], [1, 6, 8], [8, 9], [0, 9], list(range(10)), []])
def test_select_reads_only_those_rows(tmp_path, rows):
    images = find_images(shard(tmp_path / "dev.parquet", labels=[str(i) for i in range(10)])).select(rows)
    assert shades(images) == rows
    assert [item.label for item in images] == [str(i) for i in rows]


def test_select_twice(tmp_path):
    images = find_images(shard(tmp_path / "dev.parquet", n=100, rows_in_group=7))
    assert shades(images.select(range(0, 100, 3)).select([30, 2, 5])) == [6, 15, 90]


def test_a_folder_of_shards_is_one_set(tmp_path):
    shard(tmp_path / "b.parquet", n=5, start=100, labels=[0] * 5)
    shard(tmp_path / "a.parquet", n=6, labels=[1] * 6)
    (tmp_path / "classes.json").write_text("[]")
    images = find_images(tmp_path)
    assert shades(images) == [*range(6), *range(100, 105)]
    assert images.labels == (1,) * 6 + (0,) * 5
    assert shades(images.select([5, 6, 10])) == [5, 100, 104]


@pytest.mark.parametrize("paths", [[None] * 3, ["a.png"] * 3, ["a.png", None, "b.png"], ["a.png", "", "b.png"]])
def test_rows_without_a_name_of_their_own_are_numbered(tmp_path, paths):
    images = find_images(shard(tmp_path / "dev.parquet", n=3, paths=paths))
    assert images.names == ("dev/0000000", "dev/0000001", "dev/0000002")


def test_rows_may_point_to_files_or_hold_nothing(tmp_path):
    (tmp_path / "x.png").write_bytes(png(77))
    rows = [{"bytes": None, "path": "x.png"}, {"bytes": b"", "path": "y.png"}, {"bytes": None, "path": None}, None]
    column = pa.array(rows, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    pq.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
    first, *others = find_images(tmp_path / "a.parquet")
    assert first.data == tmp_path / "x.png"
    for item in others:
        with pytest.raises(ImageError, match="empty"):
            decode(item.data)


def test_what_is_a_shard(tmp_path):
    pq.write_table(pa.table({"image": ["a.png"], "label": ["cat"]}), tmp_path / "manifest.parquet")
    assert not is_packed(tmp_path / "manifest.parquet")
    assert is_packed(shard(tmp_path / "s.parquet"))
    assert find_images(tmp_path / "manifest.parquet").names == ("a.png",)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"bad\.parquet can't be read as Parquet"):
        find_images(tmp_path / "bad.parquet")


def test_shards_that_describe_other_classes_are_not_mixed(tmp_path):
    shard(tmp_path / "a.parquet", n=1, labels=[0], names=["cat"])
    shard(tmp_path / "b.parquet", n=1, start=1, labels=[0], names=["dog"])
    with pytest.raises(InputError, match="different class names"):
        find_images(tmp_path)


def test_a_file_that_is_damaged_in_its_middle_is_named(tmp_path):
    path = shard(tmp_path / "dev.parquet", n=200)
    images = iter(find_images(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"dev\.parquet is damaged \(.*\); put a whole file in its place"):
        list(images)


def test_a_file_that_changes_meanwhile_is_named(tmp_path):
    images = find_images(shard(tmp_path / "dev.parquet", n=20))
    shard(tmp_path / "dev.parquet", n=12)
    with pytest.raises(InputError, match=r"dev\.parquet had 20 rows and has 12; it changed meanwhile"):
        list(images)
    (tmp_path / "dev.parquet").write_bytes((tmp_path / "dev.parquet").read_bytes()[:-50])
    with pytest.raises(InputError, match=r"dev\.parquet can't be read as Parquet"):
        list(images)


def test_memory_stays_flat_though_the_file_is_one_large_row_group(tmp_path):
    path = tmp_path / "large.parquet"
    rng = np.random.default_rng(0)
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    batch = [{"bytes": rng.bytes(100_000), "path": None} for _ in range(1500)]
    pq.write_table(pa.table({"img": pa.array(batch, kind)}), path, row_group_size=1500, compression="none")
    assert path.stat().st_size > 140e6
    program = (
        "import resource, sys; from uncertainty.images.sources import find_images\n"
        "images = find_images(sys.argv[1]); next(iter(images))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "total = sum(len(item.data) for item in images)\n"
        "print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    here = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True, cwd=here)
    total, kilobytes = map(int, done.stdout.split())
    assert total == 150_000_000
    assert kilobytes < 60_000


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us", "UTC")], ids=str)
def test_a_label_that_python_has_no_date_for_is_text(kind, tmp_path):
    late = pa.array([2**31 - 1 if kind == pa.date32() else 2**62], pa.int32() if kind == pa.date32() else pa.int64())
    table = pa.table({"image": [{"bytes": b"", "path": "a.png"}], "label": late.cast(kind)})
    pq.write_table(table, tmp_path / "late.parquet")
    (label,) = find_images(tmp_path / "late.parquet").labels
    assert isinstance(label, str)


def test_rows_without_a_path_are_named_when_they_are_asked_for(tmp_path):
    """A list of 10^7 names takes nothing a row, and what a worker is sent are the names of its part alone."""
    for k in range(3):
        pq.write_table(pa.table({"image": [b"%d" % row for row in range(5)]}), tmp_path / f"part-{k}.parquet")
    images = find_images(tmp_path)
    assert isinstance(images.names, Numbered)
    assert list(images.names) == [f"part-{k}/{row:07d}" for k in range(3) for row in range(5)]
    assert images.fingerprint() == replace(images, names=tuple(images.names)).fingerprint()
    portion = pickle.loads(pickle.dumps(images.cut(range(4, 11))))
    assert portion.names == images.names[4:11]
    assert [item.data for item in portion] == [item.data for item in images][4:11]
    assert images.select([1, 7]).names == ("part-0/0000001", "part-1/0000002")
