"""Folders of ONNX graphs as Optimum writes them: by PyTorch's older exporter, with the draw inside the encoder."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.support.autoencoders import make


class Drawing(nn.Module):
    """An encoder that draws its latent."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401, diffusers has no types
        super().__init__()
        self.module = module

    def forward(self, sample: Tensor) -> Tensor:
        latent: Tensor = self.module.encode(sample).latent_dist.sample()
        return latent


class Parameters(Drawing):
    """An encoder that answers mean and log-variance in one tensor."""

    def forward(self, sample: Tensor) -> Tensor:
        parameters: Tensor = self.module.encode(sample).latent_dist.parameters
        return parameters


class Noisy(Drawing):
    """An encoder that draws in another way."""

    def forward(self, sample: Tensor) -> Tensor:
        mean: Tensor = self.module.encode(sample).latent_dist.mean
        return mean + torch.randn_like(mean) - torch.randn_like(mean)


class Decoding(Drawing):
    def forward(self, sample: Tensor) -> Tensor:
        pixels: Tensor = self.module.decode(sample).sample
        return pixels


def save_optimum(folder: Path, encoder: type[Drawing] = Drawing, *, side: int | None = None) -> Path:
    """Writes the folder of the tiny `kl` without attention. With a side its encoder takes such squares alone."""
    module = make("kl", mid_block_add_attention=False)
    free = {0: "batch_size"} if side else {0: "batch_size", 2: "height", 3: "width"}
    pictures, latents = torch.rand(2, 3, side or 32, side or 24) * 2 - 1, torch.randn(2, 4, 16, 12)
    _export(folder / "vae_encoder", encoder(module), pictures, free)
    _export(folder / "vae_decoder", Decoding(module), latents, {0: "batch_size", 2: "height", 3: "width"})
    config = {"latent_channels": 4, "scaling_factor": 0.5, "sample_size": 48}
    (folder / "vae_decoder" / "config.json").write_text(json.dumps(config))
    return folder


def _export(folder: Path, module: nn.Module, example: Tensor, free: dict[int, str]) -> None:
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (example,),
            str(folder / "model.onnx"),
            dynamo=False,
            opset_version=14,
            input_names=["sample"],
            output_names=["answer"],
            dynamic_axes={"sample": free, "answer": {0: "batch_size"}},
        )
