"""Who speaks for another class, in words."""

import re
from dataclasses import replace

import numpy as np
from problems import known_good, made_problem

from uncertainty import Screener
from uncertainty.screener.voices import voices


def test_who_speaks_for_another_class_is_told_in_words():
    fitted = Screener.fit_outputs(known_good(400, 1), made_problem(600, 2), classes=["ant", "bee", "cat", "dog"])
    new = made_problem(300, 3)
    found = voices(fitted, new)
    said = [voice for one in found.values() for voice in one]
    starts = {voice.rpartition(" ")[0] for voice in said}
    assert "the second opinion says" in starts
    other, fewer = "in other views the classifier answers", "without some of its units the classifier answers"
    assert starts <= {"the second opinion says", other, fewer}
    predicted = [fitted.model.classes[k] for k in new.predictions]
    for own, one in zip(predicted, found.values(), strict=True):
        assert all(not voice.endswith(own) for voice in one)
    flipped = {
        voice.rpartition(" ")[0] for one in voices(replace(fitted, views=("flip",)), new).values() for voice in one
    }
    assert other not in flipped
    assert voices(fitted, replace(new, embedding=None)) == {}


def test_without_a_second_opinion_the_feature_posterior_has_a_voice_but_not_far_from_all_known_good_images():
    blind = [replace(one, embedding=None) for one in (known_good(400, 1), made_problem(600, 2), made_problem(300, 3))]
    fitted = Screener.fit_outputs(*blind[:2], classes=["ant", "bee", "cat", "dog"])
    new, start = blind[2], "more cautious classifiers say "
    said = {name: one for name, one in voices(fitted, new).items() if any(voice.startswith(start) for voice in one)}
    names = new.ids.tolist()
    assert np.mean([new.wrong[names.index(name)] for name in said]) > 2 * new.wrong.mean()
    judge = next(one for one in fitted.estimators if one.name == "feature_posterior")
    judge.usual_ = np.array([-1e6, 1.0])  # every image is now far from all known-good ones
    assert not any(voice.startswith(start) for one in voices(fitted, new).values() for voice in one)


def test_of_several_labels_the_decision_in_most_doubt_is_told_with_the_neighbours_against_it():
    several = known_good(300, 1, "multilabel"), made_problem(400, 2, "multilabel")
    fitted = Screener.fit_outputs(*several, classes=["ant", "bee", "cat", "dog"])
    new = made_problem(300, 3, "multilabel")
    said = {name: one[0] for name, one in voices(fitted, new).items()}
    doubted = fitted.estimators[[e.name for e in fitted.estimators].index("fused_decisions")].decision_log_odds(new)
    for row, name in enumerate(new.ids):
        k = int(doubted[row].argmax())
        says, verb = ("says", "lack") if new.predictions[row, k] else ("does not say", "carry")
        assert re.fullmatch(
            rf"{says} '{fitted.model.classes[k]}', (but \d+|and only [1-9]|and none) of 20 neighbours {verb} it",
            said[name],
        )
    against = [("but" in said[name]) for name in new.ids[new.wrong]]
    assert np.mean(against) > 0.5 > np.mean([("but" in said[name]) for name in new.ids[~new.wrong]])
    blind = [replace(one, features=None, embedding=None) for one in (*several, new)]
    alone = Screener.fit_outputs(*blind[:2])
    assert set(next(iter(voices(alone, blind[2]).values()))[0].split(" '")[0].split()) <= {"says", "does", "not", "say"}
