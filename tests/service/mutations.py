"""Requests that are nearly right: images, forms, JSON and heads with some of their structure changed, as strategies."""

import io
import json
import struct
import zlib

from hypothesis import strategies as st
from PIL import Image

BOUNDARY = "part"
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ENDINGS = ("", ".jpg", "/..", "\\", "\x00", "\u202e", "%00", "\ud800", "é", "x" * 300, "'", '"', "\r\nX-More: y")


def _picture(kind, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((13, 9)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


IMAGES = {
    "png": _picture("PNG"),
    "palette": _picture("PNG", "P"),
    "jpeg": _picture("JPEG"),
    "progressive": _picture("JPEG", progressive=True),
    "cmyk": _picture("JPEG", "CMYK"),
    "gif": _picture("GIF", "P"),
    "bmp": _picture("BMP"),
    "tiff": _picture("TIFF"),
    "deflated": _picture("TIFF", compression="tiff_deflate"),
    "webp": _picture("WEBP"),
    "lossless": _picture("WEBP", lossless=True),
    "avif": _picture("AVIF"),
    "ppm": _picture("PPM"),
    "ico": _picture("ICO"),
    "jpeg 2000": _picture("JPEG2000"),
}


@st.composite
def edited(draw, data, most=4):
    """Bytes cut, repeated, spliced, or with some of them set to numbers that lengths and sizes go wrong by."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(("set", "number", "cut", "insert", "repeat", "drop")))
        if how == "set":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "number":
            number = draw(st.sampled_from(EXTREMES))
            order = draw(st.sampled_from("<>"))
            data[at : at + 4] = struct.pack(f"{order}I", number)
        elif how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=20))
        elif how == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 64))] * draw(st.integers(1, 50))
        else:
            del data[at : at + draw(st.integers(1, 16))]
    return bytes(data)


@st.composite
def chunked_png(draw):
    """A PNG whose chunks are right in themselves, and not together: any size, order, number and content of them."""
    sizes = st.sampled_from((1, 2, 13, 4096, 65_535, 100_000, 0x7FFFFFFF))
    head = struct.pack(
        ">IIBBBBB",
        draw(sizes),
        draw(sizes),
        draw(st.sampled_from((1, 2, 4, 8, 16, 3))),
        draw(st.sampled_from((0, 2, 3, 4, 6, 5))),
        *(0, 0, draw(st.sampled_from((0, 1)))),
    )
    content = st.sampled_from((b"", zlib.compress(bytes(500)), zlib.compress(bytes(1 << 20)), b"\xff" * 40))
    names = st.sampled_from((b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"zTXt", b"acTL", b"fdAT", b"gAMA", b"IHDR"))
    chunks = [(b"IHDR", head), *draw(st.lists(st.tuples(names, content), max_size=6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


images = st.one_of(st.sampled_from(sorted(IMAGES)).flatmap(lambda name: edited(IMAGES[name])), chunked_png())

texts = st.one_of(st.sampled_from(ENDINGS), st.text(max_size=20))


def _bytes(text):
    return text.encode("utf-8", "surrogatepass")


@st.composite
def forms(draw):
    """The body of a form, and its content type; parts with odd heads and contents, then with odd bytes."""
    parts = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(("form-data", "attachment", "")))
        name, file = draw(texts), draw(st.one_of(st.none(), texts))
        head = f'Content-Disposition: {kind}; name="{name}"' + ("" if file is None else f'; filename="{file}"')
        more = draw(
            st.sampled_from(("", "\r\nContent-Type: text/html", "\r\nContent-Transfer-Encoding: base64", "\r\n:"))
        )
        content = draw(st.one_of(st.just(IMAGES["png"]), st.binary(max_size=30)))
        parts.append(b"--part\r\n" + _bytes(head + more) + b"\r\n\r\n" + content + b"\r\n")
    body = b"".join(parts) + draw(st.sampled_from((b"--part--\r\n", b"--part--", b"--part", b"")))
    if draw(st.booleans()):
        body = draw(edited(body))
    kinds = ("; boundary=part", "", "; boundary=", "; boundary=part; charset=utf-7", "; boundary=part; charset=zlib")
    return body, "multipart/form-data" + draw(st.sampled_from(kinds))


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from(EXTREMES)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@st.composite
def documents(draw):
    """JSON with URLs in it or not, then with odd bytes."""
    found = draw(
        st.one_of(values, st.builds(lambda urls: {"urls": urls}, st.one_of(values, st.lists(texts, max_size=5))))
    )
    body = _bytes(json.dumps(found, ensure_ascii=draw(st.booleans())))
    return draw(edited(body)) if draw(st.booleans()) else body


def _heads():
    lines = {
        b"content-type": st.one_of(
            st.sampled_from(("image/png", "multipart/form-data; boundary=x", "image/", ";", "")), texts
        ),
        b"content-length": st.one_of(st.sampled_from(EXTREMES).map(str), texts),
        b"host": st.one_of(st.sampled_from(("127.0.0.1", "localhost:99999", "[::1]", "evil.example")), texts),
        b"origin": texts,
        b"sec-fetch-site": st.sampled_from(("none", "same-origin", "cross-site", "")),
        b"authorization": texts,
        b"cookie": texts,
        b"accept": st.one_of(st.just("application/x-ndjson"), texts),
        b"idempotency-key": texts,
    }
    known = [st.tuples(st.just(name), value.map(_bytes)) for name, value in lines.items()]
    return st.lists(st.one_of(*known, st.tuples(st.binary(max_size=12), st.binary(max_size=30))), max_size=8)


heads = _heads()
names = ("name", "screener", "keep", "thumbnails", "after", "limit", "flagged", "since", "window", "x")
queries = st.lists(st.tuples(st.sampled_from(names), st.one_of(texts, st.sampled_from(EXTREMES).map(str))), max_size=5)
paths = st.one_of(
    st.sampled_from(("/v1/screen", "/v1/explain", "/v1/verdicts", "/v1/verdicts.parquet", "/v1/monitor", "/session")),
    texts,
)
