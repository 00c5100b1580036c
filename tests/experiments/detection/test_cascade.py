"""What a cascade loses by the share of images that it looks at: what is measured, and the page."""

import numpy as np
import pytest
from made_split import made_split

from experiments.detection import cascade
from uncertainty.metrics import e_aurc


def test_losses_at_all_shares_and_the_page_that_has_them():
    lost = cascade.measured(made_split(), ["clean"])["clean"]
    assert {f"{share}{best}" for share in cascade.SHARES for best in ("", " at best")} < lost.keys()
    assert abs(lost["0.8 at best"]) < 5
    assert 0 <= lost["usual share"] <= 100
    page = cascade.document({"made": {"clean": {name: [value] for name, value in lost.items()}}})
    assert f"| made | in distribution | {lost['0']:+.0f} |" in page
    assert f"| {lost['usual share']:.0f} %: {lost['usual']:+.1f} |" in page


def test_a_loss_is_in_per_cent_of_what_full_evidence_leaves():
    wrong, cheap = np.array([False, True, False, True]), np.array([0.2, 0.1, 0.3, 0.4])
    full = np.array([0.1, 0.25, 0.3, 0.4])
    assert cascade._lost(wrong, cheap, full, np.ones(4, dtype=bool)) == 0
    expected = 100 * (e_aurc(wrong, cheap) / e_aurc(wrong, full) - 1)
    assert cascade._lost(wrong, cheap, full, np.zeros(4, dtype=bool)) == pytest.approx(expected)
    assert expected > 0
