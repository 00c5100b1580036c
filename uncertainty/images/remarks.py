"""What there is to say about many images together: of what was read, what was not, and how deep values were used."""

from __future__ import annotations

from collections.abc import Mapping

SEVERAL_FRAMES = "frames"
WINDOWLESS = "windowless"
TURNED = "turned"
_DEEP = "deep"


def in_words(counts: Mapping[str, int]) -> list[str]:
    """Return sentences from how many images have each remark of `DecodedImage`.

    >>> in_words({"frames": 2})
    ['2 images hold several frames or pages and one of them was read; frame=2 in the model spec reads the second']
    >>> in_words({"deep:16:12": 3, "deep:16:9": 1})[0]
    'all 4 16-bit images stay below 4,096 and are decoded nearly black: 12-bit content? say bits=12 in the model spec'
    >>> in_words({"deep:16:16": 3, "deep:16:12": 1})
    ['1 of 4 16-bit images stay below 4,096 and are decoded nearly black']
    """
    words = []
    if several := counts.get(SEVERAL_FRAMES, 0):
        verb = "images hold" if several > 1 else "image holds"
        words.append(
            f"{several} {verb} several frames or pages and one of them was read; frame=2 in the model spec reads the "
            "second"
        )
    if flat := counts.get(WINDOWLESS, 0):
        words.append(
            f"{flat} DICOM image{'s' * (flat > 1)} with more than 8 bits and no window: all that the bits can hold "
            "became 0 to 255, which may leave nearly one grey; say bits= in the model spec if fewer are used"
        )
    if turned := counts.get(TURNED, 0):
        were = "s with an EXIF orientation were" if turned > 1 else " with an EXIF orientation was"
        words.append(
            f"{turned} image{were} turned upright, which training with torchvision, timm or Keras does not do: say "
            "exif=false in the model spec if yours did not, exif=true if it did"
        )
    used: dict[int, dict[int, int]] = {}
    for remark, count in counts.items():
        kind, _, rest = remark.partition(":")
        if kind == _DEEP and count:
            declared, bits = map(int, rest.split(":"))
            of_depth = used.setdefault(declared, {})
            of_depth[bits] = of_depth.get(bits, 0) + count
    return words + [text for declared, found in sorted(used.items()) if (text := _deep(declared, found))]


def _deep(declared: int, found: Mapping[int, int]) -> str:
    """Say where images use so few of their bits that they are nearly black."""
    dark = {bits: count for bits, count in found.items() if bits <= declared - 2}
    if not dark:
        return ""
    total, few = sum(found.values()), sum(dark.values())
    content = max(8, max(dark) + max(dark) % 2)
    what = f"{declared}-bit images stay below {1 << content:,} and are decoded nearly black"
    if few < total:
        return f"{few} of {total} {what}"
    return f"all {total} {what}: {content}-bit content? say bits={content} in the model spec"
