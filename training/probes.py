"""Probes: rows to try the graphs on, and PyTorch's own answers for them."""

import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data import Dataset
from training.export import modules_of
from training.networks import Decoded, Networks, Posterior
from vae.noise import Purpose, RowRange, standard_normals

Arrays = dict[str, npt.NDArray[np.number]]

ROWS = 64
REAL, RANDOM = 40, 16  # of these; the other 8 are extreme
LARGE = 10.0  # standard deviations: no prior draws such a latent, but a caller may send one


class Probe(NamedTuple):
    """Inputs of one graph, and its module's outputs for them, by name; ROWS rows each."""

    inputs: Arrays
    outputs: Arrays


def probe_all(networks: Networks, dataset: Dataset) -> dict[str, Probe]:
    """Returns every graph's probe: real, random and extreme rows."""
    data = data_rows(dataset)
    with torch.inference_mode():
        encoded = networks.encoder(data)
        latent = latent_rows(encoded.mean)
        decoded = networks.decoder(latent)
        # Shifted by one row, so that data also meets parameters that do not fit it.
        parameters = torch.cat((decoded.parameters[: ROWS // 2], decoded.parameters[ROWS // 2 :].roll(1, 0)))
    inputs: dict[str, dict[str, Tensor]] = {
        "encoder": {"data": data},
        "decoder": {"latent": latent},
        "likelihood": {"data": data, "parameters": parameters},
    }
    return {graph: Probe(_arrays(given), answers(networks, graph, given)) for graph, given in inputs.items()}


def answers(networks: Networks, graph: str, inputs: Mapping[str, Tensor]) -> Arrays:
    """Returns PyTorch's outputs of one graph's module, by name."""
    module = modules_of(networks)[graph].eval()
    with torch.inference_mode():
        found: Posterior | Decoded | Tensor = module(*inputs.values())
    return _arrays({"log_likelihood": found} if isinstance(found, Tensor) else found._asdict())


def data_rows(dataset: Dataset) -> Tensor:
    """Returns held-out rows, random rows, and rows of the least and the largest values."""
    spec = dataset.spec
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(RANDOM, *spec.shape, generator=generator, dtype=torch.float64)
    random = spec.minimum + uniform * (spec.maximum - spec.minimum)
    extreme = torch.full((ROWS - REAL - RANDOM, *spec.shape), spec.minimum, dtype=torch.float64)
    extreme[1::2] = spec.maximum
    made = torch.cat((random, extreme))
    if spec.dtype == "uint8":
        made = made.round()
    return torch.cat((dataset.test[:REAL], made.to(dataset.test.dtype)))


def latent_rows(encodings: Tensor) -> Tensor:
    """Returns encodings of real rows, draws from N(0, I), and latents far from both."""
    size = encodings.shape[1]
    drawn = torch.from_numpy(standard_normals(Purpose.PRIOR, [RowRange(0, 0, ROWS - REAL)], size))
    drawn[RANDOM:] = LARGE * drawn[RANDOM:].sign()
    return torch.cat((encodings[:REAL], drawn))


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
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
