"""Who speaks for another class, in words."""

from dataclasses import replace

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
