"""Arguments that command lines are made of."""

from conftest import CLASSES

SPEC = "user_models:tiny?weights=weights.safetensors"
FIT = ("--passes", "4", "--expect-unknown", "0")


def fit_arguments(world, out, **changes):
    options = {"model": SPEC, "reference": world.reference, "calibration": world.calibration, "o": out} | changes
    return ["fit", *FIT, *(x for k, v in options.items() if v is not None for x in ("-o" if k == "o" else f"--{k}", v))]


def labels_of(folder):
    return {path.name: CLASSES[i % 3] for i, path in enumerate(sorted(folder.iterdir()))}
