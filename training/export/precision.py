"""The gate of half precision: exported graphs -> the same in float16, or a refusal with the figures.

What is judged is the arithmetic of a device that has float16 kernels, wherever the export runs: see `with_rounding`.
"""

from collections.abc import Mapping
from math import log10
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from training.export.footprint import row_bytes
from training.export.graphs import ExportedGraph, read_back
from training.export.half import halve, is_halved, with_rounding
from training.export.onnx_runner import open_session, run_in_batches
from training.export.package import Contents
from training.export.parity import TOLERANCE, prove
from training.export.probes import ROWS, Probe, TensorArrays, graph_of
from vaeserve.errors import TrainingError
from vaeserve.files import AnyArray
from vaeserve.package.contents import PairPrecision, Tolerance
from vaeserve.package.data_spec import DataSpec
from vaeserve.package.probes import Reach, compare, reach_of
from vaeserve.slices import Slices, rows_within

HALVED = ("encoder", "decoder")  # the likelihood scores and priors draw in float32

PSNR_LOSS = 0.3  # dB, maximum
COSINE = 0.999  # minimum, of every row's latent
RELATIVE = 1e-2  # of a value: about twenty roundings to float16
ROOM = 2  # times the difference that was seen, because another device rounds other sums
BEST_MSE = 1e-10  # 100 dB: reconstructions that are better count as this good


class InPrecision(NamedTuple):
    """Graphs in the precision that was asked for, and what a package says of it."""

    precision: PairPrecision
    graphs: dict[str, ExportedGraph]
    """Encoder, decoder and, if there is one, likelihood."""
    float32: dict[str, ExportedGraph]
    """The pair in float32, which answers rows that overflow; empty if the graphs are float32 themselves."""
    tolerance: Tolerance
    """Maximum difference between the graphs' answers and the probes'."""
    figures: dict[str, float]
    """What the precision costs, by the name that it has among a package's metrics."""

    def applied_to(self, contents: Contents) -> Contents:
        """Returns a package's contents with these graphs in the place of its own."""
        return contents._replace(
            graphs=self.graphs,
            precision=self.precision,
            float32=self.float32,
            tolerance=self.tolerance,
            metrics={**contents.metrics, **self.figures},
        )


def in_precision(
    graphs: Mapping[str, ExportedGraph],
    probes: Mapping[str, Probe],
    data: DataSpec,
    precision: PairPrecision,
    *,
    real_rows: int,
    tolerance: Tolerance = TOLERANCE,
) -> InPrecision:
    """Returns a pair in a precision, once its float32 graphs are proved and its answers in float16 are near enough.

    Args:
        graphs: encoder, decoder and, if there is one, likelihood, in float32.
        probes: of every graph, by `graph` or `graph@size`.
        data: a row of data.
        precision: the one that is wanted.
        real_rows: how many rows of each encoder's probe are real data; they come first.
        tolerance: maximum difference between the answers of the float32 graphs and the probes'.

    Raises:
        TrainingError: the float32 graphs do not answer as their modules do, or float16 costs too much.
        OutOfMemory: there is not enough memory for two rows.
    """
    if precision == "float32":
        return InPrecision(precision, dict(graphs), {}, tolerance, {})
    pair = {name: graphs[name] for name in HALVED}
    own = {key: probe for key, probe in probes.items() if graph_of(key) in HALVED}
    prove({name: graph.content for name, graph in graphs.items()}, probes, data, tolerance)
    halved = {name: read_back(name, halve(onnx.load_model_from_string(graph.content))) for name, graph in pair.items()}
    models = {name: onnx.load_model_from_string(graph.content) for name, graph in halved.items()}
    if not any(map(is_halved, models.values())):
        raise TrainingError("precision fp16: there is nothing to halve, because no product is followed by another")
    judged = _Judged(
        pair, {name: with_rounding(model).SerializeToString() for name, model in models.items()}, own, data
    )
    answers = judged.answers()
    measured = _measured_tolerance(answers, own, judged.reach, tolerance)
    return InPrecision(precision, {**graphs, **halved}, pair, measured, judged.figures(answers, real_rows))


