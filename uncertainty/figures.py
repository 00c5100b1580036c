"""Figures as they are printed: numbers with their nouns, shares and probabilities that are never rounded to nothing."""

from __future__ import annotations


def number_of(n: int, one: str, many: str = "") -> str:
    """Return a number with what is counted, in the singular where it is one.

    >>> number_of(1, "image"), number_of(3, "image"), number_of(1, "image is", "images are"), number_of(0, "image")
    ('1 image', '3 images', '1 image is', '0 images')
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def percent(share: float | None) -> str:
    """Return a share in words: 0 and 1 are said of nothing and all alone.

    >>> percent(0.123), percent(0.0), percent(0.0001), percent(0.9999), percent(None)
    ('12.3%', '0.0%', '<0.1%', '>99.9%', "(can't be said)")
    """
    if share is None:
        return "(can't be said)"
    return _inside(share, f"{share:.1%}", "0.0%", "100.0%", "<0.1%", ">99.9%")


def probability(p: float, digits: int = 3) -> str:
    """Return a probability in some digits: what is above 0 and below 1 is not called either.

    >>> probability(0.25), probability(0.0001), probability(0.99999), probability(1.0)
    ('0.250', '<0.001', '>0.999', '1.000')
    >>> probability(0.996, 2), probability(0.994, 2)
    ('>0.99', '0.99')
    """
    nothing, whole, step = f"{0:.{digits}f}", f"{1:.{digits}f}", 10**-digits
    return _inside(p, f"{p:.{digits}f}", nothing, whole, f"<{step:.{digits}f}", f">{1 - step:.{digits}f}")


def _inside(value: float, text: str, nothing: str, whole: str, little: str, nearly: str) -> str:
    if text == nothing and value > 0:
        return little
    return nearly if text == whole and value < 1 else text
