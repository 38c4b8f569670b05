"""Takes out of an exported graph what the converter adds around transposed convolutions."""

from collections.abc import Iterable

import onnx


def drop_idle_crops(model: onnx.ModelProto) -> None:
    """Drop, in place, the crop and the padding after transposed convolutions that need none.

    A transposed convolution whose kernel is as large as its stride gives exactly the size that is
    wanted. The converter does not see that: it works out the size at run time, cuts to it and pads
    to it, which cost a tenth of the model's time.
    """
    graph = model.graph
    for node in list(graph.node):
        if node.op_type == "ConvTranspose" and _attribute(node, "kernel_shape") == _attribute(
            node, "strides"
        ):
            last = _follow(graph.node, node.output[0], ("Slice", "Pad"))
            _redirect(graph.node, last, node.output[0])
    _drop_unused(graph)


def _attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return [value for a in node.attribute if a.name == name for value in a.ints]


def _follow(nodes: Iterable[onnx.NodeProto], tensor: str, kinds: tuple[str, ...]) -> str:
    """Return the tensor that `tensor` becomes after one node of each of `kinds`, where they are."""
    for kind in kinds:
        followers = [n for n in nodes if n.op_type == kind and n.input[0] == tensor]
        tensor = followers[0].output[0] if followers else tensor
    return tensor


def _redirect(nodes: Iterable[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for i, name in enumerate(node.input):
            if name == old and old != new:
                node.input[i] = new


def _drop_unused(graph: onnx.GraphProto) -> None:
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [weight for weight in graph.initializer if weight.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    del graph.value_info[:]