class _Judged(NamedTuple):
    """A pair in float32 and, rounded, in float16, and the probes that it is judged by."""

    full: Mapping[str, ExportedGraph]
    rounded: Mapping[str, bytes]
    probes: Mapping[str, Probe]
    data: DataSpec

    @property
    def reach(self) -> Reach:
        """How far apart values of data lie."""
        return reach_of(self.data, self.probes["encoder"].inputs["data"])

    def answers(self) -> dict[str, TensorArrays]:
        """Returns what the rounded graphs answer to each probe. Raises TrainingError if any of it is not finite."""
        answers = {key: self._run(key, self.rounded, probe.inputs) for key, probe in self.probes.items()}
        for key, outputs in answers.items():
            for output, rows in outputs.items():
                if broken := int((~np.isfinite(rows)).reshape(len(rows), -1).any(1).sum()):
                    raise TrainingError(
                        f"precision fp16: {key}.{output} overflows for {broken} of {len(rows)} probe rows"
                    )
        return answers

    def figures(self, answers: Mapping[str, TensorArrays], real_rows: int) -> dict[str, float]:
        """Returns what float16 costs. Raises TrainingError if that is too much."""
        full = {name: graph.content for name, graph in self.full.items()}
        losses, cosines = [], []
        for key, probe in self.probes.items():
            if graph_of(key) == "encoder":
                means = probe.outputs["mean"], answers[key]["mean"]
                cosines.append(row_cosines(*means).min())
                decoder = key.replace("encoder", "decoder", 1)
                before, after = (
                    self._run(decoder, graphs, {"latent": mean[:real_rows]})["expectation"]
                    for graphs, mean in zip((full, self.rounded), means, strict=True)
                )
                rows = probe.inputs["data"][:real_rows]
                losses.append(_psnr(rows, before, self.reach) - _psnr(rows, after, self.reach))
        loss, cosine = float(max(losses)), float(min(cosines))
        if loss > PSNR_LOSS or cosine < COSINE:
            raise TrainingError(
                f"precision fp16: reconstructions lose {max(0.0, loss):.2f} dB (allowed: {PSNR_LOSS}), and the lowest"
                f" cosine between a row's latents is {cosine:.5f} (allowed: {COSINE}); no package was written"
            )
        return {"fp16_psnr_loss_db": loss, "fp16_cosine": cosine}

    def _run(self, key: str, graphs: Mapping[str, bytes], inputs: TensorArrays) -> TensorArrays:
        name = graph_of(key)
        row = self.probes[key.replace(name, "encoder", 1)].inputs["data"].shape[1:]
        slices = Slices(rows_within(row_bytes(graphs[name], self.data.size_of(row)), ROWS))
        return run_in_batches(open_session(name, graphs[name]), inputs, slices)


def _measured_tolerance(
    answers: Mapping[str, TensorArrays], probes: Mapping[str, Probe], reach: Reach, least: Tolerance
) -> Tolerance:
    """Returns a tolerance that all answers keep with room. Raises TrainingError if one is far off."""
    absolute = least.absolute
    for key, outputs in answers.items():
        while missed := [
            one for one in compare(outputs, probes[key].outputs, reach, _tolerance(absolute)) if not one.passed
        ]:
            absolute *= 2
            if ROOM * absolute > 1:
                worst = missed[0]
                raise TrainingError(
                    f"precision fp16: {key}.{worst.output} differs from float32 by {worst.largest_difference:.3g};"
                    " no package was written"
                )
    return _tolerance(max(ROOM * absolute, least.absolute), least.relative)


def _tolerance(absolute: float, relative: float = 0.0) -> Tolerance:
    return Tolerance(absolute=absolute, relative=max(RELATIVE, relative))


def _psnr(data: AnyArray, expectation: AnyArray, reach: Reach) -> float:
    """Returns the peak signal-to-noise ratio over all rows, in dB; a value that is missing, NaN, counts nothing."""
    error = (expectation.astype(np.float64) - data) / reach
    return -10 * log10(max(BEST_MSE, float(np.nanmean(error**2))))


def row_cosines(one: AnyArray, other: AnyArray) -> npt.NDArray[np.float64]:
    """Returns the cosine between each row of one and of the other; 1 for rows that are equal."""
    left, right = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (one, other))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.where((left == right).all(1), 1.0, (left * right).sum(1) / np.where(norms > 0, norms, 1.0))
