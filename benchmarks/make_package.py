"""Makes a package of random weights, through training's own export and proof.

    python -m benchmarks.make_package mlp|conv DIRECTORY

mlp    decoder 32-512-512-784 with ReLU, encoder alike; images [28, 28, 1] of counts 0..255
conv   decoder 64 -> [64, 64, 3]: a linear layer, then 3 x 3 convolutions and nearest-neighbour resizes; no norms
"""

import sys
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from training.data import Dataset
from training.export import export_graphs
from training.likelihood import likelihood_of
from training.networks import Networks
from training.parity import TOLERANCE, prove
from training.probes import probe_all, to_npz
from vae.manifest import DataSpec, Graph, Graphs, Likelihood, Manifest, Prior, Probes, fingerprint_of
from vae.package import ModelPackage, sha256_of

ROWS = 64  # of random data, from which the probes are taken
LOGITS = 0.2  # of their natural size: a probe is ten standard deviations out, and must be met to 1e-5


class Shape(NamedTuple):
    """What a pair's layers go between."""

    data: tuple[int, int, int]
    latent: int
    encoder: nn.Sequential
    decoder: nn.Sequential


class Permute(nn.Module):
    """Moves the axes after the batch."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, values: Tensor) -> Tensor:
        """Returns the values with their axes in the given order."""
        return values.permute(0, *self.axes)


def mlp() -> Shape:
    """Returns perceptrons 784-512-512-2*32 and 32-512-512-784."""
    return Shape((28, 28, 1), 32, _perceptron(784, 512, 512, 64), _perceptron(32, 512, 512, 784))


def conv() -> Shape:
    """Returns convolutions [64, 64, 3] -> 2*64 and 64 -> [64, 64, 3]."""
    encoder = [nn.Unflatten(1, (64, 64, 3)), Permute(3, 1, 2)]
    for inputs, outputs in pairwise((3, 16, 32, 64)):
        encoder += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(64 * 8 * 8, 128)]
    decoder = [nn.Linear(64, 64 * 8 * 8), nn.ReLU(), nn.Unflatten(1, (64, 8, 8))]
    for inputs, outputs in pairwise((64, 32, 32, 8)):
        decoder += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
    decoder += [nn.Conv2d(8, 3, 3, padding=1), Permute(2, 3, 1), nn.Flatten()]
    return Shape((64, 64, 3), 64, nn.Sequential(*encoder), nn.Sequential(*decoder))


def _perceptron(*sizes: int) -> nn.Sequential:
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def pair_of(shape: Shape, data: DataSpec, likelihood: Likelihood) -> Networks:
    """Returns the pair, with weights that keep the size of what flows through, but for small logits."""
    networks = Networks(data, (1,), shape.latent, likelihood_of(likelihood))
    networks.encoder.layers, networks.decoder.layers = shape.encoder, shape.decoder
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in networks.parameters():
            is_bias = weights.ndim == 1
            weights.zero_() if is_bias else weights.normal_(0, (2 / weights[0].numel()) ** 0.5, generator=generator)
        [*networks.decoder.parameters()][-2].mul_(LOGITS)
    return networks.eval()


def make(name: str, directory: Path) -> ModelPackage:
    """Exports, proves and writes a package."""
    shape = {"mlp": mlp, "conv": conv}[name]()
    data = DataSpec(kind="image", shape=shape.data, dtype="uint8", minimum=0, maximum=255)
    likelihood = Likelihood(family="binomial", constants={"trials": 255})
    networks = pair_of(shape, data, likelihood)
    rows = torch.randint(0, 256, (ROWS, *shape.data), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    dataset = Dataset(name, name, data, likelihood, rows, rows, sha256(rows.numpy().tobytes()).hexdigest())
    graphs, probes = export_graphs(networks, data, shape.latent), probe_all(networks, dataset)
    files = {f"{graph}.onnx": exported.content for graph, exported in graphs.items()} | {"probes.npz": to_npz(probes)}
    listed = {
        graph: Graph(
            file=f"{graph}.onnx",
            sha256=sha256_of(exported.content),
            opset=exported.opset,
            inputs=exported.inputs,
            outputs=exported.outputs,
        )
        for graph, exported in graphs.items()
    }
    manifest = Manifest(
        name=name,
        version=1,
        created_at=datetime.now(UTC).replace(microsecond=0),
        fingerprint=fingerprint_of(listed["encoder"].sha256, listed["decoder"].sha256),
        data=data,
        latent_shape=(shape.latent,),
        posterior="gaussian",
        likelihood=likelihood,
        priors=(Prior(name="standard", noise_size=shape.latent),),
        graphs=Graphs(**listed),
        probes=Probes(file="probes.npz", sha256=sha256_of(files["probes.npz"]), tolerances={"cpu": TOLERANCE}),
        parity=prove({graph: exported.content for graph, exported in graphs.items()}, probes, data),
    )
    work = (_megaflop(networks.encoder, rows), _megaflop(networks.decoder, torch.zeros(ROWS, shape.latent)))
    print("{}: encoder {:.1f}, decoder {:.1f} MFLOP a row".format(name, *work))
    return ModelPackage.write(directory, manifest, files)


def _megaflop(module: nn.Module, rows: Tensor) -> float:
    """Counts what matrix products and convolutions do, a multiplication and an addition as two."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(rows)
    return float(counter.get_total_flops()) / len(rows) / 1e6


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
