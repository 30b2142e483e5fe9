"""The doorway to ONNX Runtime: a graph -> a session on the CPU -> its answers."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.export.probes import TensorArrays
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.package.external_data import check_weights
from vaeserve.runtime import is_out_of_memory, prepare_onnxruntime
from vaeserve.slices import Slices

if TYPE_CHECKING:
    import onnxruntime

# [ONNXRuntimeError] : 1 : FAIL : ..., Non-zero status code ... Status Message: ..., and /file:line signature
_OWN_PLACES = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Non-zero status code returned while running |Name:'[^']*' Status Message: "
    r"|/onnxruntime_src/\S+:\d+ .*?\)(?: const)? | Please fix either the inputs/outputs or the model\.$"
)


def open_session(
    graph: str, content: bytes, threads: int = 1, *, optimised: bool = True
) -> "onnxruntime.InferenceSession":
    """Returns a session on the CPU.

    Args:
        graph: its name, for errors.
        content: the graph.
        threads: for one operation.
        optimised: whether ONNX Runtime may fuse and reorder its operators.

    Raises:
        TrainingError: ONNX Runtime refuses the graph.
    """
    try:
        check_weights(content)
    except ValueError as exc:
        raise TrainingError(f"{graph}: {exc}") from exc
    prepare_onnxruntime("training,serving")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal: failures are raised as exceptions
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the format that `check_weights` reads
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its exceptions share no class of their own
        raise TrainingError(f"{graph}: ONNX Runtime does not take the graph: {reason_of(exc)}") from exc


def run_in_batches(
    session: "onnxruntime.InferenceSession",
    inputs: TensorArrays,
    size: int | Slices,
    names: Sequence[str] | None = None,
) -> TensorArrays:
    """Returns outputs for all rows, by name, computed some rows at a time.

    Args:
        session: the graph's.
        inputs: by name.
        size: number of rows at a time, or slices, which become smaller when memory runs out.
        names: of the outputs; None: all.

    Raises:
        TrainingError: ONNX Runtime could not compute them.
        OutOfMemory: there is not enough memory.
    """
    names = names or [output.name for output in session.get_outputs()]
    rows = len(next(iter(inputs.values())))

    def run_part(part: slice) -> list[npt.NDArray[np.number]]:
        return run(session, {name: array[part] for name, array in inputs.items()}, names)

    parts = size.run(run_part, rows) if isinstance(size, Slices) else map(run_part, batches(rows, size))
    return {name: np.concatenate(pieces) for name, pieces in zip(names, zip(*parts, strict=True), strict=True)}


def batches(rows: int, size: int) -> Iterator[slice]:
    """Yields slices that cover the rows in order; one empty slice for no rows."""
    for first in range(0, max(rows, 1), size):
        yield slice(first, first + size)


def run(
    session: "onnxruntime.InferenceSession", inputs: TensorArrays, names: Sequence[str]
) -> list[npt.NDArray[np.number]]:
    """Returns the named outputs.

    Raises:
        TrainingError: ONNX Runtime could not compute them.
        OutOfMemory: there is not enough memory.
    """
    try:
        answers: list[npt.NDArray[np.number]] = session.run(list(names), inputs)
    except Exception as exc:  # as in open_session
        rows = len(next(iter(inputs.values())))
        if is_out_of_memory(exc):
            raise OutOfMemory(f"{rows} rows took more memory than there is") from exc
        raise TrainingError(f"ONNX Runtime cannot run it on {rows} rows: {reason_of(exc)}") from exc
    return answers


def reason_of(exc: Exception) -> str:
    """Returns ONNX Runtime's complaint in one line, without the places in its own source."""
    text = " ".join(str(exc).split()) or type(exc).__name__
    return _OWN_PLACES.sub("", text)[:300]


def runtime_version() -> str:
    """Returns ONNX Runtime's version, whichever of its wheels is installed."""
    prepare_onnxruntime("training,serving")
    import onnxruntime

    return str(onnxruntime.__version__)
