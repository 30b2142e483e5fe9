"""The parity gate: a graph is packaged only if ONNX Runtime answers with it as what it was made from does."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.export.footprint import row_bytes
from training.export.probes import Arrays, Probe
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.package.external_data import check_weights
from vaeserve.package.manifest import DataSpec, Parity, ParityCheck, Tolerance
from vaeserve.package.probes import Comparison, Reach, compare, reach_of
from vaeserve.runtime import is_out_of_memory, prepare_onnxruntime
from vaeserve.slices import Slices, rows_within

if TYPE_CHECKING:
    import onnxruntime

# [ONNXRuntimeError] : 1 : FAIL : ..., Non-zero status code ... Status Message: ..., and /file:line signature
_OWN_PLACES = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Non-zero status code returned while running |Name:'[^']*' Status Message: "
    r"|/onnxruntime_src/\S+:\d+ .*?\)(?: const)? | Please fix either the inputs/outputs or the model\.$"
)
BATCH_SIZES = (1, 2, 3, 7, 64)  # as far as there is memory for them
LEAST_COMPANY = 2  # rows, without which nothing would be proved of a row's neighbours
# What float32 costs in deep networks: sums in another order move a trained perceptron of 1,000,000 weights by 2e-5.
TOLERANCE = Tolerance(absolute=5e-5, relative=2e-4)


class Disagreement(TrainingError):
    """ONNX Runtime answers with a graph otherwise than what it was made from does.

    Args:
        output: by the names of the graph and of its output.
        message: what people read.
    """

    def __init__(self, output: str, message: str) -> None:
        super().__init__(f"{output}: {message}; no package was written")
        self.graph, _, self.output = output.rpartition(".")


def prove(
    graphs: Mapping[str, bytes], probes: Mapping[str, Probe], data: DataSpec, tolerance: Tolerance = TOLERANCE
) -> Parity:
    """Returns the report of a check that was passed: every batch size against PyTorch, rows alone against in company.

    Args:
        graphs: the ONNX graphs by name.
        probes: inputs and PyTorch's outputs by graph name.
        data: the range that data lies in; what a table's rows reach of it is seen from the encoder's probes.
        tolerance: how far answers may lie apart.

    Raises:
        Disagreement: an output differs by more than the tolerance; names it, and by how much it differs.
        TrainingError: ONNX Runtime does not take a graph, or cannot run it.
        OutOfMemory: there is no memory for two rows.
        StartupError: there is not exactly one ONNX Runtime.
    """
    allowed = reach_of(data, probes["encoder"].inputs["data"] if "encoder" in probes else np.empty(0)), tolerance
    sizes = batch_sizes(*graphs.values())
    while True:
        try:
            checks = [
                check
                for graph, content in graphs.items()
                for check in _checks_of(graph, content, probes[graph], sizes, allowed)
            ]
            return Parity(batch_sizes=tuple(sizes), checks=tuple(checks))
        except OutOfMemory:
            if sizes.pop() <= LEAST_COMPANY:
                raise


def batch_sizes(*graphs: bytes) -> list[int]:
    """Returns the sizes of batches that graphs are tried in, as far as they are likely to fit into memory."""
    most = rows_within(max(map(row_bytes, graphs)), max(BATCH_SIZES))
    return [size for size in BATCH_SIZES if size <= max(most, LEAST_COMPANY)]


def _checks_of(
    graph: str, content: bytes, probe: Probe, sizes: Sequence[int], allowed: tuple[Reach, Tolerance]
) -> list[ParityCheck]:
    """Returns every output's check: against PyTorch at each batch size, and of rows alone against the largest batch."""
    session = open_session(graph, content)
    comparisons: dict[str, list[Comparison]] = {}
    alone: Arrays = {}
    try:
        for size in sizes:
            outputs = run_in_batches(session, probe.inputs, size)
            alone = alone or outputs
            found = compare(outputs, probe.outputs, *allowed)
            if size == sizes[-1]:
                found += compare(alone, outputs, *allowed)
            for comparison in found:
                comparisons.setdefault(comparison.output, []).append(comparison)
    except TrainingError as exc:
        raise TrainingError(f"{graph}: {exc}") from exc
    rows = len(next(iter(probe.inputs.values())))
    return [_check(f"{graph}.{output}", rows, found) for output, found in comparisons.items()]


def open_session(
    graph: str, content: bytes, threads: int = 1, *, optimised: bool = True
) -> "onnxruntime.InferenceSession":
    """Returns a session on the CPU.

    Args:
        graph: its name, for errors.
        content: the graph.
        threads: for one operation.
        optimised: whether ONNX Runtime may fuse and reorder what is in it.

    Raises:
        TrainingError: ONNX Runtime does not take the graph.
    """
    try:
        check_weights(content)
    except ValueError as exc:
        raise TrainingError(f"{graph}: {exc}") from exc
    prepare_onnxruntime("training,serving")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal: what fails is raised
    options.add_session_config_entry("session.load_model_format", "ONNX")  # which is what `check_weights` reads
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its exceptions share no class of their own
        raise TrainingError(f"{graph}: ONNX Runtime does not take the graph: {reason_of(exc)}") from exc


def run_in_batches(
    session: "onnxruntime.InferenceSession", inputs: Arrays, size: int | Slices, names: Sequence[str] | None = None
) -> Arrays:
    """Returns the named outputs, or all, for all rows by name, computed so many rows at a time.

    Args:
        session: what runs the graph.
        inputs: by name.
        size: rows at a time: just so many, or slices, which give way where memory ends.
        names: of the outputs.

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
    """Yields slices that cover so many rows in order; one empty slice where there are none."""
    for first in range(0, max(rows, 1), size):
        yield slice(first, first + size)


def run(session: "onnxruntime.InferenceSession", inputs: Arrays, names: Sequence[str]) -> list[npt.NDArray[np.number]]:
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
    """Returns what ONNX Runtime complains of, in one line and without the places in its own source."""
    said = " ".join(str(exc).split()) or type(exc).__name__
    return _OWN_PLACES.sub("", said)[:300]


def runtime_version() -> str:
    """Returns ONNX Runtime's version, whichever of its wheels is installed."""
    prepare_onnxruntime("training,serving")
    import onnxruntime

    return str(onnxruntime.__version__)


def _check(output: str, rows: int, comparisons: list[Comparison]) -> ParityCheck:
    largest = max(comparison.largest_difference for comparison in comparisons)
    bound = comparisons[0].bound
    if not all(comparison.passed for comparison in comparisons):
        raise Disagreement(
            output, f"ONNX Runtime's answers lie up to {largest:.3g} from those to be met, allowed is {bound}"
        )
    return ParityCheck(output=output, rows=rows, largest_difference=largest, tolerance=bound)
