"""Makes a package of pictures of any size: a small AutoencoderKL with random weights, through `vae import`.

    python -m benchmarks.make_pictures DIRECTORY

It has the blocks of Stable Diffusion's, attention included, and a million weights instead of 84. diffusers must be
installed.
"""

import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import diffusers
import torch

from vaeserve.command.cli import run

MINIMUM, MAXIMUM = 64, 256


def main() -> None:
    torch.manual_seed(0)
    module = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        norm_num_groups=8,
        latent_channels=4,
        sample_size=MAXIMUM,
    )
    parameters = sum(weights.numel() for weights in module.parameters())
    print(f"{parameters / 1e6:.2f} M parameters")
    with tempfile.TemporaryDirectory() as folder:
        module.save_pretrained(folder)
        sizes = ["--minimum", str(MINIMUM), "--maximum", str(MAXIMUM)]
        sys.exit(run(["import", folder, "--out", sys.argv[1], "--name", "pictures", *sizes]))


if __name__ == "__main__":
    main()
