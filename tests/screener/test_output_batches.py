"""Outputs are judged a block after another; nobody can tell by the verdicts."""

from problems import known_good, made_problem

from uncertainty.combination import evidence
from uncertainty.neighbors.exact import ExactSearch
from uncertainty.screener import Screener, output_batches


def test_verdicts_do_not_depend_on_the_blocks_and_a_block_is_compared_with_known_good_rows_once(
    monkeypatch,
):
    made, test = Screener.fit_outputs(known_good(200, 1), made_problem(300, 2)), made_problem(50, 3)
    whole = made.screen_outputs(test).table
    looks = {}
    look = ExactSearch.look
    monkeypatch.setattr(
        ExactSearch, "look", lambda self, x: looks.setdefault(id(self), []).append(len(x)) or look(self, x)
    )
    for module in (evidence, output_batches):
        monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    in_blocks = made.screen_outputs(test).table
    assert in_blocks.combine_chunks() == whole.combine_chunks()
    assert in_blocks.schema.equals(whole.schema, check_metadata=True)
    assert list(looks.values()) == 2 * [[7] * 7 + [1]]  # features, and the embedding
