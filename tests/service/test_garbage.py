"""What is there when a service begins is set apart from garbage collection; what comes and goes is collected."""

import gc
import weakref

from uncertainty.service.garbage import apart_from_what_stays, set_apart_anew


class Knot:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self):
        self.itself = self


def test_what_stays_is_set_apart_and_what_comes_is_collected():
    set_apart_anew()
    assert gc.get_freeze_count() == 0  # nothing is set apart where no service runs
    before = Knot()
    with apart_from_what_stays():
        assert gc.get_freeze_count() > 1000
        loaded, came = weakref.ref(before), weakref.ref(Knot())
        del before
        gc.collect()
        assert came() is None
        assert loaded() is not None
        set_apart_anew()
        assert loaded() is None
        with apart_from_what_stays():
            pass
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0
