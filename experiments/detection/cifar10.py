"""CIFAR-10 and a ResNet-20: python -m experiments.detection.cifar10 --data FOLDER."""

from __future__ import annotations

from experiments.detection.stream_quality import run
from experiments.shared.command_line import Options, options
from experiments.shared.image_sets import require_packages
from experiments.shared.splits import ALL, cifar10_maker

FILES = ("train.parquet", "dev.parquet", "classes.json", "resnet20d.safetensors")
ABOUT = """\
CIFAR-10 photographs, recompressed as JPEG, and a ResNet-20 with dropout trained on 20,000 of them, which are also the
reference. Of 5,000 others half calibrate and half are screened. Of no known class are solar cells, digits and crops of
photographs."""


def main(chosen: Options) -> None:
    """Measure CIFAR-10."""
    if chosen.data is None or (missing := [name for name in FILES if not (chosen.data / name).is_file()]):
        where = "--data was not given" if chosen.data is None else f"{chosen.data} lacks {', '.join(missing)}"
        raise SystemExit(f"{where}; --data is a folder with {', '.join(FILES)}, see experiments/README.md")
    require_packages()
    run("cifar10", "CIFAR-10", ABOUT, {ALL: cifar10_maker(chosen.data, chosen.cache)}, chosen)


if __name__ == "__main__":
    main(options(__doc__))
