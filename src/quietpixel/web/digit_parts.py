"""The digit autoencoder in two ONNX files: encoder and decoder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quietpixel.errors import ModelError, naming_missing
from quietpixel.web.models import Models

CODE = re.compile(r"(^|/)code(_\d+)?/")
"""Names that the ONNX export gives to the operations of the layer ``code``."""
SIZE = (28, 28)
DEFAULT = "mnist-bottleneck"


def find_digit_model(models: Models) -> str | None:
    """Return the name of a model for the page's digits, None if there is none."""
    names = [
        name
        for name, card in models.cards.items()
        if "code" in card.training.get("options", {}) and (card.size, card.channels) == (SIZE, 1)
    ]
    return DEFAULT if DEFAULT in names else next(iter(names), None)


def split_digit_model(path: Path) -> tuple[bytes, bytes]:
    """Return encoder and decoder of a bottleneck model as ONNX files.

    The encoder has the input `image` and the outputs `code`, `first` and `second`, what its two
    convolutions return (N, channels, H, W). The decoder has the input `code` and the output
    `image`.

    Parameters
    ----------
    path
        ONNX file of a model whose dense layer ``code`` is its bottleneck.

    Raises
    ------
    ModelError
        If the model has no such layer.
    MissingDependencyError
        If the package onnx is not installed.
    """
    with naming_missing("Splitting the digit model needs", "web"):
        import onnx
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    nodes = list(model.graph.node)
    # A dense layer is exported as a product and a sum; the last of them gives the code.
    codes = [node for node in nodes if CODE.search(node.name) and node.op_type in ("Add", "MatMul")]
    if not codes:
        raise ModelError(
            f"The model '{path.stem}' has no layer 'code', so it cannot be split into encoder and "
            "decoder; use a bottleneck model."
        )
    code = codes[-1].output[0]
    before = nodes[: nodes.index(codes[-1])]
    # The page draws what both convolutions of the encoder return.
    first, second = [node.output[0] for node in before if node.op_type == "Relu"][:2]
    names = {code: "code", first: "first", second: "second"}
    extractor = onnx.utils.Extractor(model)
    noisy, clean = model.graph.input[0].name, model.graph.output[0].name
    encoder = extractor.extract_model([noisy], [*names])
    decoder = extractor.extract_model([code], [clean])
    return _rename(encoder, {**names, noisy: "image"}), _rename(decoder, {**names, clean: "image"})


def _rename(model: Any, names: Mapping[str, str]) -> bytes:
    graph = model.graph
    # A name stands wherever a value is declared, made or used; all must change together.
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for places in (node.input, node.output):
            places[:] = [names.get(name, name) for name in places]
    return model.SerializeToString()
