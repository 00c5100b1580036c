import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from uncertainty.errors import ImageError
from uncertainty.images.decoding import Reading, decode, size

EXAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def scan(values, preamble=bytes(128), **tags):
    """A file of grey values, in a 16-bit word each; what `tags` say beside the usual ones."""
    known = pydicom.Dataset()
    known.file_meta = FileMetaDataset()
    known.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    known.file_meta.MediaStorageSOPClassUID = known.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    known.file_meta.MediaStorageSOPInstanceUID = known.SOPInstanceUID = generate_uid()
    known.Rows, known.Columns = values.shape[-2:]
    known.SamplesPerPixel, known.PhotometricInterpretation = 1, "MONOCHROME2"
    known.BitsAllocated, known.BitsStored, known.HighBit = 16, 12, 11
    known.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(known, name, value)
    known.PixelData = values.tobytes()
    known.preamble = preamble
    stream = io.BytesIO()
    known.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_the_window_becomes_0_to_255():
    pixels = decode(scan(RAMP, WindowCenter=2048, WindowWidth=1024)).pixels[:, :, 0]
    assert pixels.ravel()[1535] == 0
    assert pixels.ravel()[2560] == 255
    middle = pixels.ravel()[1536:2560].astype(int)
    assert (np.diff(middle) >= 0).all()
    assert abs(int(pixels.ravel()[2047]) - 127) <= 1


def test_slope_and_intercept_come_before_the_window():
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    plain = decode(scan(RAMP, WindowCenter=1064, WindowWidth=400)).pixels
    rescaled = decode(scan(RAMP, WindowCenter=40, WindowWidth=400, **tags)).pixels
    assert np.abs(plain.astype(int) - rescaled).max() <= 1
    assert rescaled.min() == 0
    assert rescaled.max() == 255


def of_a_frame(**tags):
    """What an enhanced scan says of its frames, or of one of them."""
    rescale, window, group = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    for name, value in tags.items():
        setattr(window if name.startswith("Window") else rescale, name, value)
    group.PixelValueTransformationSequence = [rescale] if len(rescale) else []
    group.FrameVOILUTSequence = [window] if len(window) else []
    return group


def test_enhanced_scans_are_shown_as_classic_ones():
    """pydicom looks for slope and window at the top alone."""
    rescale = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    windows = [{"WindowCenter": center, "WindowWidth": 400} for center in (40, 3000)]
    enhanced = scan(
        np.stack([RAMP, RAMP]),
        NumberOfFrames=2,
        SharedFunctionalGroupsSequence=[of_a_frame(**rescale)],
        PerFrameFunctionalGroupsSequence=[of_a_frame(**window) for window in windows],
    )
    for frame, window in enumerate(windows, 1):
        classic = decode(scan(RAMP, **rescale, **window)).pixels
        found = decode(enhanced, reading=Reading(frame=frame))
        np.testing.assert_array_equal(found.pixels, classic)
        assert 0 < classic.mean() < 255


def test_the_first_of_two_windows():
    two = decode(scan(RAMP, WindowCenter=[2048, 100], WindowWidth=[1024, 10])).pixels
    assert (two == decode(scan(RAMP, WindowCenter=2048, WindowWidth=1024)).pixels).all()


def test_monochrome1_is_turned_round():
    plain = decode(scan(RAMP, WindowCenter=2048, WindowWidth=1024)).pixels
    turned = decode(scan(RAMP, WindowCenter=2048, WindowWidth=1024, PhotometricInterpretation="MONOCHROME1")).pixels
    assert (turned == 255 - plain).all()


def test_without_a_window_all_that_the_bits_hold():
    decoded = decode(scan(RAMP))
    assert (decoded.pixels[:, :, 0] == RAMP >> 4).all()
    assert decoded.remarks == ("windowless",)
    told = decode(scan(RAMP // 4), reading=Reading(bits=10))
    assert (told.pixels[:, :, 0] == RAMP >> 4).all()
    assert not told.remarks
    with pytest.raises(ImageError, match=r"has values from 0 to 4095, beyond bits=10"):
        decode(scan(RAMP), reading=Reading(bits=10))


def test_signed_values():
    pixels = decode(scan(RAMP.astype(np.int16) - 2048)).pixels[:, :, 0]
    assert (pixels == RAMP >> 4).all()


def test_frames():
    data = scan(np.stack([RAMP, RAMP[::-1]]), NumberOfFrames=2, WindowCenter=2048, WindowWidth=4096)
    assert decode(data).remarks == ("frames",)
    second = decode(data, reading=Reading(frame=2))
    assert (second.pixels == decode(data).pixels[::-1]).all()
    assert not second.remarks
    with pytest.raises(ImageError, match="has 2 frames, and frame 3 is asked for"):
        decode(data, reading=Reading(frame=3))


def test_a_preamble_that_is_a_tiff_is_still_dicom():
    data = scan(RAMP, preamble=b"II*\0" + bytes(124), WindowCenter=2048, WindowWidth=4096)
    assert decode(data).pixels[-1, -1].tolist() == [255] * 3


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr", "SC_rgb_rle_16bit", "SC_ybr_full_422_uncompressed"])
def test_colours_come_as_rgb(name):
    decoded = decode(EXAMPLES / f"{name}.dcm")
    assert decoded.pixels[5, 50].tolist() == pytest.approx([255, 0, 0], abs=2)
    assert (decoded.width, decoded.height) == size(EXAMPLES / f"{name}.dcm")


def test_a_palette_becomes_colours():
    assert decode(EXAMPLES / "examples_palette.dcm").pixels.std(axis=2).max() > 50


def test_a_file_without_a_picture_and_too_many_pixels():
    with pytest.raises(ImageError, match="is a DICOM file without a picture"):
        decode(EXAMPLES / "rtplan.dcm")
    with pytest.raises(ImageError, match="has 4,096 pixels, more than the limit of 1,000"):
        decode(scan(RAMP), max_pixels=1000)


def test_bits_that_lie_elsewhere_in_their_word_are_refused():
    with pytest.raises(ImageError, match="keeps its 12 bits up to bit 15, which is not read; convert it"):
        decode(scan(RAMP, HighBit=15))


def test_without_the_extra_it_is_named(monkeypatch):
    data = scan(RAMP)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"is a DICOM image; install uncertainty-vision\[dicom\] to read it"):
        decode(data)
