"""Group norms of large pictures, in a form that ONNX Runtime computes as accurately as PyTorch.

PyTorch's exporter writes a group norm as Reshape and InstanceNormalization, which ONNX Runtime's CPU adds up in one
float32 sum over the whole group. A group of a picture of 768 x 768 has millions of values, and the answer of a decoder
is then five times as far from float64 as PyTorch's. Here every sum goes over the rows of the picture first.
"""

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnx_ir.tape import Tape

_LAST = np.array([-1])


def sum_in_stages(model: ir.Model) -> None:
    """Rewrites every group norm of a graph in place; what it answers stays the same, but for rounding."""
    for node in list(model.graph):
        if node.op_type == "InstanceNormalization" and _is_plain(node) and (shaped := _shaped(node)):
            tape = Tape()
            answer = _normalised(tape, node, *shaped)
            model.graph.insert_before(node, tape.nodes)
            ir.convenience.replace_all_uses_with(node.outputs[0], answer)
    RemoveUnusedNodesPass()(model)


def _normalised(tape: Tape, node: ir.Node, picture: ir.Value, groups: ir.Value) -> ir.Value:
    """Returns the same as the node: (x - mean) / sqrt(variance + epsilon), [batch, groups, values].

    Args:
        tape: takes the new nodes.
        node: the InstanceNormalization.
        picture: what is normalised, [batch, channels, ..., width].
        groups: the shape [batch, groups, -1].
    """
    last = _constant(tape, _LAST)

    def mean_of(rows: ir.Value) -> ir.Value:
        grouped = tape.op("Reshape", [rows, groups])
        return tape.op("ReduceMean", [grouped, last], {"keepdims": 1})

    values = node.inputs[0]
    mean = mean_of(tape.op("ReduceMean", [picture, last], {"keepdims": 0}))
    centred = tape.op("Sub", [values, mean])
    rows = tape.op("Reshape", [centred, tape.op("Shape", [picture])])
    squares = tape.op("ReduceSumSquare", [rows, last], {"keepdims": 0})
    width = tape.op("Cast", [tape.op("Shape", [picture], {"start": -1})], {"to": ir.DataType.FLOAT})
    variance = mean_of(tape.op("Div", [squares, width]))
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    deviation = tape.op("Sqrt", [tape.op("Add", [variance, _constant(tape, np.float32(epsilon))])])
    return tape.op("Div", [centred, deviation])


def _shaped(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """Returns what a norm's input was reshaped from, and the shape of its groups; None: it was not reshaped."""
    values = node.inputs[0]
    reshape = None if values is None else values.producer()
    if reshape is None or reshape.op_type != "Reshape" or reshape.inputs[0] is None or reshape.inputs[1] is None:
        return None
    shape = ir.convenience.get_const_tensor(reshape.inputs[1])
    is_grouped = shape is not None and shape.size == 3 and shape.numpy()[2] == -1
    return (reshape.inputs[0], reshape.inputs[1]) if is_grouped else None


def _is_plain(node: ir.Node) -> bool:
    """Whether a norm neither scales nor shifts: the exporter does that afterwards, for each channel."""
    for value, neutral in zip(node.inputs[1:3], (1, 0), strict=True):
        tensor = None if value is None else ir.convenience.get_const_tensor(value)
        if tensor is None or (tensor.numpy() != neutral).any():
            return False
    return True


def _constant(tape: Tape, value: np.ndarray | np.generic) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(value)})
