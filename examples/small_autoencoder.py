"""Trains a small AutoencoderKL of diffusers on a folder of pictures, to try out what needs one. For `vae import`.

python examples/small_autoencoder.py photos/ small-kl --minutes 10
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

SIDE, BATCH, RATE, KL_WEIGHT = 64, 8, 1e-3, 1e-4
CHANNELS = (16, 32, 64)  # so a latent has a quarter of each side


class Crops:
    """Random squares of pictures, at random scales, in [-1, 1]."""

    def __init__(self, folder: Path) -> None:
        paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".png", ".jpg", ".webp")]
        self._pictures = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
        self._random = np.random.default_rng(0)

    def batch(self) -> Tensor:
        """Returns [BATCH, 3, SIDE, SIDE]."""
        rows = np.stack([self._one() for _ in range(BATCH)])
        return torch.from_numpy(rows.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)

    def _one(self) -> np.ndarray:
        picture = self._pictures[self._random.integers(len(self._pictures))]
        side = int(min(SIDE * 2 ** self._random.uniform(0, 1.5), *picture.shape[:2]))
        top, left = (self._random.integers(length - side + 1) for length in picture.shape[:2])
        square = Image.fromarray(picture[top : top + side, left : left + side])
        row = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        return row[:, ::-1] if self._random.random() < 0.5 else row


def train(crops: Crops, seconds: float) -> AutoencoderKL:
    """Returns a pair whose scaling factor makes the deviation of its latents 1."""
    torch.manual_seed(0)
    pair = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(CHANNELS),
        block_out_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=SIDE,
    )
    optimizer = torch.optim.AdamW(pair.parameters(), weight_decay=0.0)
    began, step = time.monotonic(), 0
    while (share := (time.monotonic() - began) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 50) * (1 + math.cos(math.pi * share)) / 2
        data = crops.batch()
        posterior = pair.encode(data).latent_dist
        latents = posterior.sample()
        error = (pair.decode(latents).sample - data).abs().mean()
        loss = error + KL_WEIGHT * posterior.kl().mean() / latents[0].numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"step {step:,}: mean absolute error {error.item():.4f}", flush=True)
    with torch.no_grad():
        deviation = torch.cat([pair.encode(crops.batch()).latent_dist.mean for _ in range(8)]).std().item()
    pair.register_to_config(scaling_factor=1 / deviation)
    return pair.eval()


def main() -> None:
    """Trains and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder of pictures, all kept in memory")
    parser.add_argument("out", type=Path, help="folder for the pair, as diffusers saves it")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    train(Crops(options.pictures), 60 * options.minutes).save_pretrained(options.out)


if __name__ == "__main__":
    main()
