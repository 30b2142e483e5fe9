"""Halves a graph: weights and activations become float16 between inputs and outputs that stay as they are.

A product with weights (a convolution, a product of matrices) is halved if another product follows. So the last products
stay in float32 and whatever comes after them, which is the log-variance, exponentials and the rounding of data. Between
products other operators are halved if they are listed here and a halved one takes their answers. Scaling before the
first product, norms with their affine part, softmax, reductions and what only these take stay in float32.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass, ShapeInferencePass

FULL, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_NORMS = frozenset({"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"})
_AFFINE = frozenset({"Add", "Mul", "Reshape"})  # these follow the norm itself in an exported GroupNorm
_LIGHT = _AFFINE | {
    *("Abs", "Clip", "Div", "LeakyRelu", "Max", "Min", "Neg", "PRelu", "Relu", "Sigmoid", "Sub", "Tanh", "Where"),
    *("AveragePool", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Resize"),
    *("Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
}
_ANY_TYPE = frozenset({"Shape", "Size"})
_FULL_INPUTS = {"Resize": (1, 2)}  # its region and its scales are float32 by definition
_LARGEST = float(np.finfo(np.float16).max)


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a sound float32 graph in float16; the same graph gives the same bytes."""
    whole = ShapeInferencePass()(ir.from_proto(model)).model
    places = _halved_inputs(whole.graph)
    casts = _Casts(whole.graph)
    for node, inputs in places.items():
        for place in inputs:
            value = node.inputs[place]
            if value is not None and value.dtype is FULL:  # its producer was not halved
                node.replace_input_with(place, casts.to(HALF, value))
        for output in _outputs(node, FULL):
            output.dtype = HALF
    for node in places:
        for output in _outputs(node, HALF):
            for user, place in list(output.uses()):
                if user not in places and user.op_type not in {"Cast", *_ANY_TYPE}:
                    user.replace_input_with(place, casts.to(FULL, output))
    RemoveUnusedNodesPass()(whole)
    return ir.to_proto(whole)


