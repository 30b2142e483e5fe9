"""The parity gate: a graph is packaged only if ONNX Runtime answers with it as what it was made from does."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.probes import Arrays, Probe
from vae.errors import TrainingError
from vae.manifest import DataSpec, Parity, ParityCheck, Tolerance
from vae.probes import Comparison, Reach, compare, reach_of
from vae.runtime import prepare_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

# [ONNXRuntimeError] : 1 : FAIL : ..., Non-zero status code ... Status Message: ..., and /file:line signature
_OWN_PLACES = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Non-zero status code returned while running |Name:'[^']*' Status Message: "
    r"|/onnxruntime_src/\S+:\d+ .*?\)(?: const)? | Please fix either the inputs/outputs or the model\.$"
)
BATCH_SIZES = (1, 2, 3, 7, 64)
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
        StartupError: there is not exactly one ONNX Runtime.
    """
    checks = []
    reach = reach_of(data, probes["encoder"].inputs["data"] if "encoder" in probes else np.empty(0))
    for graph, content in graphs.items():
        comparisons: dict[str, list[Comparison]] = {}
        for comparison in compare_graph(graph, content, probes[graph], reach, tolerance):
            comparisons.setdefault(comparison.output, []).append(comparison)
        rows = len(next(iter(probes[graph].inputs.values())))
        checks += [_check(f"{graph}.{output}", rows, found) for output, found in comparisons.items()]
    return Parity(batch_sizes=BATCH_SIZES, checks=tuple(checks))


def compare_graph(
    graph: str, content: bytes, probe: Probe, reach: Reach, tolerance: Tolerance = TOLERANCE
) -> Iterator[Comparison]:
    """Yields every output's comparisons: with PyTorch at each batch size, then of rows alone with the largest batch."""
    session = open_session(graph, content)
    try:
        by_size = {size: run_in_batches(session, probe.inputs, size) for size in BATCH_SIZES}
    except TrainingError as exc:
        raise TrainingError(f"{graph}: {exc}") from exc
    for outputs in by_size.values():
        yield from compare(outputs, probe.outputs, reach, tolerance)
    yield from compare(by_size[min(BATCH_SIZES)], by_size[max(BATCH_SIZES)], reach, tolerance)


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
    prepare_onnxruntime("training,serving")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # fatal: what fails is raised
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its exceptions share no class of their own
        raise TrainingError(f"{graph}: ONNX Runtime does not take the graph: {reason_of(exc)}") from exc


def run_in_batches(
    session: "onnxruntime.InferenceSession", inputs: Arrays, size: int, names: Sequence[str] | None = None
) -> Arrays:
    """Returns the named outputs, or all, for all rows by name, computed so many rows at a time.

    Raises:
        TrainingError: ONNX Runtime could not compute them.
    """
    names = names or [output.name for output in session.get_outputs()]
    rows = len(next(iter(inputs.values())))
    parts = [run(session, {name: array[part] for name, array in inputs.items()}, names) for part in batches(rows, size)]
    return {name: np.concatenate(pieces) for name, pieces in zip(names, zip(*parts, strict=True), strict=True)}


def batches(rows: int, size: int) -> Iterator[slice]:
    """Yields slices that cover so many rows in order; one empty slice where there are none."""
    for first in range(0, max(rows, 1), size):
        yield slice(first, first + size)


def run(session: "onnxruntime.InferenceSession", inputs: Arrays, names: Sequence[str]) -> list[npt.NDArray[np.number]]:
    """Returns the named outputs.

    Raises:
        TrainingError: ONNX Runtime could not compute them.
    """
    try:
        answers: list[npt.NDArray[np.number]] = session.run(list(names), inputs)
    except Exception as exc:  # as in open_session
        rows = len(next(iter(inputs.values())))
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
