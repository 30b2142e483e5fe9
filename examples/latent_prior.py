"""Trains a small flow-matching prior on latents that `vae job encode --output moments` wrote, and draws from it.

python examples/latent_prior.py latents/ drawn.npy      # then: vae job decode drawn.npy --package ... --out drawn/
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

STEPS, BATCH, WIDTH = 10_000, 512, 512


class Velocity(nn.Module):
    """Where a latent on its way from noise to data is heading, given how far it is: time 0 is noise, 1 is data."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.frequencies = nn.Buffer(2 * torch.pi * torch.arange(1, 9))
        self.layers = nn.Sequential(
            nn.Linear(size + 16, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, size)
        )

    def forward(self, latents: Tensor, time: Tensor) -> Tensor:
        """Returns [rows, size] for latents [rows, size] and times [rows, 1]."""
        angles = time * self.frequencies
        velocity: Tensor = self.layers(torch.cat([latents, angles.sin(), angles.cos()], dim=1))
        return velocity


def read_moments(folder: Path) -> tuple[Tensor, Tensor]:
    """Returns mean and standard deviation of every row's latent."""
    shards = [load_file(path) for path in sorted(folder.glob("part-*.safetensors"))]
    means = torch.cat([shard["latents"] for shard in shards])
    return means, torch.cat([shard["log_variance"] for shard in shards]).mul(0.5).exp()


def train(means: Tensor, deviations: Tensor) -> Velocity:
    """Returns a network with the running average of the weights that it had in training."""
    network = Velocity(means.shape[1])
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=STEPS)
    for step in range(STEPS):
        rows = torch.randint(len(means), (BATCH,))
        data = means[rows] + deviations[rows] * torch.randn(BATCH, means.shape[1])  # another draw at every visit
        noise, time = torch.randn_like(data), torch.rand(BATCH, 1)
        loss = (network(noise + time * (data - noise), time) - (data - noise)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, weights in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(weights, 0.001)
        if step % 2000 == 0:
            print(f"step {step:,}: loss {loss.item():.3f}", flush=True)
    return average


@torch.no_grad()
def draw(network: Velocity, count: int, size: int, steps: int = 100) -> Tensor:
    """Returns latents: noise that follows the velocity from time 0 to 1, by Heun's method."""
    latents = torch.randn(count, size)
    for step in range(steps):
        now, later = torch.full((count, 1), step / steps), torch.full((count, 1), (step + 1) / steps)
        slope = network(latents, now)
        latents = latents + (slope + network(latents + slope / steps, later)) / (2 * steps)
    return latents


def main() -> None:
    """Trains, draws and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("latents", type=Path, help="folder of an encode job: --output moments --format safetensors")
    parser.add_argument("out", type=Path, help=".npy file for the latents that are drawn")
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    torch.manual_seed(0)
    means, deviations = read_moments(options.latents)
    center, scale = means.mean(), (means.var(dim=0) + deviations.square().mean(dim=0)).mean().sqrt()
    prior = train((means - center) / scale, deviations / scale)
    np.save(options.out, (draw(prior, options.count, means.shape[1]) * scale + center).numpy())


if __name__ == "__main__":
    main()
