"""Footprint: the memory that a graph takes for a row, computed from its shapes. It is the same on every machine."""

from collections import Counter
from collections.abc import Iterable
from math import prod

import onnx
import onnx_ir as ir
from onnxscript.optimizer import fold_constants

from vaeserve.package.contents import BATCH
from vaeserve.package.footprints import Footprint
from vaeserve.package.sizes import PictureSize, PictureSizes, axis_length

_ITEM_BYTES: dict[int, int] = {
    kind: onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
    for kind in (
        *(onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BOOL),
        *(
            onnx.TensorProto.UINT8,
            onnx.TensorProto.UINT16,
            onnx.TensorProto.INT8,
            onnx.TensorProto.INT32,
            onnx.TensorProto.INT64,
        ),
    )
}


_SMALL_VALUES = 1024  # constants that shapes may be made of; longer ones are weights


def row_bytes(content: bytes, size: PictureSize | None = None) -> int:
    """Returns the maximum number of bytes that a graph's tensors take at one time for one row, without weights.

    A tensor exists from the node that makes it to the last node that takes it. Temporary memory of operators is not
    counted, nor is a tensor of unknown shape.

    Args:
        content: the graph.
        size: of the row's picture, where it is free.
    """
    model = onnx.load_model_from_string(content)
    inputs = [value.name for value in model.graph.input]
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            _fix(axis, size)
    del model.graph.value_info[:]  # exporters wrote these for batches of any length
    graph = onnx.shape_inference.infer_shapes(model if size is None else _folded(model), data_prop=True).graph
    sizes = {value.name: _bytes_of(value) for value in (*graph.value_info, *graph.output, *graph.input)}
    waiting = Counter(name for node in graph.node for name in node.input)
    waiting.update(value.name for value in graph.output)
    for name in (_names(graph.input) | {weight.name for weight in graph.initializer}) - set(inputs):  # weights
        sizes[name] = 0
    now = most = sum(sizes[name] for name in inputs)
    for node in graph.node:
        now += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, now)
        for name in node.input:
            waiting[name] -= 1
            now -= 0 if waiting[name] else sizes.get(name, 0)
    return most


def footprints_of(content: bytes, sizes: PictureSizes) -> tuple[Footprint, ...]:
    """Returns what a row takes at squares from the smallest to the largest, each of four times the area of the last."""
    sides = [sizes.minimum]
    while sides[-1] < sizes.maximum:
        sides.append(min(2 * sides[-1], sizes.maximum))
    squares = [PictureSize(side, side) for side in sides]
    return tuple(Footprint(pixels=size.pixels, bytes=row_bytes(content, size)) for size in squares)


def _fix(axis: onnx.TensorShapeProto.Dimension, size: PictureSize | None) -> None:
    """Gives an axis of an input or output the length that it has for one row."""
    if axis.dim_param == BATCH:
        axis.dim_value = 1
    elif axis.dim_param and size is not None:
        axis.dim_value = axis_length(axis.dim_param, size)


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a graph in which the shapes that it computes are constants. Its weights become inputs, of no content.

    ONNX's own inference does not see through shapes that a graph computes, such as those of attention.
    """
    weights = [weight for weight in model.graph.initializer if prod(weight.dims) > _SMALL_VALUES]
    for weight in weights:
        model.graph.initializer.remove(weight)
        model.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    graph = ir.from_proto(model)
    fold_constants(graph, onnx_shape_inference=True, should_fold=_must_fold)
    return ir.to_proto(graph)


def _must_fold(node: ir.Node) -> bool | None:
    """Whether a node must be folded though onnxscript leaves its operator alone: older exporters pad by it."""
    return True if node.op_type == "ConstantOfShape" else None


def _names(values: Iterable[onnx.ValueInfoProto]) -> set[str]:
    return {value.name for value in values}


def _bytes_of(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    sizes = [int(axis.dim_value) for axis in tensor.shape.dim]
    return _ITEM_BYTES.get(tensor.elem_type, 4) * prod(sizes)
