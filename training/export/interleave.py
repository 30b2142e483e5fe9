"""A pixel shuffle at the end of a decoder, in a form that ONNX Runtime's CPU computes by moving whole runs of channels.

PyTorch's exporter writes it as DepthToSpace, and a Transpose then moves the channels behind the places. ONNX Runtime
computes both value by value. Here the convolution before them answers its channels in the order of the picture, so that
the channels can move behind the places first, which ONNX Runtime does when it leaves its own layout. No number changes.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnx_ir.tape import Tape

_CHANNELS_LAST = [0, 2, 3, 1]


class _Shuffle(NamedTuple):
    """Convolution -> DepthToSpace -> Transpose. Nothing else takes the values between them."""

    convolution: ir.Node
    weights: list[npt.NDArray[np.number]]
    """Of the convolution; with its bias, if it has one."""
    block: int
    channels: int
    height: int
    width: int


def interleave(model: ir.Model) -> None:
    """Rewrites every pixel shuffle of a convolution, whose channels then come last, in place; no answer changes."""
    for node in list(model.graph):
        if node.op_type == "Transpose" and (shuffle := _shuffle_before(node)):
            tape = Tape()
            answer, old = _interleaved(tape, shuffle), node.outputs[0]
            model.graph.insert_before(node, tape.nodes)
            ir.convenience.replace_all_uses_with(old, answer, replace_graph_outputs=True)
            answer.type, answer.shape, answer.name, old.name = old.type, old.shape, old.name, None
    RemoveUnusedNodesPass()(model)


def _interleaved(tape: Tape, shuffle: _Shuffle) -> ir.Value:
    """Returns what the transpose answers: [batch, block * height, block * width, channels]."""
    convolution, weights, block, channels, height, width = shuffle
    ordered = [_constant(tape, _channels_last(values, channels)) for values in weights]
    values = tape.op("Conv", [convolution.inputs[0], *ordered], dict(convolution.attributes))
    values = tape.op("Transpose", [values], {"perm": _CHANNELS_LAST})
    runs = np.array([-1, height, width, block, block * channels])
    values = tape.op("Reshape", [values, _constant(tape, runs)])
    values = tape.op("Transpose", [values], {"perm": [0, 1, 3, 2, 4]})
    rows = np.array([-1, block * height, block * width, channels])
    return tape.op("Reshape", [values, _constant(tape, rows)])


def _channels_last(values: npt.NDArray[np.number], channels: int) -> npt.NDArray[np.number]:
    """Returns weights whose first axis, which had places within channels, has channels within places."""
    by_channel = values.reshape(channels, -1, *values.shape[1:])
    return np.ascontiguousarray(by_channel.swapaxes(0, 1)).reshape(values.shape)


def _shuffle_before(transpose: ir.Node) -> _Shuffle | None:
    """Returns the pixel shuffle whose channels a transpose moves behind the places; None: there is none."""
    shuffle = _only_producer(transpose, "DepthToSpace")
    if shuffle is None or list(transpose.attributes.get_ints("perm", [])) != _CHANNELS_LAST:
        return None
    convolution = _only_producer(shuffle, "Conv")
    if convolution is None or shuffle.attributes.get_string("mode", "DCR") != "CRD":
        return None
    weights = [ir.convenience.get_const_tensor(value) for value in convolution.inputs[1:] if value is not None]
    shape = convolution.outputs[0].shape
    if shape is None or convolution.attributes.get_int("group", 1) != 1:
        return None
    channels, *place = (length if isinstance(length, int) else 0 for length in shape[1:])
    if not all((channels, *place)) or None in weights:
        return None
    block = shuffle.attributes.get_int("blocksize", 1)
    numbers = [tensor.numpy() for tensor in weights if tensor is not None]
    return _Shuffle(convolution, numbers, block, channels // block**2, *place)


def _only_producer(node: ir.Node, operator: str) -> ir.Node | None:
    """Returns what makes a node's first input, if it is such an operator and nothing else takes what it makes."""
    value = node.inputs[0]
    producer = None if value is None else value.producer()
    if value is None or producer is None or producer.op_type != operator:
        return None
    return None if len(value.uses()) > 1 or value.is_graph_output() else producer


def _constant(tape: Tape, value: npt.NDArray[np.number]) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(value)})
