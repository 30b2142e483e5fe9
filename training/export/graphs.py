"""Writes networks as ONNX graphs, with a batch axis of any length and nothing random inside."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import onnx
import onnxscript  # noqa: F401  PyTorch's exporter needs it; if it is missing, this fails before training instead of after
import torch
from torch.export import Dim

from training.export.interleave import interleave
from training.export.norms import sum_in_stages
from training.export.probes import GraphModule, Probe, TensorArrays
from training.export.simplify import simplify
from vaeserve.errors import TrainingError, innermost
from vaeserve.machine.collector import collector_paused
from vaeserve.package.contents import BATCH, TensorSpec
from vaeserve.package.sizes import free_axes

OPSET = 18  # PyTorch's operators are written in it; a newer opset would need a converter
FreeAxes = Mapping[int, Any]
"""Symbols of `torch.export`, which has no type for them, by axis."""
RANDOM = ("Random", "Dropout", "Bernoulli", "Multinomial")
_DTYPES: dict[int, Literal["uint8", "uint16", "float32"]] = {
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.UINT16: "uint16",
    onnx.TensorProto.FLOAT: "float32",
}


class ExportedGraph(NamedTuple):
    """An ONNX graph and its signature."""

    content: bytes
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def export_graphs(modules: Mapping[str, GraphModule], probes: Mapping[str, Probe]) -> dict[str, ExportedGraph]:
    """Returns every module as a graph, by name; the same weights give the same bytes.

    Args:
        modules: by graph name.
        probes: of every graph; their inputs are the examples for tracing.

    Raises:
        TrainingError: PyTorch could not export a graph, or it is not of the kind that can be served.
    """
    return {name: export_graph(name, module, probes[name].inputs) for name, module in modules.items()}


def export_graph(name: str, module: GraphModule, example: TensorArrays) -> ExportedGraph:
    """Returns a module as a graph.

    Args:
        name: the graph's, for errors.
        module: the module to export.
        example: its inputs by name, of two rows or more: tracing with one would freeze the batch axis.

    Raises:
        TrainingError: as `export_graphs` does.
    """
    return read_back(name, trace(name, module, example))


def trace(
    name: str, module: GraphModule, example: TensorArrays, free: Mapping[str, FreeAxes] = MappingProxyType({})
) -> onnx.ModelProto:
    """Returns a module as PyTorch's exporter writes it, for any number of rows.

    Args:
        name: the graph's, for errors.
        module: the module to export.
        example: its inputs by name, of two rows or more.
        free: the axes of an input, besides the first, that may have any length.

    Raises:
        TrainingError: PyTorch could not export it.
    """
    batch = Dim(BATCH)
    try:
        with quiet(), collector_paused(), torch.inference_mode():
            program = torch.onnx.export(
                module.module.eval(),
                tuple(torch.from_numpy(example[tensor][:2]) for tensor in module.inputs),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(module.inputs),
                output_names=list(module.outputs),
                dynamic_shapes=tuple({0: batch, **free.get(tensor, {})} for tensor in module.inputs),
                external_data=False,
                optimize=False,
            )
    except torch.onnx.OnnxExporterError as exc:
        raise TrainingError(f"{name}: PyTorch cannot export it: {innermost(exc)}") from exc
    if program is None:
        raise AssertionError("the exporter returned nothing though it was to write no file. This is a bug.")
    simplify(program.model)
    interleave(program.model)
    if free:
        sum_in_stages(program.model)
    return strip(program.model_proto)


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the graph without the exporter's notes on its origin: stack traces, local paths, names."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    return model


def read_back(name: str, model: onnx.ModelProto) -> ExportedGraph:
    """Returns a graph with its specs, read back from what was written.

    Raises:
        TrainingError: it is not sound, draws random numbers, or the first axis of an input or output is not the
            batch.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
        refuse_random(name, model)
        return ExportedGraph(
            content=model.SerializeToString(deterministic=True),
            opset=next(entry.version for entry in model.opset_import if entry.domain == ""),
            inputs=tuple(_tensor_spec(name, value) for value in model.graph.input),
            outputs=tuple(_tensor_spec(name, value) for value in model.graph.output),
        )
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError) as exc:
        raise TrainingError(f"{name}: is not a sound ONNX graph: {innermost(exc)}") from exc


def refuse_random(name: str, model: onnx.ModelProto) -> None:
    """Raises TrainingError if there is a node that draws random numbers, also within a branch or a loop."""
    for operator in sorted({node.op_type for node in nodes_of(model.graph)}):
        if operator.startswith(RANDOM):
            raise TrainingError(f"{name}: the graph holds {operator}, so its answers would not repeat")


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yields every node of a graph, those within branches and loops included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from nodes_of(inner)


def _tensor_spec(graph: str, value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    first, *row = tensor.shape.dim
    axes = tuple(axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in row)
    if first.dim_param != BATCH or not {axis.partition("/")[0] for axis in free_axes(axes)} <= {"height", "width"}:
        raise TrainingError(f"{graph}.{value.name}: the graph does not take batches of any length")
    return TensorSpec(name=value.name, dtype=_DTYPES[tensor.elem_type], shape=(BATCH, *axes))


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the exporter's warnings about packages that are not installed, and about its own deprecations."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            warnings.filterwarnings("ignore", message="# The axis name: batch will not be used", category=UserWarning)
            yield
    finally:
        registration.setLevel(level)
