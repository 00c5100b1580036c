"""DICOM, as scanners in hospitals write it, by pydicom (extra `dicom`)."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uncertainty.errors import ImageError
from uncertainty.images.formats.base import DecodedImage, Task, grey
from uncertainty.images.remarks import SEVERAL_FRAMES, WINDOWLESS

ENDINGS = ("dcm", "dicom", "dic")
_PREAMBLE, _MAGIC = 128, b"DICM"
_PALETTE, _INVERTED = "PALETTE COLOR", "MONOCHROME1"
_OF_FRAMES = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def recognises(head: bytes) -> bool:
    """Whether a file has the mark of DICOM behind its preamble.

    >>> recognises(bytes(128) + b"DICM"), recognises(bytes(132))
    (True, False)
    """
    return head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def read(stream: IO[bytes], task: Task) -> DecodedImage:
    """Decode the first frame, or `Reading.frame`, as a viewer shows it.

    Grey values go through the modality LUT (slope and intercept) and the first VOI window, which becomes 0..255; an
    enhanced scan may state both for each frame;
    without a window all values that the stored bits can have do, or those of `Reading.bits`. MONOCHROME1 is turned
    round. Colours come as RGB, whatever they were stored as. Raises ImageError where the extra is missing, for a file
    without a picture, and for a compression that no installed decoder reads.
    """
    known = _opened(stream, task)
    values = _frame(known, task)
    _lift(known, task.reading.frame)
    if known.PhotometricInterpretation == _PALETTE:
        from pydicom.pixels.processing import apply_color_lut

        values = apply_color_lut(values, known)
    pixels, remark = (_colours(values), "") if values.ndim == 3 else _shown(values, known, task)
    several = int(known.get("NumberOfFrames") or 1) > 1 and task.reading.frame == 1
    remarks = ((SEVERAL_FRAMES,) if several else ()) + ((remark,) if remark else ())
    return DecodedImage(np.ascontiguousarray(pixels), int(known.Columns), int(known.Rows), remarks)


def size(stream: IO[bytes], task: Task) -> tuple[int, int]:
    """Return (width, height), from the header alone."""
    known = _opened(stream, task)
    return int(known.Columns), int(known.Rows)


def _opened(stream: IO[bytes], task: Task) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise ImageError("is a DICOM image; install uncertainty-vision[dicom] to read it") from error
    known = pydicom.dcmread(stream)
    if "PixelData" not in known or not known.get("Rows") or not known.get("Columns"):
        raise ImageError("is a DICOM file without a picture")
    stored = int(known.BitsStored)
    if int(known.get("HighBit", stored - 1)) != stored - 1:  # pydicom reads as if it were
        raise ImageError(f"keeps its {stored} bits up to bit {known.HighBit}, which is not read; convert it")
    task.check(int(known.Columns), int(known.Rows))
    return known


def _frame(known: Any, task: Task) -> NDArray[Any]:
    from pydicom.pixels.utils import pixel_array

    frames, frame = int(known.get("NumberOfFrames") or 1), task.reading.frame
    if frame > frames:
        raise ImageError(f"has {frames} frames, and frame {frame} is asked for")
    return np.asarray(pixel_array(known, index=frame - 1))


def _lift(known: Any, frame: int) -> None:
    """Put slope and window of one frame of an enhanced scan where pydicom looks for them, at the top."""
    shared = known.get("SharedFunctionalGroupsSequence") or ()
    for group in (*shared[:1], *(known.get("PerFrameFunctionalGroupsSequence") or ())[frame - 1 : frame]):
        for name in _OF_FRAMES:
            for said in (group.get(name) or ())[:1]:
                known.update(said)


def _colours(values: NDArray[Any]) -> NDArray[np.uint8]:
    depth = 8 * values.dtype.itemsize
    return (values if depth == 8 else values >> (depth - 8)).astype(np.uint8)


def _shown(values: NDArray[Any], known: Any, task: Task) -> tuple[NDArray[np.uint8], str]:
    """Return grey values as a viewer shows them, and a remark where nobody said which range is meant."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    bits = task.reading.bits or int(known.BitsStored)
    if known.get("WindowCenter") is None and not known.get("VOILUTSequence"):
        low, high = _range(known, bits)
        if values.min() < low or values.max() > high:
            raise ImageError(f"has values from {values.min()} to {values.max()}, beyond bits={bits}")
        shown, remark = values.astype(np.float64), WINDOWLESS if bits > 8 and task.reading.bits is None else ""
    else:
        shown, remark = np.asarray(apply_voi_lut(apply_modality_lut(values, known), known), dtype=np.float64), ""
        low, high = _window_range(known)
    pixels = np.floor((shown - low) * (256 / (high - low + 1 if high - low >= 255 else high - low))).clip(0, 255)
    return grey((255 - pixels if known.PhotometricInterpretation == _INVERTED else pixels).astype(np.uint8)), remark


def _range(known: Any, bits: int) -> tuple[float, float]:
    """Return the least and the largest value that so many bits hold."""
    signed = known.PixelRepresentation == 1
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def _window_range(known: Any) -> tuple[float, float]:
    """Return what pydicom spreads a window over: the whole range of its output, not 0..255."""
    if known.get("VOILUTSequence"):
        return 0, (1 << int(known.VOILUTSequence[0].LUTDescriptor[2])) - 1
    if known.get("ModalityLUTSequence"):
        return 0, (1 << int(known.ModalityLUTSequence[0].LUTDescriptor[2])) - 1
    ends = _range(known, int(known.BitsStored))
    slope, intercept = float(known.get("RescaleSlope") or 1), float(known.get("RescaleIntercept") or 0)
    low, high = sorted(end * slope + intercept for end in ends)
    return low, high