def with_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a halved graph that answers on every provider as one with float16 kernels does.

    Each operator computes in float32 and its result is rounded to float16. ONNX Runtime's CPU has no float16 kernels:
    there a halved graph runs in float32 and its activations are not rounded, so they do not overflow either.
    """
    whole = ShapeInferencePass()(ir.from_proto(model)).model
    casts = _Casts(whole.graph)
    for node in [node for node in whole.graph if node.op_type not in {"Cast", "Constant", *_ANY_TYPE}]:
        for place, value in enumerate(node.inputs):
            if value is not None and value.dtype is HALF:
                node.replace_input_with(place, casts.to(FULL, value))
        for output in _outputs(node, HALF):
            output.dtype = FULL
            users = list(output.uses())
            rounded = casts.to(HALF, output)
            for user, place in users:
                user.replace_input_with(place, rounded)
    return ir.to_proto(whole)


def is_halved(model: onnx.ModelProto) -> bool:
    """Whether any weight or activation of a graph is float16."""
    kinds = [weight.data_type for weight in model.graph.initializer]
    casts = [attribute.i for node in model.graph.node if node.op_type == "Cast" for attribute in node.attribute]
    return onnx.TensorProto.FLOAT16 in {*kinds, *casts}


def _halved_inputs(graph: ir.Graph) -> dict[ir.Node, list[int]]:
    """Returns the nodes to halve, in order, and which of their inputs become float16."""
    nodes = list(graph)
    in_norms, after_products = _affine_parts(nodes), _after_products(nodes)
    before_products: set[ir.Node] = set()
    chosen: dict[ir.Node, list[int]] = {}
    for node in reversed(nodes):
        users = [user for output in node.outputs for user, _ in output.uses()]
        if any(user.op_type in _PRODUCTS or user in before_products for user in users):
            before_products.add(node)
        if _is_weighted(node):
            is_inside = node in before_products
        else:  # what only float32 operators take, as squares and attention's scores, may be too large for float16
            is_inside = node in after_products and any(user in chosen for user in users)
        if is_inside and node.op_type in _PRODUCTS | _LIGHT and node not in in_norms and _fits(node):
            chosen[node] = _float_inputs(node)
    return dict(reversed(chosen.items()))


def _is_weighted(node: ir.Node) -> bool:
    """Whether a node is a product with weights, which are what takes time and memory."""
    return node.op_type in _PRODUCTS and any(_constant(node.inputs[place]) for place in _float_inputs(node))


def _after_products(nodes: list[ir.Node]) -> set[ir.Node]:
    """Returns the nodes that depend on a product."""
    after: set[ir.Node] = set()
    for node in nodes:
        producers = {value.producer() for value in node.inputs if value is not None}
        if any(producer and (producer.op_type in _PRODUCTS or producer in after) for producer in producers):
            after.add(node)
    return after


def _affine_parts(nodes: list[ir.Node]) -> set[ir.Node]:
    """Returns the nodes that scale and shift what a norm answers by constants, or shape it."""
    parts: set[ir.Node] = set()
    for node in nodes:
        varying = [node.inputs[place] for place in _float_inputs(node) if _constant(node.inputs[place]) is None]
        producer = varying[0].producer() if len(varying) == 1 and varying[0] else None
        if producer and node.op_type in _AFFINE and (producer.op_type in _NORMS or producer in parts):
            parts.add(node)
    return parts


def _fits(node: ir.Node) -> bool:
    """Whether a node computes float32 from tensors and constants that float16 can hold, and answers nobody outside."""
    if node.domain or not _outputs(node, FULL) or any(output.is_graph_output() for output in node.outputs):
        return False
    if node.op_type == "Div" and _constant(node.inputs[1]) is None:  # a norm, or a softmax, in parts
        return False
    constants = (_constant(node.inputs[place]) for place in _float_inputs(node))
    return all(constant is None or _is_in_range(constant.numpy()) for constant in constants)


def _is_in_range(values: np.ndarray) -> bool:
    """Whether float16 holds every value, and not all as 0."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return largest <= _LARGEST and (not largest or float(np.float16(largest)) > 0)


def _float_inputs(node: ir.Node) -> list[int]:
    excepted = _FULL_INPUTS.get(node.op_type, ())
    values = enumerate(node.inputs)
    return [place for place, value in values if value is not None and value.dtype is FULL and place not in excepted]


def _outputs(node: ir.Node, dtype: ir.DataType) -> list[ir.Value]:
    return [output for output in node.outputs if output.dtype is dtype]


def _constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    return None if value is None or value.is_graph_input() else ir.convenience.get_const_tensor(value)


class _Casts:
    """Tensors in another type: a constant is converted here, any other by a node right after its producer."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._made: dict[ir.Value, ir.Value] = {}
        self._names = _unused_names(graph)

    def to(self, dtype: ir.DataType, value: ir.Value) -> ir.Value:
        """Returns a value in another type; always the same one for the same value."""
        if value not in self._made:
            constant = _constant(value)
            self._made[value] = self._cast(dtype, value) if constant is None else self._convert(dtype, constant)
        return self._made[value]

    def _convert(self, dtype: ir.DataType, constant: ir.TensorProtocol) -> ir.Value:
        tensor = ir.tensor(constant.numpy().astype(dtype.numpy()), name=next(self._names))
        value = ir.val(tensor.name, const_value=tensor)
        self._graph.register_initializer(value)
        return value

    def _cast(self, dtype: ir.DataType, value: ir.Value) -> ir.Value:
        node = ir.node("Cast", [value], {"to": dtype})
        (cast,) = node.outputs
        cast.name, cast.dtype, cast.shape = next(self._names), dtype, value.shape
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], node)
        else:
            self._graph.insert_after(producer, node)
        return cast


def _unused_names(graph: ir.Graph) -> Iterator[str]:
    used = {value.name for node in graph.all_nodes() for value in (*node.inputs, *node.outputs) if value is not None}
    number = 0
    while True:
        number += 1
        if (name := f"cast_{number}") not in used:
            yield name
