"""Joins a component's graph to the tensors of a package: running its border on proxies writes the nodes."""

from collections.abc import Callable, Iterable
from typing import cast

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes.common import NameFixPass, RemoveUnusedNodesPass
from onnx_ir.tape import Tape
from torch import Tensor

from training.bring.borders import Border
from training.bring.component import Component
from training.export.graphs import strip
from training.export.probes import Probe
from vaeserve.errors import TrainingError, innermost
from vaeserve.package.contents import BATCH
from vaeserve.package.signatures import Signature, Tensors

_DTYPES = {torch.uint8: ir.DataType.UINT8, torch.float32: ir.DataType.FLOAT}


def _written(operator: str) -> Callable[..., "Proxy"]:
    def method(proxy: "Proxy", *numbers: float | Tensor) -> "Proxy":
        return proxy.write(operator, *(np.asarray(number, np.float32) for number in numbers))

    return method


class Proxy:
    """Stands in for a tensor: each call writes a node, of operators that have meant the same since opset 11.

    It has the methods of a tensor that borders call, with the same meaning.
    """

    def __init__(self, value: ir.Value, tape: Tape) -> None:
        self.value, self.tape = value, tape

    __add__, __sub__, __mul__, __truediv__ = map(_written, ("Add", "Sub", "Mul", "Div"))
    sigmoid, round, clamp = map(_written, ("Sigmoid", "Round", "Clip"))

    def permute(self, *axes: int) -> "Proxy":
        """Returns the value with its axes in another order."""
        return self.write("Transpose", perm=axes)

    def reshape(self, *shape: int) -> "Proxy":
        """Returns the value in another shape."""
        return self.write("Reshape", np.array(shape, np.int64))

    def narrow(self, axis: int, first: int, length: int) -> "Proxy":
        """Returns a slice of an axis."""
        return self.write("Slice", *(np.array([at], np.int64) for at in (first, first + length, axis)))

    def to(self, dtype: torch.dtype) -> "Proxy":
        """Returns the value in another type."""
        return self.cast(_DTYPES[dtype])

    def float(self) -> "Proxy":
        """Returns the value in float32."""
        return self.to(torch.float32)

    def cast(self, dtype: ir.DataType) -> "Proxy":
        """Returns the value in a type of ONNX; itself if it is of that type already."""
        return self if self.value.dtype is dtype else self.write("Cast", dtype=dtype, to=dtype)

    def write(
        self,
        operator: str,
        *constants: np.ndarray | np.generic,
        dtype: ir.DataType | None = None,
        **attributes: int | tuple[int, ...],
    ) -> "Proxy":
        """Returns an operator's output for the value and constants; its type is the value's unless `dtype` is set."""
        inputs = [self.tape.op("Constant", [], {"value": ir.tensor(constant)}) for constant in constants]
        output = self.tape.op(operator, [self.value, *inputs], attributes)
        if output_dtype := dtype or self.value.dtype:
            output.dtype = output_dtype
        return Proxy(output, self.tape)


def join_graph(component: Component, border: Border, signature: Signature) -> onnx.ModelProto:
    """Returns a component's graph with the inputs and outputs of a signature.

    Raises:
        TrainingError: the component cannot be exported, or its nodes do not connect.
    """
    model = component.model()
    try:
        whole = ir.from_proto(model)
        _join(whole.graph, component.roles, border, signature)
        RemoveUnusedNodesPass()(whole)
        NameFixPass()(whole)
        return strip(ir.to_proto(whole))
    except Exception as exc:  # undefined names, and whatever else altered bytes lead to
        raise TrainingError(f"{component.label}: is not a valid ONNX graph: {innermost(exc)}") from exc


def _join(graph: ir.Graph, roles: tuple[str, ...], border: Border, signature: Signature) -> None:
    for node in graph.all_nodes():
        for value in node.outputs:
            value.shape = None  # names and sizes of batches, perhaps of rows too, are those of its export
            if not value.is_graph_output():
                value.type = None
    entering, leaving = Tape(), Tape()
    inputs = _values(signature.inputs)
    for old, new in zip(list(graph.inputs), border.before(*_tensors(inputs, entering)), strict=True):
        value = _proxy(new).cast(ir.DataType(old.dtype or ir.DataType.FLOAT)).value
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    graph.inputs[:] = inputs
    answers = border.after(dict(zip(roles, _tensors(graph.outputs, leaving), strict=True)))
    graph.outputs[:] = _values(signature.outputs)
    for described, answer in zip(graph.outputs, answers, strict=True):
        leaving.op("Identity", [_proxy(answer).value], output=described)
    nodes = [*entering.nodes, *graph, *leaving.nodes]
    graph.remove(list(graph))
    graph.extend(nodes)


def signature_of(probe: Probe) -> Signature:
    """Returns the signature of a graph that takes and answers what a probe holds."""
    inputs, outputs = (
        {name: (str(array.dtype), array.shape[1:]) for name, array in arrays.items()}
        for arrays in (probe.inputs, probe.outputs)
    )
    return Signature(inputs, outputs)


def _values(tensors: Tensors) -> list[ir.Value]:
    return [
        ir.val(name, dtype=ir.DataType.from_numpy(np.dtype(dtype)), shape=(BATCH, *axes))
        for name, (dtype, axes) in tensors.items()
    ]


def _tensors(values: Iterable[ir.Value], tape: Tape) -> list[Tensor]:
    return cast("list[Tensor]", [Proxy(value, tape) for value in values])


def _proxy(tensor: Tensor) -> Proxy:
    return cast(Proxy, tensor)
