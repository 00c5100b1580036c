#!/usr/bin/env bash
# pydicom's apply_modality_lut and apply_voi_lut leave an enhanced CT, MR or PET as stored, without a word.
#
# Versions: pydicom 3.0.2, numpy 2.4.6.
# Expected: apply_modality_lut turns stored values into Hounsfield units by slope and intercept, and apply_voi_lut
#   applies the window, for every scan that states them; enhanced objects state them for each frame, in their functional
#   groups (PixelValueTransformationSequence, FrameVOILUTSequence).
# Seen: both functions look at the top of the data set alone. Classic CT: stored 1024 becomes 0 HU and the window is
#   applied. The same picture as an enhanced CT: 1024 stays 1024, and windowing changes nothing; no warning.
# Source: pydicom/pixels/processing.py; DICOM PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydicom==3.0.2 numpy==2.4.6
export OMP_NUM_THREADS=1
"$folder/venv/bin/python" -W error - <<'PY'
import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

STORED = np.array([[0, 1024, 1064, 1104, 4095]], dtype=np.uint16)


def scan(kind, top, groups=None):
    """One frame, written and read again."""
    known = Dataset()
    known.file_meta = FileMetaDataset()
    known.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    known.file_meta.MediaStorageSOPClassUID = known.SOPClassUID = kind
    known.file_meta.MediaStorageSOPInstanceUID = known.SOPInstanceUID = generate_uid()
    known.Rows, known.Columns = STORED.shape
    known.SamplesPerPixel, known.PhotometricInterpretation, known.PixelRepresentation = 1, "MONOCHROME2", 0
    known.BitsAllocated, known.BitsStored, known.HighBit = 16, 12, 11
    known.update(top)
    if groups is not None:
        known.NumberOfFrames = 1
        known.SharedFunctionalGroupsSequence, known.PerFrameFunctionalGroupsSequence = [groups], [Dataset()]
    known.PixelData = STORED.tobytes()
    stream = io.BytesIO()
    known.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return pydicom.dcmread(stream)


def shown(known):
    units = apply_modality_lut(known.pixel_array, known)
    return units.ravel().tolist(), apply_voi_lut(units, known).ravel().round(1).tolist()


rescale, window, groups = Dataset(), Dataset(), Dataset()
rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
window.WindowCenter, window.WindowWidth = 40, 80
groups.PixelValueTransformationSequence, groups.FrameVOILUTSequence = [rescale], [window]
classic = shown(scan(CTImageStorage, {**rescale, **window}))
enhanced = shown(scan(EnhancedCTImageStorage, {}, groups))
print(f"pydicom {pydicom.__version__}, numpy {np.__version__}")
print(f"expected of both: units {classic[0]}, windowed {classic[1]}, as of the classic CT")
print(f"seen of the enhanced CT: units {enhanced[0]}, windowed {enhanced[1]}")
assert classic[0] == [-1024, 0, 40, 80, 3071] and classic[1] != classic[0]
assert enhanced[0] == enhanced[1] == STORED.ravel().tolist()
PY
