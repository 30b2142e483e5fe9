"""Makes a package with random weights, with training's own export and proof.

    python -m benchmarks.make_package mlp|conv|large DIRECTORY

mlp    decoder 32-512-512-784 with ReLU, encoder likewise; images [28, 28, 1] of counts 0..255
conv   decoder 64 -> [64, 64, 3]: a linear layer, then 3 x 3 convolutions and nearest-neighbour resizes; no norms
large  the same with 34 and 50 million weights, as many as the pair of Stable Diffusion has: 335 MB
"""

import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vaeserve import Spec, export
from vaeserve.package.directory import ModelPackage

ROWS = 64  # rows whose operations are counted
LOGITS = 0.2  # a factor: some probes are ten standard deviations out, and answers must agree to 1e-5


class Shape(NamedTuple):
    """A pair's layers, and the shapes between them."""

    data: tuple[int, int, int]
    layout: str
    latent: int
    encoder: nn.Sequential
    decoder: nn.Sequential


def mlp() -> Shape:
    """Returns perceptrons 784-512-512-2*32 and 32-512-512-784."""
    return Shape((28, 28, 1), "flat", 32, _perceptron(784, 512, 512, 64), _perceptron(32, 512, 512, 784))


def conv() -> Shape:
    """Returns convolutions [64, 64, 3] -> 2*64 and 64 -> [64, 64, 3]."""
    encoder: list[nn.Module] = []
    for inputs, outputs in pairwise((3, 16, 32, 64)):
        encoder += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(64 * 8 * 8, 128)]
    decoder: list[nn.Module] = [nn.Linear(64, 64 * 8 * 8), nn.ReLU(), nn.Unflatten(1, (64, 8, 8))]
    for inputs, outputs in pairwise((64, 32, 32, 8)):
        decoder += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
    decoder += [nn.Conv2d(8, 3, 3, padding=1)]
    return Shape((64, 64, 3), "NCHW", 64, nn.Sequential(*encoder), nn.Sequential(*decoder))


def large() -> Shape:
    """Returns convolutions [64, 64, 3] -> 2*64 and 64 -> [64, 64, 3], most of them of 512 channels at 4 x 4 places."""
    encoder: list[nn.Module] = []
    for inputs, outputs in pairwise((3, 32, 64, 256, 512)):
        encoder += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [*_convolutions(13), nn.Flatten(), nn.Linear(512 * 4 * 4, 128)]
    decoder: list[nn.Module] = [nn.Linear(64, 512 * 4 * 4), nn.ReLU(), nn.Unflatten(1, (512, 4, 4)), *_convolutions(21)]
    for inputs, outputs in pairwise((512, 64, 32, 16, 8)):
        decoder += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
    decoder += [nn.Conv2d(8, 3, 3, padding=1)]
    return Shape((64, 64, 3), "NCHW", 64, nn.Sequential(*encoder), nn.Sequential(*decoder))


def _convolutions(count: int) -> list[nn.Module]:
    return [layer for _ in range(count) for layer in (nn.Conv2d(512, 512, 3, padding=1), nn.ReLU())]


def _perceptron(*sizes: int) -> nn.Sequential:
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def initialise(shape: Shape) -> None:
    """Sets weights that keep the scale of activations, except for small logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in (shape.encoder, shape.decoder):
            for weights in module.parameters():
                is_bias = weights.ndim == 1
                weights.zero_() if is_bias else weights.normal_(0, (2 / weights[0].numel()) ** 0.5, generator=generator)
        [*shape.decoder.parameters()][-2].mul_(LOGITS)


def make(name: str, directory: Path) -> ModelPackage:
    """Exports, proves and writes a package."""
    shape = {"mlp": mlp, "conv": conv, "large": large}[name]()
    initialise(shape)
    spec = Spec.model_validate(
        {
            **{"name": name, "kind": "image", "shape": shape.data, "layout": shape.layout, "scaled_to": (-1, 1)},
            **{"latent_shape": shape.latent, "likelihood": "binomial", "decoder_outputs": ("logits",)},
        }
    )
    work = (
        _megaflop(shape.encoder, torch.zeros(ROWS, *spec.own_shape)),
        _megaflop(shape.decoder, torch.zeros(ROWS, shape.latent)),
    )
    print("{}: encoder {:.1f}, decoder {:.1f} MFLOP a row".format(name, *work))
    return export(shape.encoder, shape.decoder, spec, directory)


def _megaflop(module: nn.Module, rows: Tensor) -> float:
    """Counts the operations of matrix products and convolutions; a multiplication and an addition count as two."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        module(rows)
    return float(counter.get_total_flops()) / len(rows) / 1e6


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
