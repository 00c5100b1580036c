import hashlib
import pickle

import numpy as np
import pytest

from uncertainty.images import packed_text
from uncertainty.images.packed_text import Coded, Coder, Packer, Texts, double, taken


def hashlib_of(texts):
    hasher = hashlib.blake2b(digest_size=8)
    texts.update(hasher)
    return hasher.hexdigest()


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


@pytest.mark.parametrize("values", [["", *map(str, range(40)), "ä" * 100, "x"], [None, "a", None] * 20, ["", ""] * 9])
def test_texts_that_leave_the_heap_in_pieces_are_the_same(monkeypatch, values):
    together = Texts.of(values)
    monkeypatch.setattr(packed_text, "_PIECE", 7)
    apart = Texts.of(values)
    assert list(apart) == values
    assert [hashlib_of(apart), apart[3:9]] == [hashlib_of(together), together[3:9]]


def test_fingerprints_stay_what_they_were():
    assert hashlib_of(Texts.of(["a.png", None, "", "ä/b.png"])) == "f0f13110a81b529a"
    assert hashlib_of(Texts.of(["a.png", "b.png"])) == "4a1a8d4ce45aa508"


def test_many_texts_take_their_length_and_four_bytes():
    texts = Texts.of(["a.png"] * 1000)
    assert (texts.ends.itemsize, texts.missing.strides) == (4, (0,))


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


def test_doubles_are_found_where_hashes_are_looked_at_in_parts(monkeypatch):
    monkeypatch.setattr(packed_text, "_PIECE", 2)
    for n in range(1, 8):
        names = [f"{i}" for i in range(n)]
        assert double(names) is None
        assert [double([*names, name]) for name in names] == names
