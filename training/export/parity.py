"""The parity gate: a graph is packaged only if ONNX Runtime answers with it as what it was made from does."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.export.footprint import row_bytes
from training.export.onnx_runner import open_session, run_in_batches
from training.export.probes import Probe, TensorArrays
from vaeserve.errors import OutOfMemory, TrainingError
from vaeserve.package.contents import Parity, ParityCheck, Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import Comparison, Reach, compare, reach_of
from vaeserve.slices import rows_within

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
    alone: TensorArrays = {}
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


def _check(output: str, rows: int, comparisons: list[Comparison]) -> ParityCheck:
    largest = max(comparison.largest_difference for comparison in comparisons)
    bound = comparisons[0].bound
    if not all(comparison.passed for comparison in comparisons):
        raise Disagreement(
            output, f"ONNX Runtime's answers lie up to {largest:.3g} from those to be met, allowed is {bound}"
        )
    return ParityCheck(output=output, rows=rows, largest_difference=largest, tolerance=bound)
