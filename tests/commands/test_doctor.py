"""`uncertainty doctor` and `uncertainty estimators`."""


def test_estimators_and_doctor(run):
    from uncertainty.estimators import discover

    status, text, err = run("estimators")
    assert (status, err) == (0, "")
    assert all(name in text for name in discover())
    status, text, _ = run("doctor")
    assert status == 0
    assert "uncertainty-vision" in text
