"""The table of a part is the same wherever it is made."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from conftest import write_incoming

from uncertainty.errors import InputError
from uncertainty.images.sources import ImageItem, find_images
from uncertainty.screening.part_tables import Screen, counts_of, part_tables, task_of


@pytest.fixture(scope="module")
def screened(world, tmp_path_factory):
    """Images, one that can't be read first, and the tables of their parts."""
    images = find_images(write_incoming(world, tmp_path_factory.mktemp("screened"), unreadable="000a.png"))
    task = task_of(world.screener, images, batch_size=8, rows_in_a_part=17)
    return images, task, list(part_tables(world.screener, images, task, range(task.parts)))


def test_parts_are_whole_batches(screened):
    _, task, tables = screened
    assert (task.rows_in_a_part, task.parts) == (16, 3)
    assert [len(table) for table in tables] == [16, 16, 9]


def test_a_part_is_the_same_whatever_came_before(world, screened):
    images, task, tables = screened
    for part, table in enumerate(tables):
        (alone,) = part_tables(world.screener, images, task, range(part, part + 1))
        assert alone.equals(table, check_metadata=True)


def assert_same(found, expected):
    """But for the last bits of numbers, which on some processors depend on where in memory a network was loaded."""
    assert found.schema.equals(expected.schema, check_metadata=True)
    for name, column in zip(expected.column_names, expected.columns, strict=True):
        if pa.types.is_floating(column.type):
            here, there = (np.array(one.to_pylist(), dtype=np.float64) for one in (found[name], column))
            np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            assert found[name].equals(column), name


def test_a_worker_makes_the_same_tables(world, screened, tmp_path):
    images, task, tables = screened
    world.screener.save(tmp_path)
    screen = Screen(tmp_path, "conftest:tiny_classifier", batch_size=8)
    assert_same(screen(images.select(list(task.positions(0)))), tables[0])
    sent = pickle.loads(pickle.dumps(screen))
    assert "screener" in vars(screen)
    assert "screener" not in vars(sent)
    assert sent == screen
    last = [ImageItem(item.name, item.data.read_bytes()) for item in images.select(list(task.positions(2)))]
    assert_same(sent(last), tables[2])
    with pytest.raises(InputError, match="no images to screen in this part"):
        sent([])


def test_features_have_length_one_and_unreadable_images_have_none(world, screened):
    images, _, tables = screened
    outputs = world.classifier.run(images, passes=0)
    features = pa.concat_tables(tables)["features"].combine_chunks()
    assert features.type == pa.list_(pa.float16(), outputs.features.shape[1])
    assert [i for i, one in enumerate(features) if not one.is_valid] == [1]
    found = np.array([row for row in features.to_pylist() if row is not None], dtype=np.float64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=2e-3)
    expected = outputs.features / np.linalg.norm(outputs.features, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_features_may_be_left_out(world, screened):
    images = screened[0]
    task = task_of(world.screener, images, batch_size=8, features=False)
    (table,) = part_tables(world.screener, images, task, range(1))
    assert table.column_names == world.screener.schema().names
    assert counts_of(table.schema) == {"seen": 0, "looked_at_more_deeply": 0, "deeper_look_failed": 0}


def test_the_fingerprint_knows_names_and_columns(tmp_path):
    def fingerprint(text):
        (tmp_path / "m.csv").write_text(text, "utf-8")
        return find_images(tmp_path / "m.csv").fingerprint()

    same = "file_name,place\na.png,x\nb.png,\n"
    others = [
        "file_name,place\nb.png,\na.png,x\n",
        "file_name,place\na.png,y\nb.png,\n",
        "file_name,place\na.png,\nb.png,x\n",
        "file_name,where\na.png,x\nb.png,\n",
        "file_name,place\na.png,x\n",
    ]
    assert fingerprint(same) == fingerprint(same)
    assert len({fingerprint(text) for text in (same, *others)}) == 6


def test_a_batch_of_no_images_is_refused(world):
    with pytest.raises(InputError, match="batch_size is 0"):
        task_of(world.screener, [], batch_size=0)
