"""torch-uncertainty's out-of-distribution criteria, on logits, on dropout passes and after each of its calibrators.

Its sign is ours: each criterion is documented as larger where the prediction is more uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from experiments.peers.detector import CALIBRATION, Detector, Known, Score, numbers, tensor
from uncertainty import ModelOutputs

PROJECT = "torch-uncertainty"
LEFT_OUT = (
    "torch-uncertainty conformal predictors: they give sets of classes, with no score inside sets of one size.",
    "torch-uncertainty LaplaceApprox, MCBatchNorm and ABNN: they change the network or run it anew.",
)
SCALERS = ("TemperatureScaler", "VectorScaler", "MatrixScaler", "DirichletScaler")
BINNINGS = ("HistogramBinningScaler", "IsotonicRegressionScaler", "BBQScaler")
_SEED = 0


def detectors() -> Sequence[Detector]:
    """Return the detectors."""
    return [
        Detector(PROJECT, "MSP", ("logits",), _criterion("msp", lambda outputs: tensor(outputs.probs))),
        Detector(PROJECT, "MaxLogit", ("logits",), _criterion("logit", _single_logits)),
        Detector(PROJECT, "energy", ("logits",), _criterion("energy", _single_logits)),
        Detector(PROJECT, "entropy", ("logits",), _criterion("entropy", lambda o: tensor(o.probs)[:, None])),
        Detector(PROJECT, "MC MSP", ("mc_probs",), _criterion("msp", lambda o: _passes(o).mean(dim=1))),
        Detector(PROJECT, "MC entropy", ("mc_probs",), _criterion("entropy", _passes)),
        Detector(PROJECT, "MC mutual information", ("mc_probs",), _criterion("mutual_information", _passes)),
        Detector(PROJECT, "MC variation ratio", ("mc_probs",), _criterion("variation_ratio", _passes)),
        *(Detector(PROJECT, f"{name} MSP", ("logits", CALIBRATION), _calibrated(name)) for name in SCALERS + BINNINGS),
        Detector(PROJECT, "DEUP", ("logits", CALIBRATION), _deup),
    ]


def _criterion(name: str, read: Callable[[ModelOutputs], Any]) -> Callable[[Known], Score]:
    def fit(known: Known) -> Score:
        from torch_uncertainty.ood_criteria import get_ood_criterion

        return lambda outputs: numbers(get_ood_criterion(name)(read(outputs)))

    return fit


def _calibrated(name: str) -> Callable[[Known], Score]:
    def fit(known: Known) -> Score:
        import torch
        import torch_uncertainty.post_processing as post
        from torch_uncertainty.ood_criteria import get_ood_criterion

        classes = {"num_classes": known.calibration.n_classes} if name in SCALERS[1:] else {}
        scaler = getattr(post, name)(model=torch.nn.Identity(), **classes)
        scaler.fit(_loader(known.calibration), progress=False)
        msp = get_ood_criterion("msp")
        return lambda outputs: numbers(msp(scaler(tensor(outputs.logits)).softmax(dim=-1)))

    return fit


def _deup(known: Known) -> Score:
    import torch
    from torch_uncertainty.ood_criteria import get_ood_criterion
    from torch_uncertainty.post_processing import DEUP

    deup, criterion = DEUP("classification", torch.nn.Identity()), get_ood_criterion("deup")
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        deup.fit(_loader(known.calibration))
    return lambda outputs: numbers(criterion(deup(tensor(outputs.logits))))


def _single_logits(outputs: ModelOutputs) -> Any:
    return tensor(outputs.logits)[:, None]


def _passes(outputs: ModelOutputs) -> Any:
    return tensor(outputs.require("mc_probs", PROJECT))


def _loader(outputs: ModelOutputs) -> Any:
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(tensor(outputs.logits), tensor(outputs.labels)), batch_size=256)
