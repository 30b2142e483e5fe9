"""Probes: rows to try the graphs on, and PyTorch's answers for them."""

import io
from collections.abc import Mapping
from hashlib import sha256
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.step.memory import is_lack_of_memory
from vaeserve.errors import OutOfMemory
from vaeserve.files import AnyArray
from vaeserve.package.data_spec import DataSpec
from vaeserve.rows.noise import Purpose, RowRange, standard_normals
from vaeserve.slices import Slices, rows_within

TensorArrays = dict[str, npt.NDArray[np.number]]

ROWS, LEAST_ROWS = 64, 8
REAL = 40  # of 64; 16 are random and 8 extreme, and fewer rows have the same shares
ARCHIVE_BYTES = 32 * 2**20  # maximum for rows of data and their decoded rows
VALUE_BYTES = 1024  # an estimate of the memory that a module takes for each value of a row
LARGE = 4.0  # standard deviations in every dimension: no prior draws such a latent, but a client may send one


class GraphModule(NamedTuple):
    """A module that becomes a graph."""

    module: nn.Module
    """Takes the inputs in order; returns a tensor, or a tuple with one tensor for each output."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Probe(NamedTuple):
    """Inputs of one graph, and its module's outputs for them, by name; all have the same number of rows."""

    inputs: TensorArrays
    outputs: TensorArrays


def graph_of(key: str) -> str:
    """Returns the graph that a probe belongs to, from its key: `graph`, or `graph@size` for rows of another size."""
    return key.partition("@")[0]


class Kinds(NamedTuple):
    """Number of probe rows of each kind."""

    real: int
    random: int
    extreme: int


def kinds_of(data: DataSpec) -> Kinds:
    """Returns the number of rows of each kind: ROWS in all, or fewer if the archive would be too large."""
    # The data and the decoded data, and as float32 the expectation and the parameters.
    row_bytes = 2 * data.value_count * (np.dtype(data.dtype).itemsize + np.dtype(np.float32).itemsize)
    rows = max(LEAST_ROWS, rows_within(row_bytes, ROWS, ARCHIVE_BYTES))
    random, extreme = rows // 4, max(2, rows // 8)  # the minimum and the maximum value
    return Kinds(rows - random - extreme, random, extreme)


def rows_at_once(data: DataSpec, maximum: int = ROWS) -> int:
    """Returns how many rows of data a module takes at once: the maximum, or fewer if rows are wide."""
    return rows_within(VALUE_BYTES * data.value_count, maximum)


def probe_all(modules: Mapping[str, GraphModule], data: DataSpec, rows: Tensor) -> dict[str, Probe]:
    """Returns every graph's probe: real, random and extreme rows.

    The likelihood's data also meets parameters that do not fit it, because random latents are not encodings.

    Args:
        modules: encoder, decoder and, if there is one, likelihood.
        data: a row of data.
        rows: real rows, at least one: [rows, *data.shape].
    """
    kinds, at_once = kinds_of(data), rows_at_once(data)
    probes = {"encoder": probe(modules["encoder"], {"data": data_rows(data, rows, kinds)}, at_once)}
    mean = torch.from_numpy(probes["encoder"].outputs["mean"])
    probes["decoder"] = probe(modules["decoder"], {"latent": latent_rows(mean, kinds)}, at_once)
    if "likelihood" in modules:
        parameters = torch.from_numpy(probes["decoder"].outputs["parameters"])
        inputs = {"data": torch.from_numpy(probes["encoder"].inputs["data"]), "parameters": parameters}
        probes["likelihood"] = probe(modules["likelihood"], inputs, at_once)
    return probes


