"""The parity gate: a graph is packaged only if ONNX Runtime gives the answers of the module that it was made from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.export.footprint import row_bytes
from training.export.onnx_runner import open_session, run_in_batches
from training.export.probes import Probe, TensorArrays, graph_of
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.package.contents import Parity, ParityCheck, Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import Comparison, Reach, compare, reach_of
from vaeserve.slices import rows_within

if TYPE_CHECKING:
    import onnxruntime

BATCH_SIZES = (1, 2, 3, 7, 64)  # those for which there is memory
LEAST_COMPANY = 2  # rows; fewer would prove nothing about the influence of neighbours
# Rounding of float32 in deep networks: sums in another order move a trained perceptron of 1,000,000 weights by 2e-5.
TOLERANCE = Tolerance(absolute=5e-5, relative=2e-4)


class Disagreement(TrainingError):
    """ONNX Runtime's answers differ from those of the module that a graph was made from.

    Args:
        output: the graph's name and its output's, for example "encoder.mean".
        message: how they differ.
    """

    def __init__(self, output: str, message: str) -> None:
        super().__init__(f"{output}: {message}; no package was written")
        self.graph, _, self.output = output.rpartition(".")


def prove(
    graphs: Mapping[str, bytes], probes: Mapping[str, Probe], data: DataSpec, tolerance: Tolerance = TOLERANCE
) -> Parity:
    """Checks every batch size against PyTorch, and rows alone against rows in a batch; returns the report.

    Args:
        graphs: the ONNX graphs by name.
        probes: inputs and PyTorch's outputs by graph name; those of another size by `graph@size`.
        data: a row of data; the encoder's probes show which part of its range the rows of a table reach.
        tolerance: maximum difference between answers.

    Raises:
        Disagreement: an output differs by more than the tolerance; the message names it and the difference.
        TrainingError: ONNX Runtime does not take a graph, or cannot run it.
        OutOfMemory: there is not enough memory for two rows.
        StartupError: there is not exactly one ONNX Runtime.
    """
    allowed = reach_of(data, probes["encoder"].inputs["data"] if "encoder" in probes else np.empty(0)), tolerance
    sizes = batch_sizes(*graphs.values())
    most = max(len(next(iter(probe.inputs.values()))) for probe in probes.values())
    sizes = list(dict.fromkeys(min(size, most) for size in sizes))
    while True:
        try:
            checks = [
                check
                for graph, content in graphs.items()
                for check in _checks_of(graph, content, probes, sizes, allowed)
            ]
            return Parity(batch_sizes=tuple(sizes), checks=tuple(checks))
        except OutOfMemory:
            if sizes.pop() <= LEAST_COMPANY:
                raise


def batch_sizes(*graphs: bytes) -> list[int]:
    """Returns the sizes of batches that graphs are tried in: those that are likely to fit into memory."""
    most = rows_within(max(map(row_bytes, graphs)), max(BATCH_SIZES))
    return [size for size in BATCH_SIZES if size <= max(most, LEAST_COMPANY)]


def _checks_of(
    graph: str, content: bytes, probes: Mapping[str, Probe], sizes: Sequence[int], allowed: tuple[Reach, Tolerance]
) -> list[ParityCheck]:
    """Returns every output's check, for the probes of each size."""
    session = open_session(graph, content)
    own = {key: probe for key, probe in probes.items() if graph_of(key) == graph}
    try:
        return [
            _check(f"{key}.{output}", len(next(iter(probe.inputs.values()))), comparisons)
            for key, probe in own.items()
            for output, comparisons in _comparisons(session, probe, sizes, allowed).items()
        ]
    except Disagreement:
        raise
    except TrainingError as exc:
        raise TrainingError(f"{graph}: {exc}") from exc


def _comparisons(
    session: "onnxruntime.InferenceSession", probe: Probe, sizes: Sequence[int], allowed: tuple[Reach, Tolerance]
) -> dict[str, list[Comparison]]:
    """Compares every output with PyTorch's at each batch size, and rows alone with the largest batch."""
    comparisons: dict[str, list[Comparison]] = {}
    alone: TensorArrays = {}
    rows = len(next(iter(probe.inputs.values())))
    fitting = list(dict.fromkeys(min(size, rows) for size in sizes))
    for size in fitting:
        outputs = run_in_batches(session, probe.inputs, size)
        alone = alone or outputs
        results = compare(outputs, probe.outputs, *allowed)
        if size == fitting[-1]:
            results += compare(alone, outputs, *allowed)
        for comparison in results:
            comparisons.setdefault(comparison.output, []).append(comparison)
    return comparisons


def _check(output: str, rows: int, comparisons: list[Comparison]) -> ParityCheck:
    largest = max(comparison.largest_difference for comparison in comparisons)
    bound = comparisons[0].bound
    if not all(comparison.passed for comparison in comparisons):
        raise Disagreement(
            output, f"ONNX Runtime's answers lie up to {largest:.3g} from those to be met, allowed is {bound}"
        )
    return ParityCheck(output=output, rows=rows, largest_difference=largest, tolerance=bound)
