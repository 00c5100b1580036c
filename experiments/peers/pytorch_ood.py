"""Every detector of pytorch-ood that logits, features, dropout and the last layer suffice for, with default arguments.

KNN also comes with k = 10: its default, 50, is the paper's for 50,000 images. Its sign is ours: "larger values indicate
that the input is more likely to be out-of-distribution" (pytorch_ood.api).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from experiments.peers.detector import (
    CALIBRATION,
    LAST_LAYER,
    REFERENCE,
    Detector,
    Known,
    Score,
    linear,
    numbers,
    tensor,
)
from experiments.shared.last_layer import LastLayer
from uncertainty import ModelOutputs

PROJECT = "pytorch-ood"
LEFT_OUT = (
    "pytorch-ood ODIN and MahalanobisODIN: they change the pixels by a gradient; here every score reads outputs alone.",
    "pytorch-ood Gram, MultiMahalanobis and RankFeat: they read maps of inner layers, which outputs do not hold.",
    "pytorch-ood MCM: it needs embeddings of the class names by a model of vision and language.",
    "pytorch-ood WeightedEBO: it needs weights learnt by training with VOS; without them it is EnergyBased.",
)
Make = Callable[[LastLayer], Any]
_BATCH = 512
_DICE_SPARSITY = 0.9  # of the paper on CIFAR-10; the library has no default
_FEATURES = ("features", REFERENCE)
_HEAD = ("features", LAST_LAYER)
_FITTED_HEAD = ("features", LAST_LAYER, REFERENCE)


def detectors() -> Sequence[Detector]:
    """Return the detectors."""
    return [
        *(_on_logits(name) for name in ("MaxSoftmax", "MaxLogit", "EnergyBased", "Entropy", "GEN")),
        *(_on_logits(name, CALIBRATION) for name in ("KLMatching", "TemperatureScaling")),
        _on_logits("OpenMax", REFERENCE),
        *(_on_features(name, _FEATURES, _plain(name)) for name in ("KNN", "Mahalanobis", "RMD", "GMM")),
        _on_features("KNN-10", _FEATURES, lambda last_layer: _detector("KNN")(None, k=10)),
        *(_on_features(name, _FITTED_HEAD, _with_head(name)) for name in ("NNGuide", "SHE", "fDBD", "NCI", "PNML")),
        _on_features("ViM", _FITTED_HEAD, _vim),
        _on_features("DICE", _FITTED_HEAD, _dice),
        _on_features("LTS", _HEAD, _with_head("LTS")),
        *(_on_maps(name, _FITTED_HEAD, _on_head(name)) for name in ("ReAct", "VRA")),
        _on_maps("SCALE", _HEAD, _on_head("SCALE")),
        *(_on_maps(f"ASH-{v}", _HEAD, _on_head("ASH", variant=f"ash-{v.lower()}")) for v in "SPB"),
        *(_on_gradients(name) for name in ("GradNorm", "GradUncertainty")),
        Detector(PROJECT, "NACUE", _FITTED_HEAD, _nacue),
        *(_dropout(mode) for mode in ("var", "mean")),
    ]


def _detector(name: str) -> Any:
    import pytorch_ood.detector

    return getattr(pytorch_ood.detector, name)


def _on_logits(name: str, fitted_on: str | None = None) -> Detector:
    def fit(known: Known) -> Score:
        detector = _detector(name)(None)
        if fitted_on is not None:
            rows = known.calibration if fitted_on == CALIBRATION else known.reference
            detector.fit_logits(tensor(rows.logits), tensor(rows.labels))
        return lambda outputs: numbers(detector.predict_logits(tensor(outputs.logits)))

    return Detector(PROJECT, name, ("logits",) if fitted_on is None else ("logits", fitted_on), fit)


def _on_features(name: str, needs: tuple[str, ...], make: Make) -> Detector:
    def fit(known: Known) -> Score:
        detector = make(known.last_layer)
        if REFERENCE in needs:
            detector.fit_features(tensor(known.reference.features), tensor(known.reference.labels))
        return lambda outputs: numbers(detector.predict_features(tensor(outputs.features)))

    return Detector(PROJECT, name, needs, fit)


def _on_maps(name: str, needs: tuple[str, ...], make: Make) -> Detector:
    """Give pooled features as maps of one pixel, as the library's documentation says."""

    def fit(known: Known) -> Score:
        detector = make(known.last_layer)
        if REFERENCE in needs:
            detector.fit_feature_maps(_maps(known.reference), tensor(known.reference.labels))
        return lambda outputs: numbers(detector.predict_feature_maps(_maps(outputs)))

    return Detector(PROJECT, name, needs, fit)


