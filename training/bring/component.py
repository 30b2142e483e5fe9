"""Components: an original encoder, decoder or likelihood, a PyTorch module or an ONNX file, behind one interface."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn

from training.bring.files import read_graph, runner_of
from training.bring.roles import Outputs
from training.export.graphs import trace
from training.export.probes import GraphModule, laid_out
from training.step.memory import is_lack_of_memory
from vaeserve.errors import OutOfMemory, TrainingError, innermost

Forward = Callable[..., tuple[Tensor, ...]]
"""Rows in the component's own layout and range -> its outputs; raises TrainingError where it fails."""


class Component(NamedTuple):
    """An original module or graph."""

    label: str
    """Its name in errors."""
    run: Forward
    roles: tuple[str, ...]
    """What each output is."""
    model: Callable[[], onnx.ModelProto]
    """Returns the graph that it is or becomes."""
    exact: Forward | None = None
    """The same as `run` in float64; None where that is not possible."""


def module_component(label: str, module: nn.Module, outputs: Outputs, row_shape: tuple[int, ...]) -> Component:
    """Returns a module, which takes rows of this shape, as a part; it is copied, for evaluation in float32 on the CPU.

    Raises:
        TrainingError: it is not a module, cannot be copied or run, or it is not clear what its outputs are.
    """
    if not isinstance(module, nn.Module):
        raise TrainingError(f"{label}: is a {type(module).__name__}, must be a torch.nn.Module")
    try:
        own = (
            nn.Sequential(deepcopy(module)).cpu().float().eval()
        )  # Sequential takes one tensor, whatever the module's signature
    except Exception as exc:  # whatever a foreign module raises
        raise TrainingError(f"{label}: cannot be copied: {innermost(exc)}") from exc
    example = torch.zeros(2, *row_shape)
    run = _translated(label, own)
    count = len(run(example))

    def model() -> onnx.ModelProto:
        names = tuple(f"answer_{number}" for number in range(count))
        return trace(label, GraphModule(own, ("rows",), names), {"rows": example.numpy()})

    def exact(*rows: Tensor) -> tuple[Tensor, ...]:
        return _translated(label, deepcopy(own).double())(*(tensor.double() for tensor in rows))

    return Component(label, run, outputs.roles_of(label, count), model, exact)


def file_component(path: Path, outputs: Outputs, inputs: tuple[str, ...]) -> Component:
    """Returns an ONNX file as a component that takes these inputs; a single one may have any name.

    Raises:
        TrainingError: it cannot be read or served, takes other inputs, or it is not clear what its outputs are.
    """
    model, label = read_graph(path), path.name
    takes, answers = (tuple(value.name for value in side) for side in (model.graph.input, model.graph.output))
    if len(takes) != len(inputs) or (len(inputs) > 1 and takes != inputs):
        signature = "one tensor" if len(inputs) == 1 else " and ".join(inputs)
        raise TrainingError(
            f"{label}: takes {', '.join(takes)}, must take {signature}; noise is drawn outside of graphs"
        )
    run = _translated(label, runner_of(label, model))
    return Component(label, run, outputs.roles_of(label, len(answers), answers), lambda: model)


def _translated(label: str, run: Callable[..., object]) -> Forward:
    def answer(*rows: Tensor) -> tuple[Tensor, ...]:
        try:
            with torch.inference_mode():
                result = run(*map(laid_out, rows))
        except OutOfMemory:
            raise
        except Exception as exc:  # whatever a foreign module or graph raises
            if is_lack_of_memory(exc):
                raise OutOfMemory(f"{label}: {len(rows[0])} rows need more memory than there is") from exc
            reason = str(exc) if isinstance(exc, TrainingError) else innermost(exc)
            shapes = " and ".join(str(list(tensor.shape)) for tensor in rows)
            raise TrainingError(
                f"{label}: {reason}; by the spec's shape, layout and latent_shape it gets {shapes}, and must take any "
                "number of rows"
            ) from exc
        outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        if not all(isinstance(output, Tensor) for output in outputs):
            kinds = ", ".join(type(output).__name__ for output in outputs)
            raise TrainingError(f"{label}: answers {kinds}, must answer a tensor or a tuple of tensors")
        return outputs

    return answer
