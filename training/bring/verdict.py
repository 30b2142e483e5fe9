"""Verdict on a graph that misses what it is to answer: on which rows, and which side of the two is off."""

import numpy as np
import torch

from training.bring.trial import Trial, select_rows
from training.export.onnx_runner import open_session, run_in_batches
from training.export.parity import Disagreement, batch_sizes
from training.export.probes import GraphModule, Probe, TensorArrays, probe, rows_at_once
from vaeserve.errors import TrainingError
from vaeserve.slices import Slices

CLEARLY = 3  # times as far from float64 as the other side is the one that is off


def verdict(trial: Trial, found: Disagreement, content: bytes, exact: GraphModule | None) -> str:
    """Returns on which rows a graph misses what it is to meet, which side is off, and what allows more.

    Args:
        trial: how it was tried.
        found: what was missed.
        content: the graph.
        exact: what it is to answer, computed in float64; None where that cannot be had.
    """
    wanted, session = trial.probes[found.graph], open_session(found.graph, content)
    every = [run_in_batches(session, wanted.inputs, Slices(size)) for size in batch_sizes(content)]
    answers = max(every, key=lambda each: _distance(found.output, each, wanted.outputs))
    rows = trial.missed(found.output, answers, wanted.outputs)
    if not rows:
        return "rows alone and in a batch lie too far apart; `tolerance` allows more"
    side = None
    if exact is not None:
        missed, at_once = Probe(*(select_rows(component, rows) for component in wanted)), rows_at_once(trial.data)
        side = _side(found.output, missed, select_rows(answers, rows), exact, at_once)
    said = f"it misses them on {trial.named(found.graph, rows)}", side, "`tolerance` allows more"
    return "; ".join(filter(None, said))


def _side(output: str, wanted: Probe, answers: TensorArrays, exact: GraphModule, at_once: int) -> str | None:
    """Returns which side is off; None where the module does not compute in float64."""
    try:
        inputs = {name: torch.from_numpy(array) for name, array in wanted.inputs.items()}
        wide = probe(exact, inputs, at_once).outputs
    except TrainingError:
        return None
    reference, graph = (_distance(output, found, wide) for found in (wanted.outputs, answers))
    off = "both are off"
    if reference > CLEARLY * graph:
        off = "PyTorch's float32 is off"
    elif graph > CLEARLY * reference:
        off = "the graph is off"
    return f"in float64 the module lies {reference:.3g} from PyTorch's float32 and {graph:.3g} from the graph: {off}"


def _distance(output: str, answers: TensorArrays, references: TensorArrays) -> float:
    return float(np.abs(answers[output].astype(np.float64) - references[output]).max())
