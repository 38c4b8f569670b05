"""What the OpenAPI document says of requests and answers that carry pictures."""

from typing import Any

from quietpixel.files import FORMATS
from quietpixel.web.problems import MEDIA_TYPE, SCHEMA
from quietpixel.web.processing import MEDIA_TYPES

_WHAT = {
    400: "The request cannot be understood.",
    401: "The token is missing or wrong.",
    403: "A page of another site made the request.",
    408: "The body came too slowly.",
    413: "The body or the picture is larger than the service takes.",
    421: "The service was called under a name that it does not answer to.",
    422: "The picture or a parameter cannot be used; the detail says why.",
    500: "The service itself failed.",
    503: "There is no room now; Retry-After says when to try again.",
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One picture file, as it is or as the only part of a form.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": _BINARY,
            "image/*": _BINARY,
        },
    }
}


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": schema,
        "description": description,
    }


PARAMETERS: dict[str, Any] = {
    "parameters": [
        _parameter(
            "model",
            {"type": "string"},
            "A name from /v1/models. Left out, the model for photographs is taken.",
        ),
        _parameter(
            "sigma",
            {
                "anyOf": [
                    {"type": "number", "minimum": 0},
                    {"type": "string", "enum": ["auto"]},
                    {"type": "string", "pattern": r"^[0-9]{1,3}/255$"},
                ],
                "default": "auto",
            },
            "Noise level on the [0, 1] scale, for models that take it; also as a fraction such as "
            "25/255. 'auto' estimates it.",
        ),
        _parameter(
            "strength",
            {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
            "From 0 to 1, the share of the result in its blend with the input; from 1 to 2, a "
            "factor on the noise level given to the model.",
        ),
        _parameter(
            "colour_strength",
            {"type": "number", "minimum": 0, "maximum": 2},
            "As strength, for colour differences alone. Default: strength.",
        ),
        _parameter(
            "format",
            {"type": "string", "enum": list(FORMATS)},
            "Format of the answer. Left out, that of the picture.",
        ),
    ]
}

_HEADERS = {
    "Quietpixel-Model": ("The model that was used.", "string"),
    "Quietpixel-Sigma": ("The noise level that was used, if the model takes one.", "number"),
    "Quietpixel-Notes": ("A JSON list of sentences on what to know.", "string"),
    "Quietpixel-Picture": ("What the file holds, as the object of /v1/estimate.", "string"),
    "Server-Timing": ("Milliseconds for reading, denoising and writing.", "string"),
}

PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture without its noise: same size, depth, profile and metadata.",
        "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
        "headers": {
            name: {"description": text, "schema": {"type": kind}}
            for name, (text, kind) in _HEADERS.items()
        },
    }
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of answers that say what went wrong."""
    return {
        status: {"description": _WHAT[status], "content": {MEDIA_TYPE: {"schema": SCHEMA}}}
        for status in (*statuses, 401, 403, 421)
    }
