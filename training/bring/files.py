"""ONNX files that others made: read, and refused where they cannot be served."""

from collections.abc import Callable, Iterable
from pathlib import Path

import onnx
import onnx.inliner
import torch
from onnx import TensorProto
from onnx.external_data_helper import load_external_data_for_model
from torch import Tensor

from training.export.graphs import nodes_of
from training.export.onnx_runner import open_session, run
from vaeserve.errors import TrainingError, innermost

OLDEST_OPSET = 11  # the nodes that `join` writes have meant the same since then
MAXIMUM_BYTES = 2**31 - 1  # of one protobuf message
_DOMAINS = ("", "ai.onnx.ml", "com.microsoft")  # ONNX Runtime has the operators of these
_DTYPES: dict[int, torch.dtype] = {
    TensorProto.UINT8: torch.uint8,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
}


def read_graph(path: Path) -> onnx.ModelProto:
    """Reads an ONNX file and the files of weights that it names. Inputs are in alphabetical order.

    Raises:
        TrainingError: it cannot be read, is incomplete, or cannot be served; names the file.
    """
    model = _read(path)
    _check(path.name, model)
    constants = {tensor.name for tensor in model.graph.initializer}  # which old exporters list among the inputs
    inputs = sorted((value for value in model.graph.input if value.name not in constants), key=lambda value: value.name)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for value in inputs:
        _check_batch(path.name, value)
    return model


def runner_of(label: str, model: onnx.ModelProto) -> Callable[..., tuple[Tensor, ...]]:
    """Returns a function that runs the graph as it is written, without ONNX Runtime's optimisations.

    Raises:
        TrainingError: a tensor has a type that is not supported, or ONNX Runtime refuses the graph. The function
            raises it where the graph fails.
    """
    inputs = _dtypes(f"{label}: input", model.graph.input)
    outputs = [*_dtypes(f"{label}: output", model.graph.output)]
    session = open_session(label, model.SerializeToString(), optimised=False)

    def run_rows(*rows: Tensor) -> tuple[Tensor, ...]:
        feeds = {}
        for (name, dtype), array in zip(inputs.items(), rows, strict=True):
            fed = array.to(dtype)
            if dtype == torch.uint8 and not bool((fed == array).all()):
                raise TrainingError(f"input {name} is uint8, and the values that it gets do not fit into that")
            feeds[name] = fed.numpy()
        return tuple(map(torch.from_numpy, run(session, feeds, outputs)))

    return run_rows


def _read(path: Path) -> onnx.ModelProto:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would wait for ever
            raise TrainingError(f"{path}: is not a file")
        if path.stat().st_size > MAXIMUM_BYTES:
            raise TrainingError(f"{path}: is larger than 2 GB, and so not an ONNX file")
        content = path.read_bytes()
    except OSError as exc:
        raise TrainingError(f"{path}: cannot be read: {exc.strerror}") from exc
    try:
        model = onnx.load_model_from_string(content)
    except Exception as exc:  # protobuf's own errors, which only onnx imports
        raise TrainingError(f"{path}: is not an ONNX file, or was cut short") from exc
    if not model.HasField("graph") or not model.opset_import:
        raise TrainingError(f"{path}: is not an ONNX file: there is no graph in it")
    try:
        load_external_data_for_model(model, str(path.parent))
    except Exception as exc:  # errors of the checker and the disk, and whatever altered fields lead to
        raise TrainingError(f"{path}: the files of its weights cannot be read: {innermost(exc)}") from exc
    return model


def _check(label: str, model: onnx.ModelProto) -> None:
    """Refuses a graph that no server could run."""
    domains: list[onnx.OperatorSetIdProto | onnx.NodeProto] = [*model.opset_import, *nodes_of(model.graph)]
    for named in domains:
        if named.domain == "ai.onnx":  # another name of the same domain
            named.domain = ""
    opset = next((entry.version for entry in model.opset_import if not entry.domain), None)
    if opset is None:
        raise TrainingError(f"{label}: names no opset of ONNX's own operators")
    if opset < OLDEST_OPSET:
        raise TrainingError(
            f"{label}: opset {opset} is too old, the minimum is {OLDEST_OPSET}: export it anew, or convert it "
            "(onnx.version_converter)"
        )
    try:
        onnx.checker.check_model(model)
        if model.functions:
            model.CopyFrom(onnx.inliner.inline_local_functions(model))
    except Exception as exc:  # errors of the checker, and whatever altered bytes lead to
        raise TrainingError(f"{label}: is not a valid ONNX graph: {innermost(exc)}") from exc
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes_of(model.graph) if node.domain not in _DOMAINS})
    if foreign:
        raise TrainingError(f"{label}: has operators that ONNX Runtime lacks: {', '.join(foreign[:5])}")


def _check_batch(label: str, value: onnx.ValueInfoProto) -> None:
    """Refuses an input with a fixed number of rows. Outputs are not checked: exporters often describe them wrongly."""
    axes = value.type.tensor_type.shape.dim
    if axes and axes[0].HasField("dim_value"):
        raise TrainingError(
            f"{label}: input {value.name} only takes batches of {axes[0].dim_value} rows: export it with a first axis "
            "of any length (dynamic_shapes of torch.onnx.export)"
        )


def _dtypes(place: str, values: Iterable[onnx.ValueInfoProto]) -> dict[str, torch.dtype]:
    for value in values:
        kind = value.type.tensor_type.elem_type  # 0 where it is not a tensor
        if kind not in _DTYPES:
            named = TensorProto.DataType.Name(kind).lower() if kind in TensorProto.DataType.values() else "unknown"
            raise TrainingError(f"{place} {value.name} is {named}: must be a float32, float16, double or uint8 tensor")
    return {value.name: _DTYPES[value.type.tensor_type.elem_type] for value in values}
