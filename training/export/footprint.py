"""Footprint: the memory that a graph takes for a row, computed from its shapes. It is the same on every machine."""

from collections import Counter
from math import prod

import onnx

_ITEM_BYTES: dict[int, int] = {
    kind: onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
    for kind in (
        *(onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BOOL),
        *(onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64),
    )
}


def row_bytes(content: bytes) -> int:
    """Returns the maximum number of bytes that a graph's tensors take at one time for one row, without weights.

    A tensor exists from the node that makes it to the last node that takes it. Temporary memory of operators is not
    counted, nor is a tensor of unknown shape.
    """
    model = onnx.load_model_from_string(content)
    for value in model.graph.input:
        for axis in value.type.tensor_type.shape.dim[:1]:
            axis.dim_value = 1
    del model.graph.value_info[:]  # exporters wrote these for batches of any length
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {value.name: _bytes_of(value) for value in (*graph.value_info, *graph.output, *graph.input)}
    waiting = Counter(name for node in graph.node for name in node.input)
    waiting.update(value.name for value in graph.output)
    now = most = sum(sizes[value.name] for value in graph.input)
    for node in graph.node:
        now += sum(sizes.get(name, 0) for name in node.output)
        most = max(most, now)
        for name in node.input:
            waiting[name] -= 1
            now -= 0 if waiting[name] else sizes.get(name, 0)
    return most


def _bytes_of(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    sizes = [int(axis.dim_value) for axis in tensor.shape.dim]
    return _ITEM_BYTES.get(tensor.elem_type, 4) * prod(sizes)
