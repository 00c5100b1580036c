"""Photographs to try things on, made offline: scikit-learn's handwritten digits, painted on its two photographs."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.datasets import load_digits, load_sample_images
from torch.utils.data import Dataset

SIDE = 48


def paint(pixels, ground, rng):
    """Return a picture of an 8 x 8 digit (0..16), painted in a colour of its own on a piece of a photograph."""
    high, wide = (int(rng.integers(size - SIDE)) for size in ground.shape[:2])
    piece = ground[high : high + SIDE, wide : wide + SIDE].astype(float)
    mask = np.asarray(Image.fromarray((pixels * 15).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    cover = np.clip(mask[..., None] / 255 * rng.uniform(0.7, 1.0), 0, 1)
    return Image.fromarray((piece * (1 - cover) + rng.uniform(120, 255, 3) * cover).astype(np.uint8))


def painted_digits(seed=0):
    """Return 1,797 pictures and their labels, in an order drawn by the seed."""
    rng, digits = np.random.default_rng(seed), load_digits()
    grounds = load_sample_images().images
    order = rng.permutation(len(digits.target))
    pictures = [paint(digits.images[row], grounds[row % 2], rng) for row in order]
    return pictures, digits.target[order].tolist()


DAMAGE = {
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(3)),
    "dark": lambda picture: ImageEnhance.Brightness(picture).enhance(0.15),
    "pale": lambda picture: ImageEnhance.Contrast(picture).enhance(0.15),
}


def write_folders(folder, pictures, labels):
    """Write `train/` and `validation/`, one folder a class, and `incoming/`, a third of it damaged, with its labels."""
    folder = Path(folder)
    for k, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        part = "train" if k < 700 else "validation" if k < 1300 else None
        name = folder / part / str(label) / f"{k:04}.png" if part else folder / "incoming" / f"{k:04}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        if part is None and k % 3 == 0:
            picture = list(DAMAGE.values())[k // 3 % len(DAMAGE)](picture)
        picture.save(name)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label"])
        writer.writerows((f"{k:04}.png", label) for k, label in enumerate(labels) if k >= 1300)


class Pictures(Dataset):
    """Pictures and labels as a torch Dataset, with what is to be done to each picture."""

    def __init__(self, pictures, labels, change=lambda picture: picture):
        self.pictures, self.labels, self.change = pictures, labels, change

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return self.change(self.pictures[index]), self.labels[index]


def train(network, pictures, labels, preprocess, epochs=12):
    """Train a network for some seconds, on pictures prepared as the classifier will have them."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed(0)
    inputs = torch.from_numpy(np.stack([preprocess(np.asarray(picture)) for picture in pictures]))
    truth, optimizer = torch.tensor(labels), torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            cross_entropy(network(inputs[rows]), truth[rows]).backward()
            optimizer.step()
    return network.eval()
