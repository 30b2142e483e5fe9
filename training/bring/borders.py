"""Borders: nodes between a stranger's graph and the tensors of a package. What they compute stands in `reference`."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes.common import NameFixPass, RemoveUnusedNodesPass
from onnx_ir.tape import Tape

from training.bring.spec import Spec
from training.graphs import innermost, strip
from vae.errors import TrainingError
from vae.manifest import TensorSpec

_DTYPES = {"uint8": ir.DataType.UINT8, "float32": ir.DataType.FLOAT}
_OWN_DTYPES = {
    torch.uint8: ir.DataType.UINT8,
    torch.float16: ir.DataType.FLOAT16,
    torch.float32: ir.DataType.FLOAT,
    torch.float64: ir.DataType.DOUBLE,
}


class Nodes:
    """Writes nodes one after another, all of operators that have been the same since opset 11."""

    def __init__(self) -> None:
        self.tape = Tape()

    def cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """Returns the value in another type; the value itself if it is known to have it."""
        if value.dtype is dtype:
            return value
        made = self.tape.op("Cast", [value], {"to": dtype})
        made.dtype = dtype
        return made

    def floats(self, operator: str, *values: ir.Value | float) -> ir.Value:
        """Returns an operator's answer for float32 values; numbers become constants."""
        inputs = [value if isinstance(value, ir.Value) else self._constant(np.float32(value)) for value in values]
        made = self.tape.op(operator, inputs)
        made.dtype = ir.DataType.FLOAT
        return made

    def reshape(self, value: ir.Value, *row_shape: int) -> ir.Value:
        """Returns the value with rows of another shape."""
        return self._alike(value, "Reshape", [self._constant(np.array([-1, *row_shape], np.int64))])

    def move_axes(self, value: ir.Value, *axes: int) -> ir.Value:
        """Returns the value with its axes in another order."""
        return self._alike(value, "Transpose", [], {"perm": axes})

    def part(self, value: ir.Value, start: int, end: int) -> ir.Value:
        """Returns what lies between two places of axis 1."""
        return self._alike(value, "Slice", [self._constant(np.array([at], np.int64)) for at in (start, end, 1)])

    def same(self, value: ir.Value) -> ir.Value:
        """Returns the value under a name of its own."""
        return self._alike(value, "Identity", [])

    def _alike(
        self,
        value: ir.Value,
        operator: str,
        more: list[ir.Value],
        attributes: Mapping[str, Sequence[int]] | None = None,
    ) -> ir.Value:
        made = self.tape.op(operator, [value, *more], attributes)
        if value.dtype is not None:
            made.dtype = value.dtype
        return made

    def _constant(self, array: np.ndarray | np.generic) -> ir.Value:
        return self.tape.op("Constant", [], {"value": ir.tensor(array)})


Before = Callable[[Nodes, Sequence[ir.Value]], Sequence[ir.Value]]
"""Values of the package -> what goes into the stranger's inputs, in their order."""
After = Callable[[Nodes, Sequence[ir.Value]], Mapping[str, ir.Value]]
"""The stranger's outputs in their order -> the package's by name, in the types of the package."""


class Own(NamedTuple):
    """A graph as it came."""

    label: str
    """What to call it in an error."""
    model: onnx.ModelProto
    dtypes: tuple[torch.dtype, ...]
    """What its inputs take."""
    roles: tuple[str, ...]
    """What its outputs are; of a likelihood, what its inputs are."""


def encoder_graph(own: Own, spec: Spec) -> onnx.ModelProto:
    """Returns a stranger's encoder as data -> mean, log_variance.

    Raises:
        TrainingError: its nodes do not hang together.
    """
    latent = spec.latent_shape
    outputs = ("mean",) if spec.posterior == "none" else ("mean", "log_variance")

    def before(nodes: Nodes, values: Sequence[ir.Value]) -> Sequence[ir.Value]:
        (data,) = values
        if spec.scaled_to is not None:
            data = nodes.cast(data, ir.DataType.FLOAT)
            data = nodes.floats("Div", nodes.floats("Sub", data, spec.center), spec.scale)
        if spec.kind == "image" and spec.layout != "NHWC":
            data = nodes.move_axes(data, 0, 3, 1, 2)
        if spec.layout == "flat":
            data = nodes.reshape(data, *spec.own_shape)
        return [nodes.cast(data, _OWN_DTYPES[own.dtypes[0]])]

    def after(nodes: Nodes, values: Sequence[ir.Value]) -> Mapping[str, ir.Value]:
        answer = dict(zip(own.roles, values, strict=True))
        if "moments" in answer:
            size, moments = latent[0], answer["moments"]
            answer = {"mean": nodes.part(moments, 0, size), "log_variance": nodes.part(moments, size, 2 * size)}
        return {name: nodes.cast(answer[name], ir.DataType.FLOAT) for name in outputs}

    given = [_tensor("data", spec.data.dtype, spec.shape)]
    return attach(own, given, before, after, [_floats(name, latent) for name in outputs])


