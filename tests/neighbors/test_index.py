from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

import uncertainty.neighbors.index as index_module
from uncertainty.errors import InputError, OutputsError
from uncertainty.neighbors import NeighborIndex, memory_needed, normalised


def clusters(n: int, d: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 5, n)
    return np.random.default_rng(99).normal(size=(5, d))[classes] + 0.3 * rng.normal(size=(n, d)), classes


def brute_force(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    q, v = normalised(queries).astype(np.float64), normalised(vectors).astype(np.float64)
    return np.sort(np.sqrt(((q[:, None] - v) ** 2).sum(axis=2)), axis=1)


TOLERANCE = {False: 1e-12, True: 1e-3}  # approximate search keeps float16
both_kinds = pytest.mark.parametrize("kind", [False, True], ids=["exact", "approximate"])


def everywhere(index: NeighborIndex) -> NeighborIndex:
    """Look at all lists: then nothing is left out."""
    lists = index.lists and replace(index.lists, probes=len(index.lists.centroids))
    return replace(index, lists=lists)


Indexes = dict[bool, tuple[NeighborIndex, np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def indexes() -> Indexes:
    """Return both kinds of 2,000 vectors, and queries that are nearly copies of some, with their classes."""
    x, y = clusters(2000)
    near = x[:100] * (1 + 1e-5 * np.random.default_rng(2).normal(size=(100, 24)))
    return {kind: (NeighborIndex.build(x, y, approximate=kind), near, y[:100]) for kind in (False, True)}


@pytest.mark.parametrize("k", [1, 7, 300])
@both_kinds
def test_search_equals_brute_force(kind: bool, k: int) -> None:
    x, y = clusters(300)
    queries, _ = clusters(40, seed=1)
    index = everywhere(NeighborIndex.build(x, y, approximate=kind))
    np.testing.assert_allclose(index.search(queries, k), brute_force(queries, x)[:, :k], atol=TOLERANCE[kind])


def test_all_lists_equal_exact_search_of_the_same_vectors() -> None:
    x, y = clusters(800)
    queries, classes = clusters(60, seed=1)
    approximate = everywhere(NeighborIndex.build(x, y, approximate=True))
    exact = NeighborIndex(approximate.vectors.astype(np.float32), approximate.classes)
    np.testing.assert_allclose(approximate.search(queries, 20), exact.search(queries, 20), atol=1e-12)
    pair = approximate.own_and_other(queries, classes, 3), exact.own_and_other(queries, classes, 3)
    np.testing.assert_allclose(*pair, atol=1e-12)


@pytest.mark.parametrize("m", [700, 3000])
def test_few_and_many_vectors_are_chosen_from_alike(m: int) -> None:
    x, y = clusters(m)
    queries, _ = clusters(20, seed=1)
    np.testing.assert_allclose(NeighborIndex.build(x, y).search(queries, 9), brute_force(queries, x)[:, :9], atol=1e-12)


def own_and_other(queries: np.ndarray, wanted: np.ndarray, x: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Sort, class by class, all distances to its vectors."""
    per_class = np.stack([brute_force(queries, x[y == c])[:, min(k, (y == c).sum()) - 1] for c in np.unique(y)], axis=1)
    is_own = np.unique(y) == wanted[:, None]
    own = per_class.min(axis=1, where=is_own, initial=np.inf)
    return np.stack([own, per_class.min(axis=1, where=~is_own, initial=2.0)])


@pytest.mark.parametrize("k", [1, 3, 70])
@both_kinds
def test_own_and_other_equal_brute_force_class_by_class(kind: bool, k: int) -> None:
    x, y = clusters(300)
    queries, classes = clusters(40, seed=1)
    index = everywhere(NeighborIndex.build(x, y, approximate=kind))
    for wanted in (classes, (classes + 1) % 5, np.full(40, 9)):
        expected = own_and_other(queries, wanted, x, y, k)
        np.testing.assert_allclose(index.own_and_other(queries, wanted, k), expected, atol=TOLERANCE[kind])


@both_kinds
def test_many_classes_of_uneven_size_equal_brute_force(kind: bool) -> None:
    rng = np.random.default_rng(5)
    y = np.sort(rng.choice(60, 900, p=np.arange(1, 61) / 1830))
    x = rng.normal(size=(60, 8))[y] + rng.normal(size=(900, 8))
    queries = rng.normal(size=(30, 8))
    expected = own_and_other(queries, y[::30], x, y, 4)
    index = everywhere(NeighborIndex.build(x, y, approximate=kind))
    np.testing.assert_allclose(index.own_and_other(queries, y[::30], 4), expected, atol=TOLERANCE[kind])


@both_kinds
def test_a_class_with_fewer_than_k_vectors_answers_with_its_furthest(kind: bool) -> None:
    index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [4, 4, 9], approximate=kind)
    own, other = index.own_and_other([[1.0, 0.0]], [4], k=5)
    np.testing.assert_allclose([own[0], other[0]], [np.sqrt(2), 2.0])


@both_kinds
def test_a_single_class_has_no_other_and_an_unknown_one_is_nowhere(kind: bool) -> None:
    index = NeighborIndex.build([[1.0, 0.0], [0.0, 1.0]], [4, 4], approximate=kind)
    own, other = index.own_and_other([[0.0, 1.0], [0.0, 1.0]], [4, 7], k=1)
    assert own.tolist() == [0.0, np.inf]
    assert other.tolist() == [2.0, 0.0]


def test_k_above_the_number_of_vectors_uses_all() -> None:
    x, y = clusters(6)
    assert NeighborIndex.build(x, y).search(x, 50).shape == (6, 6)


@pytest.mark.parametrize("size", [1, 3, 8, 50])
@both_kinds
def test_no_answer_depends_on_how_many_queries_come_together(indexes: Indexes, kind: bool, size: int) -> None:
    index, near, classes = indexes[kind]
    parts = [slice(i, i + size) for i in range(0, 100, size)]
    np.testing.assert_allclose(
        np.concatenate([index.search(near[p], 5) for p in parts]), index.search(near, 5), atol=1e-9
    )
    together = np.concatenate([index.own_and_other(near[p], classes[p], 2) for p in parts], axis=1)
    np.testing.assert_allclose(together, index.own_and_other(near, classes, 2), atol=1e-9)


@both_kinds
def test_no_answer_depends_on_what_was_asked_before(indexes: Indexes, kind: bool) -> None:
    index, near, classes = indexes[kind]
    asked = near.copy()
    asked.flags.writeable = False
    apart = index.search(near, 5), index.search(near, 90), index.own_and_other(near, classes, 2)
    for first in (90, 5):
        index.search(asked, first)
        assert (index.own_and_other(asked, classes, 2)[1] == apart[2][1]).all()
        assert (index.search(asked, 5) == apart[0]).all()
        assert (index.search(asked, 90) == apart[1]).all()


def test_a_look_is_shared_for_as_long_as_the_queries_live(indexes: Indexes) -> None:
    index, near, classes = indexes[False]
    asked = near.copy()
    asked.flags.writeable = False
    index.search(asked, 5)
    kept = vars(index)["_last"]
    index.own_and_other(asked, classes, 2)
    assert vars(index)["_last"] is kept
    del asked
    assert "_last" not in vars(index)


def test_queries_that_may_change_are_looked_at_anew(indexes: Indexes) -> None:
    index, near, _ = indexes[False]
    asked = near.copy()
    before = index.search(asked, 3)
    asked[:] = asked[::-1].copy()
    assert (index.search(asked, 3) == before[::-1]).all()


def test_more_queries_than_one_block_keep_their_rows() -> None:
    x, y = clusters(50)
    queries, _ = clusters(2500, seed=3)
    np.testing.assert_allclose(NeighborIndex.build(x, y).search(queries, 2), brute_force(queries, x)[:, :2], atol=1e-12)


def test_near_duplicates_keep_their_digits() -> None:
    # In float32, sqrt(2 - 2 cos) of this pair is 0 or 3e-4.
    found = NeighborIndex.build([[1.0, 0.0]], [0]).search([[1.0, 1e-5]], 1)
    np.testing.assert_allclose(found, [[1e-5]], rtol=1e-6)


def test_neighbours_too_near_for_float32_are_ranked_all_the_same() -> None:
    angles = np.array([5e-5, 3e-5, 1e-5, 4e-5, 2e-5])
    x = np.stack([np.ones(5), angles], axis=1)
    for queries in (np.array([[1.0, 0.0]]), np.tile([1.0, 0.0], (20, 1))):
        found = NeighborIndex.build(np.concatenate([x, -x]), np.zeros(10)).search(queries, 1)
        np.testing.assert_allclose(found, 1e-5, rtol=1e-6)


def test_a_known_vector_is_at_distance_zero_of_itself() -> None:
    x, y = clusters(200)
    assert (NeighborIndex.build(x, y).search(x * 3, 1) < 1e-6).all()
    assert (NeighborIndex.build(x, y).search(x, 1) == 0).all()


def test_length_does_not_matter() -> None:
    x, y = clusters(100)
    index = NeighborIndex.build(x, y)
    np.testing.assert_allclose(index.search(x * 1e200, 3), index.search(x * 1e-200, 3), atol=1e-6)


def test_a_zero_vector_is_at_distance_one_of_all_others_and_none_of_itself() -> None:
    index = NeighborIndex.build([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], [0, 1, 1])
    assert index.search([[0.0, 0.0], [1.0, 1.0]], 3)[0].tolist() == [0, 1, 1]
    np.testing.assert_allclose(index.search([[1.0, 1.0]], 3)[0, 1], 1.0)


def test_distances_never_leave_their_range() -> None:
    x, y = clusters(500, d=3)
    found = NeighborIndex.build(x, y).search(-x, 500)
    assert found.min() >= 0
    assert found.max() <= 2
    assert (np.diff(found, axis=1) >= 0).all()


def test_an_index_made_of_anothers_arrays_answers_the_same_without_a_copy() -> None:
    x, y = clusters(300)
    first = NeighborIndex.build(x.astype(np.float32), y)
    second = NeighborIndex(first.vectors, first.classes)
    assert second.vectors is first.vectors
    assert first.vectors.dtype == np.float32
    assert (np.diff(first.classes) >= 0).all()
    assert (second.search(x, 4) == first.search(x, 4)).all()


@both_kinds
def test_no_queries_give_no_distances(kind: bool) -> None:
    x, y = clusters(20)
    index = NeighborIndex.build(x, y, approximate=kind)
    assert index.search(np.empty((0, 24)), 3).shape == (0, 3)
    assert index.own_and_other(np.empty((0, 24)), [], 3)[0].shape == (0,)


# Approximate


def test_size_chooses_the_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clusters(50)
    monkeypatch.setattr(index_module, "EXACT_UP_TO", 50 * 24)
    assert NeighborIndex.build(x, y).lists is None
    monkeypatch.setattr(index_module, "EXACT_UP_TO", 50 * 24 - 1)
    assert NeighborIndex.build(x, y).lists is not None
    assert NeighborIndex.build(x, y, approximate=False).lists is None


def test_lists_are_looked_at_until_enough_is_found(indexes: Indexes) -> None:
    index, _, _ = indexes[True]
    hard = np.random.default_rng(3).normal(size=(200, 24))
    one_list = replace(index, lists=replace(index.lists, probes=1))
    settled = one_list.settled(hard)
    truth = everywhere(index).search(hard, 10)[:, 9:] + 1e-9
    assert settled.lists.recall >= 0.97
    assert settled.lists.recall == (settled.search(hard, 10) <= truth).mean()
    half = replace(index, lists=replace(index.lists, probes=settled.lists.probes // 2))
    assert (half.search(hard, 10) <= truth).mean() < 0.97


@both_kinds
def test_many_copies_of_one_image_hide_no_other(kind: bool) -> None:
    """Blank pictures, which a graph of neighbours would not get out of."""
    rng = np.random.default_rng(0)
    others, copies = rng.normal(size=(1000, 24)), np.tile(rng.normal(size=(1, 24)), (1500, 1))
    x = rng.permutation(np.concatenate([others, copies]))
    index = NeighborIndex.build(x, np.zeros(len(x), dtype=int), approximate=kind).settled(others[:100])
    assert (index.search(others, 1)[:, 0] < TOLERANCE[kind]).mean() > 0.99


def test_an_exact_index_is_settled() -> None:
    index = NeighborIndex.build(*clusters(20))
    assert index.settled(np.ones((3, 24))) is index


def test_building_is_deterministic() -> None:
    x, y = clusters(500)
    first, second = (NeighborIndex.build(x, y, approximate=True).arrays() for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@both_kinds
def test_restored_arrays_answer_the_same(indexes: Indexes, kind: bool) -> None:
    index, near, classes = indexes[kind]
    restored = NeighborIndex.from_arrays(index.arrays())
    assert restored.vectors is index.vectors
    assert (restored.search(near, 7) == index.search(near, 7)).all()
    assert (restored.own_and_other(near, classes, 2)[1] == index.own_and_other(near, classes, 2)[1]).all()
    assert restored.arrays().keys() == index.arrays().keys()


def test_copies_and_pickles_carry_no_memory_of_queries(indexes: Indexes) -> None:
    index, near, _ = indexes[True]
    expected = index.search(near, 3)
    assert (copy.deepcopy(index).search(near, 3) == expected).all()


# Add and remove


@both_kinds
def test_added_rows_are_found_behind_those_of_their_class(kind: bool) -> None:
    x, y = clusters(300)
    more, their_classes = clusters(40, seed=1)
    index = NeighborIndex.build(x, y, approximate=kind).add(more, their_classes)
    assert (np.diff(index.classes) >= 0).all()
    assert (index.search(more, 1) < 1e-3).all()
    expected = brute_force(more, np.concatenate([x, more]))[:, :8]
    np.testing.assert_allclose(everywhere(index).search(more, 8), expected, atol=TOLERANCE[kind])


@both_kinds
def test_add_then_remove_is_as_before(indexes: Indexes, kind: bool) -> None:
    index, near, classes = indexes[kind]
    joined = np.concatenate([index.classes, classes])
    new = np.flatnonzero(np.argsort(joined, kind="stable") >= len(index.classes))
    before, after = index.arrays(), index.add(near, classes).remove(new).arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert len(index.classes) == 2000


@both_kinds
def test_removed_rows_are_found_no_more(indexes: Indexes, kind: bool) -> None:
    index, near, _ = indexes[kind]
    left = index.remove(np.flatnonzero(index.classes != 3))
    assert left.known_classes.tolist() == [3]
    assert set(left.neighbours(near, 5)[1].ravel()) == {3}


def test_rows_of_another_width_are_not_added() -> None:
    with pytest.raises(InputError, match=r"need features \(n, 24\).*got shapes \(2, 7\)"):
        NeighborIndex.build(*clusters(20)).add(np.ones((2, 7)), [0, 1])


@pytest.mark.parametrize(
    ("rows", "message"), [([3, 20], "3 to 20"), ([-1], "-1 to -1"), (range(20), "all 20 known-good")]
)
def test_rows_that_can_not_be_removed_are_named(rows: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NeighborIndex.build(*clusters(20)).remove(rows)


def test_memory_needed_is_what_the_arrays_take(indexes: Indexes) -> None:
    for kind, (index, _, _) in indexes.items():
        arrays = sum(value.nbytes for value in index.arrays().values() if isinstance(value, np.ndarray))
        if kind:
            arrays += 2000 * (24 + 8) + 3 * 4 * index.lists.centroids.size - index.lists.ranges.nbytes
        assert memory_needed(2000, 24, approximate=kind) == arrays


@pytest.mark.parametrize(
    ("features", "classes"), [(np.empty((0, 3)), []), (np.ones((2, 3)), [0]), (np.ones(3), [0, 0, 0])]
)
def test_rows_that_make_no_index_are_refused(features: np.ndarray, classes: list[int]) -> None:
    with pytest.raises(InputError, match="at least one known-good row; got shapes"):
        NeighborIndex.build(features, classes)


def test_features_of_another_width_are_refused() -> None:
    x, y = clusters(20)
    with pytest.raises(OutputsError, match=r"\(2, 7\).*\(20, 24\)"):
        NeighborIndex.build(x, y).search(np.ones((2, 7)), 1)


def test_k_below_one_is_refused() -> None:
    x, y = clusters(20)
    with pytest.raises(InputError, match="k is 0"):
        NeighborIndex.build(x, y).search(x, 0)
