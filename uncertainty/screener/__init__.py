"""The fitted whole: from what a classifier says to one verdict an image."""

from uncertainty.screener.screener import Screener

__all__ = ["Screener"]
