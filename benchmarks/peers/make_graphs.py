"""Makes a decoder with random weights: a plain ONNX file, and a package of it by what `vae package` runs.

    python -m benchmarks.peers.make_graphs mlp|conv DIRECTORY

mlp    32-512-512-784 with ReLU, then a sigmoid: 1.4 MFLOP a row
conv   64 -> [3, 64, 64]: a linear layer, four transposed convolutions with ReLU, then a sigmoid: 54 MFLOP a row

Packaging adds a transpose of the convolution's answer to height, width, channels, and an encoder that nobody calls.
"""

import sys
from itertools import pairwise
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.make_package import mlp
from benchmarks.peers.graphs import SIZES, Graph
from training.bring.bring import package_files
from training.export.graphs import quiet
from vaeserve import Spec

OPSET = 18
SPECS: dict[str, dict[str, object]] = {
    "mlp": {"kind": "table", "shape": 784},
    "conv": {"kind": "image", "shape": (64, 64, 3), "layout": "NCHW", "dtype": "float32"},
}


def conv() -> nn.Sequential:
    """Returns the layers of the convolution."""
    layers: list[nn.Module] = [nn.Linear(64, 256 * 4 * 4), nn.Unflatten(1, (256, 4, 4))]
    for inputs, outputs in pairwise((256, 128, 64, 32, 3)):
        layers += [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
    return nn.Sequential(*layers)


def write(module: nn.Module, file: Path, rows: Tensor, takes: str, answers: str) -> None:
    """Exports a module of one input and one output, with any number of rows."""
    with quiet():
        torch.onnx.export(
            module.eval(),
            (rows,),
            file,
            input_names=[takes],
            output_names=[answers],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


def make(name: str, graph: Graph) -> None:
    """Exports a pair, and packages it."""
    torch.manual_seed(0)
    values, size = prod(graph.shape), graph.latent_size
    encoder_file = graph.directory / "encoder.onnx"
    graph.directory.mkdir(parents=True, exist_ok=True)
    decoder = nn.Sequential(mlp().decoder if name == "mlp" else conv(), nn.Sigmoid())
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(values, 2 * size))
    for weights in [*decoder.parameters(), *encoder.parameters()]:
        if weights.ndim > 1:
            nn.init.kaiming_normal_(weights)
    write(decoder, graph.file, torch.zeros(2, size), "latent", "expectation")
    write(encoder, encoder_file, torch.zeros(2, *graph.shape), "data", "moments")
    spec = {"name": name, "latent_shape": size, "minimum": 0, "maximum": 1, **SPECS[name]}
    spec |= {"encoder_outputs": ("moments",), "decoder_outputs": ("expectation",)}
    package_files(graph.package, encoder=encoder_file, decoder=graph.file, spec=Spec.model_validate(spec))


if __name__ == "__main__":
    make(sys.argv[1], Graph(Path(sys.argv[2], sys.argv[1]), *SIZES[sys.argv[1]]))
