"""Run by a Python that has SafetyCage: python safetycage_process.py ASKED.npz ANSWER.npy; imports nothing of ours."""

import sys
from types import SimpleNamespace

import numpy as np
from safetycage.methods.doctor import DOCTOR
from safetycage.methods.msp import MSP


def main(asked_path, answer_path):
    """Score `probs` by `method`, trained on `known` with `labels`."""
    asked = np.load(asked_path, allow_pickle=False)
    model = SimpleNamespace(_get_probabilities=lambda x: x, _get_predictions=lambda x: x.argmax(axis=1))
    classes = {k: k for k in range(asked["known"].shape[1])}
    data = SimpleNamespace(num_classes=len(classes), classes=classes)
    method, _, variant = str(asked["method"]).partition("-")
    cage = DOCTOR(model, data, method=variant) if method == "DOCTOR" else MSP(model, data)
    cage.train_cage(asked["known"], asked["labels"])
    statistics = cage.predict(asked["probs"], None)
    np.save(answer_path, -statistics if cage.leq else statistics)


if __name__ == "__main__":
    main(*sys.argv[1:])
