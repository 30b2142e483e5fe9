"""Compares an imported package with diffusers on the same weights: the check that a user of a pipeline would make.

python examples/against_diffusers.py FOLDER PACKAGE                # in this process
python examples/against_diffusers.py FOLDER --target HOST:PORT     # a server that serves the package

Latents as a pipeline's diffusion model leaves them go to `decode` as they are; diffusers gets them as its pipelines
hand them on, `latents / scaling_factor + shift_factor`.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import diffusers
import numpy as np
import torch

from vaeserve import Client, Local

SIZES = ((64, 64), (64, 96), (128, 72), (96, 160), (256, 256))
BATCHES = (1, 2, 3, 5, 8)


def main() -> None:
    """Prints a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the autoencoder's, with config.json")
    parser.add_argument("package", type=Path, nargs="?", help="what `vae import` wrote")
    parser.add_argument("--target", help="address of a server, in the place of a package")
    options = parser.parse_args()
    module = getattr(diffusers, json.loads((options.folder / "config.json").read_text())["_class_name"])
    original = module.from_pretrained(options.folder, local_files_only=True, torch_dtype=torch.float32).eval()
    with Client(options.target) if options.target else Local(options.package) as vae, torch.inference_mode():
        for batch, size in zip(BATCHES, SIZES, strict=True):
            compare(vae, original, batch, size)


def compare(vae: Client | Local, original: Any, batch: int, size: tuple[int, int]) -> None:  # noqa: ANN401, of no types
    """Prints how near a batch of pictures of one size and their latents come."""
    pictures = np.random.default_rng(batch).integers(0, 256, (batch, *size, 3), np.uint8)
    ours = vae.encode(pictures).latent
    theirs = to_pipeline(original, encoded(original, torch.from_numpy(pictures)))
    noise = torch.from_numpy(np.random.default_rng(batch).standard_normal(theirs.shape, np.float32))
    drawn = vae.decode(noise.numpy(), output="expectation").output
    sample = original.decode(from_pipeline(original, noise)).sample
    expected = ((sample / 2 + 0.5) * 255).permute(0, 2, 3, 1).numpy()
    cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(ours).flatten(1), theirs.flatten(1)).min()
    print(
        f"{batch} x {size[0]} x {size[1]}: latents differ by up to {np.abs(ours - theirs.numpy()).max():.1e}, cosine "
        f"{cosine:.7f}; pictures by up to {np.abs(drawn - expected).max() / 255:.1e} of the range"
    )


def encoded(original: Any, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Returns the raw latents of pictures, without a draw."""
    answer = original.encode(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
    latent: torch.Tensor = answer.latent_dist.mean if "latent_dist" in answer else next(iter(answer.values()))
    return latent


def to_pipeline(original: Any, raw: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Returns latents as the diffusion model sees them."""
    shift, scale = _scaling(original)
    return (raw - shift) * scale


def from_pipeline(original: Any, latents: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Returns raw latents."""
    shift, scale = _scaling(original)
    return latents / scale + shift


def _scaling(original: Any) -> tuple[float, float]:  # noqa: ANN401
    config = original.config
    if "batch_norm_eps" in config or config.get("latents_mean") is not None:
        raise SystemExit("latents are scaled channel by channel, which this example leaves out")
    return config.get("shift_factor") or 0.0, config.get("scaling_factor") or 1.0


if __name__ == "__main__":
    main()
