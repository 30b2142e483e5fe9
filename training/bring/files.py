"""ONNX files that others made: read as a whole, seen to be of the kind that can be served, or refused."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import onnx
import onnx.inliner
import torch
from onnx import TensorProto, external_data_helper
from torch import Tensor

from training.graphs import innermost, nodes_of, refuse_random
from training.parity import open_session, run
from vae.errors import TrainingError

OLDEST_OPSET = 11  # from which on the nodes of `borders` are written alike
MOST_BYTES = 2**31 - 1  # that one message of protobuf can hold
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # whose operators ONNX Runtime carries
_DTYPES: dict[int, torch.dtype] = {
    TensorProto.UINT8: torch.uint8,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
}


class Port(NamedTuple):
    """An input or output of a stranger's graph."""

    name: str
    dtype: torch.dtype
    row_shape: tuple[int | None, ...] | None
    """None where an axis, or even their number, is open."""


class GraphFile(NamedTuple):
    """A graph that is whole, repeats its answers and takes batches, as far as it says so itself."""

    label: str
    model: onnx.ModelProto
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def read_graph(path: Path) -> GraphFile:
    """Reads an ONNX file, with the files of weights that it names.

    Raises:
        TrainingError: it cannot be read, is not whole, or is of a kind that cannot be served; names the file.
    """
    model = _read(path)
    label = path.name
    _check(label, model)
    _drop_constant_inputs(model.graph)
    inputs = tuple(_port(f"{label}: input", value, is_input=True) for value in model.graph.input)
    outputs = tuple(_port(f"{label}: output", value, is_input=False) for value in model.graph.output)
    if not inputs or not outputs:
        raise TrainingError(f"{label}: has {len(inputs)} inputs and {len(outputs)} outputs, so it answers nothing")
    return GraphFile(label, model, inputs, outputs)


def runner_of(file: GraphFile) -> Callable[..., tuple[Tensor, ...]]:
    """Returns what runs the graph as it came, node by node as it is written, without ONNX Runtime's optimisations.

    Raises:
        TrainingError: ONNX Runtime does not take the graph. What runs it raises it where the graph fails.
    """
    session = open_session(file.label, file.model.SerializeToString(), optimised=False)
    names = [port.name for port in file.outputs]

    def run_rows(*rows: Tensor) -> tuple[Tensor, ...]:
        feeds = {
            port.name: tensor.to(port.dtype).contiguous().numpy()
            for port, tensor in zip(file.inputs, rows, strict=True)
        }
        try:
            answers = run(session, feeds, names)
        except TrainingError as exc:
            raise TrainingError(f"{file.label}: {exc}") from exc
        return tuple(map(torch.from_numpy, answers))

    return run_rows


def check_row(label: str, port: Port, row_shape: tuple[int, ...]) -> None:
    """Raises TrainingError if an input cannot take rows of a shape."""
    shape = port.row_shape
    if shape is None or (
        len(shape) == len(row_shape) and all(a in (None, b) for a, b in zip(shape, row_shape, strict=True))
    ):
        return
    listed = ", ".join("?" if axis is None else str(axis) for axis in ("batch", *shape))
    wanted = ", ".join(map(str, ("batch", *row_shape)))
    raise TrainingError(
        f"{label}: input {port.name} is [{listed}], and by the spec it is given [{wanted}]: are shape, layout and "
        "latent_shape right?"
    )


def _read(path: Path) -> onnx.ModelProto:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would wait for ever
            raise TrainingError(f"{path}: is no file")
        if path.stat().st_size > MOST_BYTES:
            raise TrainingError(f"{path}: is larger than 2 GB, and so is no ONNX file")
        content = path.read_bytes()
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as exc:  # of protobuf, which is onnx's business
        raise TrainingError(f"{path}: is no ONNX file, or was cut short") from exc
    if not model.HasField("graph") or not model.opset_import:
        raise TrainingError(f"{path}: is no ONNX file: there is no graph in it")
    _read_external(path, model)
    return model


def _read_external(path: Path, model: onnx.ModelProto) -> None:
    """Reads the weights that lie in files beside the graph, as PyTorch's exporter puts them."""
    external = [tensor for tensor in _tensors(model) if external_data_helper.uses_external_data(tensor)]
    if not external:
        return
    locations = {entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"}
    try:
        sizes = [(path.parent / location).stat().st_size for location in sorted(locations)]
        if sum(sizes) + path.stat().st_size > MOST_BYTES:
            raise TrainingError(f"{path}: with its weights it is larger than 2 GB, more than one ONNX file can hold")
        for tensor in external:
            external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as exc:
        raise TrainingError(
            f"{path}: its weights lie in {', '.join(sorted(locations))}, which cannot be read from beside it: "
            f"{innermost(exc)}"
        ) from exc


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of(node)
    for node in nodes_of(model.graph):
        yield from _tensors_of(node)


def _tensors_of(node: onnx.NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        yield from (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors)
        for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
            yield from inner.initializer


def _check(label: str, model: onnx.ModelProto) -> None:
    """Refuses what no server could run, or would not run alike twice."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if opset is None:
        raise TrainingError(f"{label}: names no opset of ONNX's own operators")
    if opset < OLDEST_OPSET:
        raise TrainingError(
            f"{label}: opset {opset} is too old, the least is {OLDEST_OPSET}: export it anew, or convert it "
            "(onnx.version_converter)"
        )
    try:
        onnx.checker.check_model(model)
    except Exception as exc:  # the checker's own, and whatever bytes that were altered lead to
        raise TrainingError(f"{label}: is no sound ONNX graph: {innermost(exc)}") from exc
    if model.functions:
        try:
            model.CopyFrom(onnx.inliner.inline_local_functions(model))
        except Exception as exc:  # pybind raises what C++ threw
            raise TrainingError(f"{label}: its functions cannot be put in place: {innermost(exc)}") from exc
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes_of(model.graph) if node.domain not in _DOMAINS})
    if foreign:
        raise TrainingError(f"{label}: holds operators that ONNX Runtime does not carry: {', '.join(foreign[:5])}")
    refuse_random(label, model)


def _drop_constant_inputs(graph: onnx.GraphProto) -> None:
    """Takes constants off the inputs, among which old exporters list them."""
    constants = {tensor.name for tensor in graph.initializer} | {
        sparse.values.name for sparse in graph.sparse_initializer
    }
    kept = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(kept)


def _port(place: str, value: onnx.ValueInfoProto, *, is_input: bool) -> Port:
    place = f"{place} {value.name}"
    if not value.type.HasField("tensor_type"):
        raise TrainingError(f"{place} is no tensor")
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DTYPES:
        kind = TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in TensorProto.DataType.values() else "?"
        raise TrainingError(f"{place} is {kind.lower()}: must be float32, float16, double or uint8")
    if not tensor.HasField("shape"):
        return Port(value.name, _DTYPES[tensor.elem_type], None)
    axes = [axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim]
    if not axes:
        raise TrainingError(f"{place} is a single value: must have one row for each row of the batch")
    if axes[0] is not None and is_input:  # what exporters say of outputs is often wrong: running it tells
        raise TrainingError(
            f"{place} takes batches of {axes[0]} alone: export it with a first axis of any length "
            "(dynamic_shapes of torch.onnx.export)"
        )
    return Port(value.name, _DTYPES[tensor.elem_type], tuple(axes[1:]))
