"""Figures: how near the graphs' answers come to the pair's own, in the terms that people compare such pairs in."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from training.export.graphs import ExportedGraph
from training.export.onnx_runner import open_session, run_in_batches
from training.export.precision import row_cosines
from training.export.probes import Probe, graph_of
from vaeserve.errors import TrainingError

LEAST_COSINE = 0.99999  # of every row's latent
MOST_DECIBELS = 150.0  # a difference below it is rounding


def parity_figures(graphs: Mapping[str, ExportedGraph], probes: Mapping[str, Probe]) -> dict[str, float]:
    """Returns the lowest cosine between a row's latent and the pair's own, and the lowest PSNR of a picture.

    Raises:
        TrainingError: a cosine is too low.
    """
    cosines, decibels = list[float](), list[float]()
    sessions = {name: open_session(name, graph.content) for name, graph in graphs.items()}
    for key, probe in probes.items():
        answers = run_in_batches(sessions[graph_of(key)], probe.inputs, 1)
        if graph_of(key) == "encoder":
            cosines.append(float(row_cosines(answers["mean"], probe.outputs["mean"]).min()))
        else:
            decibels.append(psnr(answers["expectation"], probe.outputs["expectation"]))
    if min(cosines) < LEAST_COSINE:
        raise TrainingError(
            f"encoder: the lowest cosine between a latent and the pair's own is {min(cosines):.6f}, must be "
            f"{LEAST_COSINE} or more; no package was written"
        )
    return {"parity_cosine": min(cosines), "parity_psnr": min(decibels)}


def reconstruction_psnr(probes: Mapping[str, Probe]) -> float:
    """Returns the PSNR of the first picture's reconstruction, which the probes of the smallest size hold."""
    return psnr(probes["decoder"].outputs["expectation"][:1], probes["encoder"].inputs["data"][:1])


def psnr(one: npt.NDArray[np.number], other: npt.NDArray[np.number]) -> float:
    """Returns the peak signal-to-noise ratio between pictures of shades from 0 to 255, in decibels; at most 150."""
    squared = float(((one.astype(np.float64) - other) ** 2).mean())
    return min(MOST_DECIBELS, float(-10 * np.log10(max(squared, 1e-300) / 255**2)))
