"""Where the forward pass lives; the only rooms that import torch."""

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.preprocess import Preprocess

__all__ = ["Classifier", "Preprocess"]
