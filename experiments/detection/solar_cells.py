"""Solar cells, an ImageNet backbone with a trained head:
python -m experiments.detection.solar_cells --data FOLDER."""

from __future__ import annotations

from functools import partial

from experiments.detection.stream_quality import run
from experiments.shared.command_line import Options, options, say
from experiments.shared.image_sets import require_packages
from experiments.shared.splits import ALL, solar_backbone, solar_split

ABOUT = """\
2,624 photographs of solar cells (ELPV), mono- or polycrystalline and intact or defective by the experts' rating:
four classes. EfficientNet-Lite0 with ImageNet weights, frozen, and a head with dropout trained anew in each split on
1,000 of them; 750 calibrate and 874 are screened. Of no known class are digits, crops of photographs and CIFAR-10."""


def main(chosen: Options) -> None:
    """Measure solar cells; without CIFAR-10 there are no images of no known class."""
    require_packages()
    if chosen.data is None:
        say("solar_cells: no --data, so the stream with images of no known class is left out")
    backbone = solar_backbone(chosen.cache, chosen.data)
    run("solar_cells", "Solar cells", ABOUT, {ALL: partial(solar_split, backbone)}, chosen)


if __name__ == "__main__":
    main(options(__doc__))
