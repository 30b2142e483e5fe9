"""The verdict on a graph that disagrees with its reference: on which rows, and which of the two is off."""

import numpy as np
import torch

from training.bring.trial import Trial, select_rows
from training.export.onnx_runner import open_session, run_in_batches
from training.export.parity import Disagreement, batch_sizes
from training.export.probes import GraphModule, Probe, TensorArrays, probe, rows_at_once
from vaeserve.errors import TrainingError
from vaeserve.slices import Slices

CLEARLY = 3  # a side that is so many times as far from float64 as the other is the one that is off


def verdict(trial: Trial, disagreement: Disagreement, content: bytes, exact: GraphModule | None) -> str:
    """Returns on which rows a graph disagrees with its reference, which side is off, and which setting allows more.

    Args:
        trial: inputs and reference answers.
        disagreement: the parity gate's.
        content: the graph.
        exact: the reference in float64; None where that is not possible.
    """
    reference, session = trial.probes[disagreement.graph], open_session(disagreement.graph, content)
    every = [run_in_batches(session, reference.inputs, Slices(size)) for size in batch_sizes(content)]
    answers = max(every, key=lambda each: _distance(disagreement.output, each, reference.outputs))
    rows = trial.missed(disagreement.output, answers, reference.outputs)
    if not rows:
        return "rows by themselves and rows in a batch lie too far apart; `tolerance` allows more"
    side = None
    if exact is not None:
        missed, at_once = Probe(*(select_rows(arrays, rows) for arrays in reference)), rows_at_once(trial.data)
        side = _side(disagreement.output, missed, select_rows(answers, rows), exact, at_once)
    parts = f"it disagrees on {trial.named(disagreement.graph, rows)}", side, "`tolerance` allows more"
    return "; ".join(filter(None, parts))


def _side(output: str, reference: Probe, answers: TensorArrays, exact: GraphModule, at_once: int) -> str | None:
    """Returns which side is off; None where the module does not compute in float64."""
    try:
        inputs = {name: torch.from_numpy(array) for name, array in reference.inputs.items()}
        wide = probe(exact, inputs, at_once).outputs
    except TrainingError:
        return None
    of_pytorch, of_graph = (_distance(output, side, wide) for side in (reference.outputs, answers))
    off = "both are off"
    if of_pytorch > CLEARLY * of_graph:
        off = "PyTorch's float32 is off"
    elif of_graph > CLEARLY * of_pytorch:
        off = "the graph is off"
    return (
        f"in float64 the module lies {of_pytorch:.3g} from PyTorch's float32 and {of_graph:.3g} from the graph: {off}"
    )


def _distance(output: str, answers: TensorArrays, references: TensorArrays) -> float:
    return float(np.abs(answers[output].astype(np.float64) - references[output]).max())