def _on_gradients(name: str) -> Detector:
    """Take the gradients of the last layer's weights alone, as the papers do."""

    def fit(known: Known) -> Score:
        model = linear(known.last_layer).requires_grad_(True)
        detector = _detector(name)(model, param_filter=lambda parameter: parameter == "weight")
        return lambda outputs: numbers(_in_batches(detector.predict, tensor(outputs.features)))

    return Detector(PROJECT, name, _HEAD, fit)


def _nacue(known: Known) -> Score:
    import torch

    def batches(outputs: ModelOutputs) -> list[tuple[Any, Any]]:
        rows = tensor(outputs.features).requires_grad_(True)  # the features are the inputs, and it needs their gradient
        labels = tensor(outputs.labels if outputs.labels is not None else outputs.predictions)
        return [
            (x.detach().requires_grad_(True), y) for x, y in zip(rows.split(_BATCH), labels.split(_BATCH), strict=True)
        ]

    layer = torch.nn.Identity()
    detector = _detector("NACUE")(torch.nn.Sequential(layer, linear(known.last_layer)), layers=[layer])
    detector.fit(batches(known.reference))
    return lambda outputs: numbers(torch.cat([detector.predict(x) for x, _ in batches(outputs)]))


def _dropout(mode: str) -> Detector:
    """Replay the sub-networks that were run already, in place of passes of its own."""

    def score(outputs: ModelOutputs) -> Any:
        import torch

        probs = tensor(outputs.require("mc_probs", "MCD"))
        turns = iter(probs.clamp_min(torch.finfo(torch.float32).tiny).log().unbind(1))

        class Replay(torch.nn.Module):
            def forward(self, x: Any) -> Any:
                return next(turns)

        return numbers(_detector("MCD")(Replay().eval(), samples=probs.shape[1], mode=mode).predict(probs[:, 0]))

    return Detector(PROJECT, f"MCD-{mode}", ("mc_probs",), lambda known: score)


def _plain(name: str) -> Make:
    return lambda last_layer: _detector(name)(None)


def _with_head(name: str) -> Make:
    return lambda last_layer: _detector(name)(None, linear(last_layer))


def _vim(last_layer: LastLayer) -> Any:
    weight, bias = tensor(last_layer.weight), tensor(last_layer.bias)
    return _detector("ViM")(None, d=weight.shape[1] // 2, w=weight, b=bias)  # what it takes itself where d is too large


def _dice(last_layer: LastLayer) -> Any:
    return _detector("DICE")(None, w=tensor(last_layer.weight), b=tensor(last_layer.bias), p=_DICE_SPARSITY)


def _on_head(name: str, **arguments: Any) -> Make:
    def make(last_layer: LastLayer) -> Any:
        head = linear(last_layer)
        return _detector(name)(None, lambda maps: head(maps.flatten(1)), **arguments)

    return make


def _maps(outputs: ModelOutputs) -> Any:
    return tensor(outputs.features)[:, :, None, None]


def _in_batches(predict: Callable[[Any], Any], rows: Any) -> Any:
    import torch

    return torch.cat([predict(part) for part in rows.split(_BATCH)])
