"""Compares an imported package with diffusers on the same weights: the check that a user of a pipeline would make.

python examples/against_diffusers.py FOLDER PACKAGE                # in this process
python examples/against_diffusers.py FOLDER --target HOST:PORT     # a server that serves the package

Latents as a pipeline's diffusion model leaves them go to `decode` as they are; diffusers gets them as its pipelines
hand them on, `latents / scaling_factor + shift_factor`. Of a package with raw latents both get the same.
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
    parser.add_argument("folder", type=Path, help="the autoencoder's, or a pipeline's with vae/ in it")
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("package", type=Path, nargs="?", help="what `vae import` wrote")
    served.add_argument("--target", help="address of a server, in place of a package")
    options = parser.parse_args()
    original = load(options.folder)
    with Client(options.target) if options.target else Local(options.package) as vae, torch.inference_mode():
        for batch, size in zip(BATCHES, SIZES, strict=True):
            compare(vae, original, batch, size_near(vae, size))


def load(folder: Path) -> Any:  # noqa: ANN401, diffusers has no types
    """Returns the autoencoder of a folder, or of a pipeline's."""
    place = folder if (folder / "config.json").is_file() else folder / "vae"
    module = getattr(diffusers, json.loads((place / "config.json").read_text())["_class_name"])
    return module.from_pretrained(
        place, local_files_only=True, torch_dtype=torch.float32, low_cpu_mem_usage=False
    ).eval()


def size_near(vae: Client | Local, size: tuple[int, int]) -> tuple[int, int]:
    """Returns the size that the model takes and that is nearest to a height and a width, rounded up."""
    sizes = vae.get_model().data.sizes
    if sizes is None:
        raise SystemExit("the model takes pictures of one size: it is not a package of `vae import`")
    height, width = (-(-side // sizes.multiple) * sizes.multiple for side in size)
    low, high = sizes.minimum, sizes.maximum
    return min(max(height, low), high), min(max(width, low), high)


def compare(vae: Client | Local, original: Any, batch: int, size: tuple[int, int]) -> None:  # noqa: ANN401, of no types
    """Prints how near a batch of pictures of one size and their latents come."""
    pictures = np.random.default_rng(batch).integers(0, 256, (batch, *size, 3), np.uint8)
    ours = vae.encode(pictures).latent
    shift, scale = scaling_of(vae, original)
    theirs = (encoded(original, torch.from_numpy(pictures)) - shift) * scale
    noise = torch.from_numpy(np.random.default_rng(batch).standard_normal(theirs.shape, np.float32))
    drawn = vae.decode(noise.numpy(), output="expectation").output
    sample = original.decode(noise / scale + shift).sample
    expected = ((sample / 2 + 0.5) * 255).permute(0, 2, 3, 1).numpy()
    cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(ours).flatten(1), theirs.flatten(1)).min()
    print(
        f"{batch} of {size[1]} x {size[0]} (width x height): latents differ by up to "
        f"{np.abs(ours - theirs.numpy()).max():.1e}, cosine {cosine:.7f}; pictures by up to "
        f"{np.abs(drawn - expected).max() / 255:.1e} of the range"
    )


def encoded(original: Any, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Returns the raw latents of pictures, without a draw."""
    answer = original.encode(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
    latent: torch.Tensor = answer.latent_dist.mean if "latent_dist" in answer else next(iter(answer.values()))
    return latent


def scaling_of(vae: Client | Local, original: Any) -> tuple[float, float]:  # noqa: ANN401
    """Returns the shift and the scale that lead from the raw latents of diffusers to those of the package."""
    config, scaling = original.config, vae.get_model().scaling
    if scaling is not None and not scaling.applied:
        return 0.0, 1.0
    if "batch_norm_eps" in config or config.get("latents_mean") is not None:
        raise SystemExit("latents are scaled channel by channel, which this example leaves out")
    return config.get("shift_factor") or 0.0, config.get("scaling_factor") or 1.0


if __name__ == "__main__":
    main()
