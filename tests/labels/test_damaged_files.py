"""Whatever is in a file of labels, it is read or refused in one line: no other error, and no warning."""

import contextlib
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labels.test_import_formats import FORMATS, ROBOFLOW_OLD
from uncertainty.errors import UncertaintyError
from uncertainty.images.sources import find_images
from uncertainty.labels.images import labelled_images
from uncertainty.labels.imports import read_annotations

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = (
    *("data", "image", "label", "labels", "classes", "images", "annotations", "categories", "id", "file_name"),
    *("source-ref", "job-metadata", "class-map", "imageGcsUri", "result", "value", "choices", "type", "choice"),
    *("annotation_id", "image_id", "category_id", "name", "displayName", "classificationAnnotations"),
)
CELLS = ("", "0", "1", "a.jpg", "a_b", "gs://x/a", "cat", '"', "\n", ",")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def read(path):
    for door in (read_annotations, labelled_images, find_images):
        with contextlib.suppress(UncertaintyError):
            door(path)


def damaged(data, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    return bytes(data[: int(rng.integers(1, len(data) + 1))])


@pytest.mark.parametrize("name", [*FORMATS, "_classes.csv"])
@quick
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_files_of_labels(tmp_path, name, seed):
    (tmp_path / name).write_bytes(damaged(FORMATS.get(name, ROBOFLOW_OLD).encode(), seed))
    read(tmp_path / name)


@quick
@given(content=JSON, ending=st.sampled_from(["json", "jsonl", "manifest"]))
def test_json_of_any_shape(tmp_path, content, ending):
    (tmp_path / f"a.{ending}").write_text(json.dumps(content))
    read(tmp_path / f"a.{ending}")


@quick
@given(
    rows=st.lists(st.lists(st.sampled_from(CELLS), max_size=4)),
    header=st.lists(st.sampled_from(["image", "label", "tags", "Image_Label", "id", "annotation_id", "lead_time", ""])),
)
def test_tables_of_any_shape(tmp_path, rows, header):
    (tmp_path / "a.csv").write_text("\n".join(",".join(row) for row in [header, *rows]))
    read(tmp_path / "a.csv")


@quick
@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["parquet", "tar", "npz"]))
def test_damaged_files_with_images_inside(tmp_path, seed, kind):
    whole = tmp_path / f"whole.{kind}"
    if not whole.exists():
        if kind == "parquet":
            pq.write_table(pa.table({"image": [{"bytes": b"x", "path": "a.png"}] * 3, "label": [0, 1, 0]}), whole)
        elif kind == "npz":
            np.savez(whole, train_images=np.zeros((3, 2, 2), np.uint8), train_labels=np.zeros((3, 1), np.uint8))
        else:
            with tarfile.open(whole, "w") as archive:
                (tmp_path / "1.png").write_bytes(b"x" * 700)
                (tmp_path / "1.cls").write_text("cat")
                archive.add(tmp_path / "1.png", "1.png")
                archive.add(tmp_path / "1.cls", "1.cls")
    path = tmp_path / f"a.{kind}"
    path.write_bytes(damaged(whole.read_bytes(), seed))
    with contextlib.suppress(UncertaintyError):
        list(find_images(path))
    with contextlib.suppress(UncertaintyError):
        read_annotations(path)
