"""A model as `uncertainty fit --model 'my_models:painted?weights=painted.safetensors'` wants it.

A function without arguments returns the network, untrained, or a `Classifier` that also says what its classes are
called and how images are prepared for it. Weights come from the file that the spec names.
"""

from torch import nn

from uncertainty import Classifier, Preprocess

CLASSES = [str(digit) for digit in range(10)]
PREPROCESS = Preprocess(size=32, crop_pct=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def network() -> nn.Module:
    """Return a small convolutional network, (n, 3, 32, 32) to logits (n, 10); the last layer is a Linear."""
    layers = []
    for wide, wider in ((3, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(wide, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 4 * 4, len(CLASSES)))


def painted() -> Classifier:
    """Return the classifier of `painted_digits.py`."""
    return Classifier.from_module(network(), CLASSES, PREPROCESS)
