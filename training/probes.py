"""Probes: rows to try the graphs on, and PyTorch's own answers for them."""

import io
from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vae.manifest import DataSpec
from vae.noise import Purpose, RowRange, standard_normals

Arrays = dict[str, npt.NDArray[np.number]]

ROWS = 64
REAL, RANDOM = 40, 16  # of these; the other 8 are extreme
LARGE = 4.0  # standard deviations in every dimension: no prior draws such a latent, but a caller may send one


class GraphModule(NamedTuple):
    """A module that becomes a graph."""

    module: nn.Module
    """Takes the inputs in order; answers a tensor, or a tuple of as many as there are outputs."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Probe(NamedTuple):
    """Inputs of one graph, and its module's outputs for them, by name; ROWS rows each."""

    inputs: Arrays
    outputs: Arrays


def probe_all(modules: Mapping[str, GraphModule], data: DataSpec, rows: Tensor) -> dict[str, Probe]:
    """Returns every graph's probe: real, random and extreme rows.

    Args:
        modules: encoder, decoder and, if there is one, likelihood.
        data: what a row is.
        rows: real ones, REAL or more: [rows, *data.shape].
    """
    inputs = {"encoder": {"data": data_rows(data, rows)}}
    mean = _run(modules["encoder"], inputs["encoder"])["mean"]
    inputs["decoder"] = {"latent": latent_rows(mean)}
    if "likelihood" in modules:
        parameters = _run(modules["decoder"], inputs["decoder"])["parameters"]
        # Shifted by one row, so that data also meets parameters that do not fit it.
        shifted = torch.cat((parameters[: ROWS // 2], parameters[ROWS // 2 :].roll(1, 0)))
        inputs["likelihood"] = {**inputs["encoder"], "parameters": shifted}
    return {graph: probe(modules[graph], given) for graph, given in inputs.items()}


def probe(module: GraphModule, inputs: Mapping[str, Tensor]) -> Probe:
    """Returns the probe of one graph: inputs by name, and PyTorch's answers for them."""
    return Probe(_arrays(inputs), _arrays(_run(module, inputs)))


def _run(module: GraphModule, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    with torch.inference_mode():
        found: Tensor | tuple[Tensor, ...] = module.module.eval()(*(laid_out(inputs[name]) for name in module.inputs))
    return dict(zip(module.outputs, (found,) if isinstance(found, Tensor) else found, strict=True))


def laid_out(rows: Tensor) -> Tensor:
    """Returns rows that lie in memory in the order of their axes, as a caller's own do.

    Kernels choose their way by that, and answer differently. `contiguous()` is not enough: it leaves alone where axes
    of length 1 lie, and a grey picture whose channels were last still counts as one.
    """
    as_made = torch.empty(rows.shape, device="meta").stride()
    return rows if rows.stride() == as_made else rows.clone(memory_format=torch.contiguous_format)


def data_rows(data: DataSpec, rows: Tensor) -> Tensor:
    """Returns real rows, random rows, and rows of the least and the largest values.

    A table has no least and largest value; rows three times as far out as any real one stand for them.
    """
    real = rows[torch.arange(REAL) % len(rows)]
    low, high = torch.tensor(data.minimum).double(), torch.tensor(data.maximum).double()
    if data.kind == "table":
        seen = rows.double()
        center, reach = (seen.amax(0) + seen.amin(0)) / 2, (seen.amax(0) - seen.amin(0)) / 2
        low, high = (center - 3 * reach).clamp(low, high), (center + 3 * reach).clamp(low, high)
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(RANDOM, *data.shape, generator=generator, dtype=torch.float64)
    random = low + uniform * (high - low)
    extreme = low.expand(ROWS - REAL - RANDOM, *data.shape).clone()
    extreme[1::2] = high
    made = torch.cat((random, extreme))
    if data.dtype == "uint8":
        made = made.round()
    return torch.cat((real, made.to(rows.dtype)))


def latent_rows(encodings: Tensor) -> Tensor:
    """Returns encodings of real rows, draws from N(0, I), and latents far from both, of the encodings' shape."""
    size = prod(encodings.shape[1:])
    drawn = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(0, 0, ROWS - REAL)], size))
    drawn[RANDOM:] = LARGE * drawn[RANDOM:].sign()
    return torch.cat((encodings[:REAL], drawn.reshape(-1, *encodings.shape[1:])))


def to_npz(probes: Mapping[str, Probe]) -> bytes:
    """Returns the probes as an archive of arrays named `graph.tensor`; the same arrays give the same bytes."""
    named = {
        f"{graph}.{name}": array
        for graph, probe in probes.items()
        for name, array in {**probe.inputs, **probe.outputs}.items()
    }
    file = io.BytesIO()
    # NumPy before 2.1 takes no `allow_pickle` here; arrays of numbers are never pickled.
    np.savez(file, **named)  # type: ignore[arg-type]
    return file.getvalue()


def _arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: laid_out(tensor).numpy() for name, tensor in tensors.items()}
