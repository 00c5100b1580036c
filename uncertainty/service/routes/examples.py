"""What the OpenAPI document says of bodies and answers that FastAPI does not read by itself, with examples."""

from __future__ import annotations

from typing import Any

_ROW = {
    "file_name": "roof-17.jpg",
    "predicted_label": "intact",
    "predicted_index": 0,
    "confidence": 0.61,
    "p_wrong": 0.83,
    "flagged": True,
    "threshold": 0.42,
    "rank": 1,
    "reasons": ["low_margin", "far_from_known_good"],
    "error": None,
    "est_margin": 0.78,
    "prob_intact": 0.61,
    "prob_cracked": 0.39,
    "screen_id": "0f5c7b1a2d3e4f60",
    "model_sha256": "9b74c9897bac770ffc029102a200c5de",
}
_ROW_SCHEMA = {
    "type": "object",
    "required": ["file_name", "p_wrong", "flagged", "threshold", "rank", "reasons", "error", "screen_id"],
    "properties": {
        "file_name": {"type": "string"},
        "predicted_label": {"type": ["string", "null"]},
        "predicted_index": {"type": ["integer", "null"]},
        "confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "p_wrong": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "flagged": {"type": "boolean"},
        "threshold": {"type": ["number", "null"]},
        "rank": {"type": ["integer", "null"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "error": {"type": ["string", "null"]},
        "screen_id": {"type": "string"},
        "model_sha256": {"type": ["string", "null"]},
        "thumbnail": {"type": ["string", "null"]},
    },
}
_EXPLANATION = {
    "file_name": "roof-17.jpg",
    "error": None,
    "confidence": 0.61,
    "reasons": ["low_margin"],
    "nearest": [{"name": "intact/4.jpg", "label": "intact", "distance": 0.31}],
    "seen": False,
    "words": ["roof-17.jpg: predicted intact, confidence 61.0 %"],
}


def _rows_of(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    known = {"screener": {"type": "string"}, "screen_id": {"type": "string"}}
    whole = {
        "type": "object",
        "required": ["screener", "screen_id", "rows"],
        "properties": {**known, "rows": {"type": "array", "items": schema}},
    }
    one = {"screener": "roofs", "screen_id": _ROW["screen_id"], "rows": [example]}
    lines = {"schema": {"type": "string"}, "example": '{"file_name": "roof-17.jpg", "p_wrong": 0.83, "flagged": true}'}
    return {
        "description": "A row for each image, in the order sent.",
        "content": {"application/json": {"schema": whole, "example": one}, "application/x-ndjson": lines},
    }


ROWS = _rows_of(_ROW_SCHEMA, _ROW)
EXPLANATIONS = _rows_of({"type": "object", "required": ["file_name", "error", "words"]}, _EXPLANATION)
_BYTES = {"schema": {"type": "string", "format": "binary"}}
BODIES = {
    "required": True,
    "description": "One image as it is, several as the files of a form, or URLs where the service allows them.",
    "content": {
        "image/jpeg": _BYTES,
        "image/png": _BYTES,
        "application/octet-stream": _BYTES,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {"images": {"type": "array", "items": {"type": "string", "format": "binary"}}},
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["urls"],
                "properties": {"urls": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
            },
            "example": {"urls": ["https://example.org/roof-17.jpg"]},
        },
    },
}