def probe(module: GraphModule, inputs: Mapping[str, Tensor], at_once: int = ROWS) -> Probe:
    """Returns the probe of one graph: inputs by name, and PyTorch's answers, computed `at_once` rows at a time.

    Raises:
        OutOfMemory: there is not enough memory for one row.
    """
    tensors = {name: laid_out(tensor) for name, tensor in inputs.items()}
    rows = len(next(iter(tensors.values())))
    parts = list(Slices(at_once).run(lambda part: _run(module, [tensors[name][part] for name in module.inputs]), rows))
    outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return Probe(
        {name: tensor.numpy() for name, tensor in tensors.items()}, dict(zip(module.outputs, outputs, strict=True))
    )


def _run(module: GraphModule, inputs: list[Tensor]) -> list[npt.NDArray[np.number]]:
    try:
        with torch.inference_mode():
            answers: Tensor | tuple[Tensor, ...] = module.module.eval()(*inputs)
    except (MemoryError, RuntimeError) as exc:
        if not is_lack_of_memory(exc):
            raise
        raise OutOfMemory(f"computing {', '.join(module.outputs)} took more memory than there is") from exc
    return [laid_out(tensor).numpy() for tensor in ((answers,) if isinstance(answers, Tensor) else answers)]


def laid_out(rows: Tensor) -> Tensor:
    """Returns rows that lie in memory in the order of their axes, as a client's rows do.

    Kernels depend on the layout, and their answers differ in the last bits. `contiguous()` is not enough, because it
    ignores axes of length 1: a grey picture whose channels were last counts as contiguous.
    """
    plain = torch.empty(rows.shape, device="meta").stride()
    return rows if rows.stride() == plain else rows.clone(memory_format=torch.contiguous_format)


def data_rows(data: DataSpec, rows: Tensor, kinds: Kinds) -> Tensor:
    """Returns real rows, random rows, and rows of the minimum and the maximum value.

    A table has neither; rows three times as far out as any real row take their place.
    """
    real = rows[torch.arange(kinds.real) % len(rows)]
    low, high = torch.tensor(data.minimum).double(), torch.tensor(data.maximum).double()
    if data.kind == "table":
        lowest, highest = rows.double().amin(0), rows.double().amax(0)
        center, reach = (highest + lowest) / 2, (highest - lowest) / 2
        low, high = (center - 3 * reach).clamp(low, high), (center + 3 * reach).clamp(low, high)
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(kinds.random, *data.shape, generator=generator, dtype=torch.float64)
    random = low + uniform * (high - low)
    extreme = low.expand(kinds.extreme, *data.shape).clone()
    extreme[1::2] = high
    artificial = torch.cat((random, extreme))
    if data.dtype == "uint8":
        artificial = artificial.round()
    return torch.cat((real, artificial.to(rows.dtype)))


def latent_rows(encodings: Tensor, kinds: Kinds) -> Tensor:
    """Returns encodings of real rows, draws from N(0, I), and latents far from both, of the encodings' shape."""
    size = prod(encodings.shape[1:])
    drawn = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(0, 0, kinds.random + kinds.extreme)], size))
    drawn[kinds.random :] = LARGE * drawn[kinds.random :].sign()
    return torch.cat((encodings[: kinds.real], drawn.reshape(-1, *encodings.shape[1:])))


def to_npz(probes: Mapping[str, Probe]) -> bytes:
    """Returns the probes as an archive of arrays named `graph.tensor`; the same arrays give the same bytes.

    Equal arrays are stored once; the others are stored as the name of the first.
    """
    named = {
        f"{graph}.{name}": array
        for graph, probe in probes.items()
        for name, array in {**probe.inputs, **probe.outputs}.items()
    }
    first_names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    stored: dict[str, AnyArray] = {}
    for name, array in named.items():
        first = first_names.setdefault((array.dtype.str, array.shape, sha256(array.tobytes()).digest()), name)
        stored[name] = array if first == name else np.array(first)
    file = io.BytesIO()
    # NumPy before 2.1 takes no `allow_pickle` here; arrays of numbers are never pickled.
    np.savez_compressed(file, **stored)  # type: ignore[arg-type]
    return file.getvalue()
