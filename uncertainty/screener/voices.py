"""Which evidence speaks for another class than the predicted one, and for which, in words."""

from __future__ import annotations

from collections.abc import Sequence

from uncertainty.estimators.feature_posterior import FeaturePosterior
from uncertainty.estimators.fused_decisions import FusedDecisions
from uncertainty.outputs import ModelOutputs
from uncertainty.screener.judge import Judge

_SAID = {
    "second_opinion_disagrees": "the second opinion says",
    "nearer_to_another_class": "more cautious classifiers say",
    "unstable_under_augmentation": "in other views the classifier answers",
    "unstable_under_dropout": "without some of its units the classifier answers",
}
"""How a kind of source is introduced, by its word in a reason; softmax only repeats the prediction."""
_FLIPPED = {"unstable_under_augmentation": "flipped, the classifier answers"}


def voices(screener: Judge, outputs: ModelOutputs) -> dict[str, tuple[str, ...]]:
    """Return by id of each row such as ("the second opinion says dog", "flipped, the classifier answers cat").

    Each kind of source of the fused posterior, or without a second opinion of the feature posterior, has one voice, the
    class that its sources find likeliest together, as calibration weighs them. Of several labels it is told what the
    decision in most doubt says, and how many known-good neighbours say otherwise. Without such a posterior, or a column
    that it reads (in a cascade that did not look deeper), nothing is said.
    """
    posterior = next((e for e in screener.estimators if e.posterior or isinstance(e, FeaturePosterior)), None)
    if posterior is None or not all(outputs.has(column) for column in posterior.reads):
        return {}
    if isinstance(posterior, FusedDecisions):
        return _in_doubt(posterior, outputs, screener.model.classes)
    said = _SAID | (_FLIPPED if screener.views == ("flip",) else {})
    classes = screener.model.classes
    rows = zip(outputs.ids, outputs.predictions.tolist(), posterior.voices(outputs), strict=True)
    return {
        str(name): tuple(f"{said[word]} {classes[k]}" for word, k in heard.items() if word in said and k != own)
        for name, own, heard in rows
    }


def _in_doubt(judge: FusedDecisions, outputs: ModelOutputs, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return by id such as ("says 'cat', but 18 of 20 neighbours lack it",) of the decision that is likeliest wrong."""
    doubted = judge.decision_log_odds(outputs).argmax(axis=1)
    carrying, known = judge.neighbours_that_carry(outputs, doubted)
    rows = zip(outputs.ids, outputs.predictions, doubted.tolist(), carrying.tolist(), known.tolist(), strict=True)
    found: dict[str, tuple[str, ...]] = {}
    for name, predicted, k, carry, of in rows:
        says, against, verb = ("says", of - carry, "lack") if predicted[k] else ("does not say", carry, "carry")
        link = f"but {against}" if 2 * against >= of else f"and only {against}" if against else "and none"
        neighbours = f", {link} of {of} neighbours {verb} it" if of else ""
        found[str(name)] = (f"{says} {classes[k]!r}{neighbours}",)
    return found