def decoder_graph(own: Own, spec: Spec, parameters_shape: tuple[int, ...] | None) -> onnx.ModelProto:
    """Returns a stranger's decoder as latent -> data, expectation, parameters.

    Args:
        own: the decoder as it came.
        spec: the pair's.
        parameters_shape: of a row; None where there are to be no parameters.

    Raises:
        TrainingError: its nodes do not hang together.
    """

    def before(nodes: Nodes, values: Sequence[ir.Value]) -> Sequence[ir.Value]:
        return [nodes.cast(values[0], _OWN_DTYPES[own.dtypes[0]])]

    def after(nodes: Nodes, values: Sequence[ir.Value]) -> Mapping[str, ir.Value]:
        answer = dict(zip(own.roles, values, strict=True))
        if "data" in answer:
            answer["expectation"] = nodes.cast(answer["expectation"], ir.DataType.FLOAT)
        elif "logits" in answer:
            answer["parameters"] = _from_own(nodes, answer["logits"], spec)
            share = nodes.floats("Sigmoid", answer["parameters"])
            answer["expectation"] = nodes.floats("Mul", share, spec.data.maximum)
        else:
            answer["expectation"] = _from_own(nodes, answer["expectation"], spec)
            if spec.scaled_to is not None:
                scaled = nodes.floats("Mul", answer["expectation"], spec.scale)
                answer["expectation"] = nodes.floats("Add", scaled, spec.center)
        found = {"data": answer.get("data") or _as_data(nodes, answer["expectation"], spec)}
        found["expectation"] = answer["expectation"]
        if parameters_shape is not None:
            found["parameters"] = nodes.cast(answer.get("parameters", answer["expectation"]), ir.DataType.FLOAT)
        return found

    outputs = [_tensor("data", spec.data.dtype, spec.shape), _floats("expectation", spec.shape)]
    if parameters_shape is not None:
        outputs.append(_floats("parameters", parameters_shape))
    return attach(own, [_floats("latent", spec.latent_shape)], before, after, outputs)


def likelihood_graph(own: Own, spec: Spec, parameters_shape: tuple[int, ...]) -> onnx.ModelProto:
    """Returns a stranger's likelihood as data, parameters -> log_likelihood.

    Args:
        own: the likelihood as it came.
        spec: the pair's.
        parameters_shape: of a row.

    Raises:
        TrainingError: its nodes do not hang together.
    """
    inputs = {
        "data": _tensor("data", spec.data.dtype, spec.shape),
        "parameters": _floats("parameters", parameters_shape),
    }

    def before(nodes: Nodes, values: Sequence[ir.Value]) -> Sequence[ir.Value]:
        given = dict(zip(inputs, values, strict=True))
        return [nodes.cast(given[name], _OWN_DTYPES[dtype]) for name, dtype in zip(own.roles, own.dtypes, strict=True)]

    def after(nodes: Nodes, values: Sequence[ir.Value]) -> Mapping[str, ir.Value]:
        return {"log_likelihood": nodes.cast(values[0], ir.DataType.FLOAT)}

    return attach(own, list(inputs.values()), before, after, [_floats("log_likelihood", ())])


def attach(
    own: Own, inputs: Sequence[TensorSpec], before: Before, after: After, outputs: Sequence[TensorSpec]
) -> onnx.ModelProto:
    """Returns a graph with other inputs and outputs, joined to its own by nodes.

    Raises:
        TrainingError: its nodes do not hang together.
    """
    try:
        whole = ir.from_proto(own.model)
        _join(whole.graph, [_value(spec) for spec in inputs], before, after, outputs)
        RemoveUnusedNodesPass()(whole)
        NameFixPass()(whole)
        return strip(ir.to_proto(whole))
    except Exception as exc:  # names that nobody defines, and whatever else bytes that were altered lead to
        raise TrainingError(f"{own.label}: is no sound ONNX graph: {innermost(exc)}") from exc


def _join(
    graph: ir.Graph, inputs: Sequence[ir.Value], before: Before, after: After, outputs: Sequence[TensorSpec]
) -> None:
    for node in graph.all_nodes():
        for value in node.outputs:
            value.shape = None  # of batches, and perhaps of rows, as they were called and sized when it was made
            if not value.is_graph_output():
                value.type = None
    entering, leaving = Nodes(), Nodes()
    for old, new in zip(list(graph.inputs), before(entering, inputs), strict=True):
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    graph.inputs[:] = inputs
    answers = after(leaving, list(graph.outputs))
    del graph.outputs[:]
    for spec in outputs:
        value = leaving.same(answers[spec.name])
        value.name, value.type, value.shape = spec.name, ir.TensorType(_DTYPES[spec.dtype]), ir.Shape(spec.shape)
        graph.outputs.append(value)
    nodes = [*entering.tape.nodes, *graph, *leaving.tape.nodes]
    graph.remove(list(graph))
    graph.extend(nodes)


def _from_own(nodes: Nodes, value: ir.Value, spec: Spec) -> ir.Value:
    value = nodes.cast(value, ir.DataType.FLOAT)
    if spec.kind == "table" or spec.layout == "NHWC":
        return value
    height, width, channels = spec.shape
    if spec.layout == "flat":
        value = nodes.reshape(value, channels, height, width)
    return nodes.move_axes(value, 0, 2, 3, 1)


def _as_data(nodes: Nodes, expectation: ir.Value, spec: Spec) -> ir.Value:
    whole = spec.data.dtype == "uint8"
    value = nodes.floats("Round", expectation) if whole else expectation
    value = nodes.floats("Clip", value, spec.data.minimum, spec.data.maximum)
    return nodes.cast(value, _DTYPES[spec.data.dtype])


def _tensor(name: str, dtype: str, row_shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec.model_validate({"name": name, "dtype": dtype, "shape": ("batch", *row_shape)})


def _floats(name: str, row_shape: tuple[int, ...]) -> TensorSpec:
    return _tensor(name, "float32", row_shape)


def _value(spec: TensorSpec) -> ir.Value:
    return ir.Value(name=spec.name, type=ir.TensorType(_DTYPES[spec.dtype]), shape=ir.Shape(spec.shape))
