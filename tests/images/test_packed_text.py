import hashlib
import pickle

import numpy as np
import pytest

from uncertainty.images.packed_text import Coded, Coder, Packer, Texts, double, taken

NAMES = ["", "a", "käse/日本.png", "x" * 3000, "\udce9.png", *(f"{i}.png" for i in range(3000))]


@pytest.mark.parametrize("values", [NAMES, [None, "", None, "a"], []])
def test_texts_are_the_sequence_they_were_made_of(values):
    texts = Texts.of(iter(values))
    assert list(texts) == values
    assert texts == values == texts
    assert texts == tuple(values)
    assert [texts[i] for i in range(-len(values), len(values))] == values + values
    for cut in (slice(1, 3), slice(None, None, 2), slice(-2, None), slice(5, 2), slice(2900, 99999)):
        assert texts[cut] == values[cut]
        assert texts[cut][:1] == values[cut][:1]
    assert pickle.loads(pickle.dumps(texts[1:3])) == values[1:3]


def test_what_differs_is_not_equal():
    assert Texts.of(["a", "b"]) != ["a"]
    assert Texts.of(["a", "b"]) != ["a", "c"]
    assert Texts.of(["a"]) != "a"
    assert Texts.of([]) != 0


@pytest.mark.parametrize("position", [3, -4])
def test_a_position_that_is_not_there(position):
    with pytest.raises(IndexError, match=f"position {position} is not among 3"):
        Texts.of(["a", "b", "c"])[position]


@pytest.mark.parametrize("packed", [Texts, Coded])
@pytest.mark.parametrize("positions", [[], [0], [1, 2, 3], [0, 2, 4], [4]])
def test_taking_some(packed, positions):
    values = ["a", "b", "a", None, "c"]
    assert packed.of(values).take(np.array(positions, dtype=np.int64)) == [values[i] for i in positions]
    assert taken(tuple(values), np.array(positions, dtype=np.int64)) == tuple(values[i] for i in positions)


def test_columns_that_begin_late():
    packer = Packer(absent=2)
    packer.append("a")
    assert packer.packed() == [None, None, "a"]


def test_labels_keep_their_kind():
    labels = Coded.of(["1", 1, None, "1"])
    assert labels == ["1", 1, None, "1"]
    assert [type(label) for label in labels] == [str, int, type(None), str]
    assert labels.codes.tolist() == [0, 1, 2, 0]
    assert len(Coder().packed()) == 0


def test_a_hash_tells_texts_apart_by_order_cuts_and_gaps():
    def hashed(values):
        hasher = hashlib.blake2b()
        Texts.of(values).update(hasher)
        return hasher.digest()

    several = [["a", "b"], ["b", "a"], ["ab", ""], ["", "ab"], ["ab"], ["ab", None], []]
    assert len({hashed(values) for values in several}) == len(several)
    assert hashed(NAMES) == hashed(Texts.of(["y", *NAMES, "z"])[1:-1])


def test_doubles_are_found_by_text_and_not_by_hash():
    class Same(str):
        __slots__ = ()

        def __hash__(self):
            return 1

    assert double([Same("a"), Same("b"), Same("c")]) is None
    assert double(iter([Same("a"), Same("b"), Same("c"), Same("b"), Same("a")])) == "b"
    assert double([]) is None
