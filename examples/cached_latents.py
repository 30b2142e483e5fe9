"""Reads latents that `vae job encode PICTURES/` cached in buckets, as a trainer of a latent diffusion model does.

python examples/cached_latents.py latents/ --batch 16      # an epoch: every picture once, each batch of one size
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

Item = dict[str, Any]


class CachedLatents(Dataset[Item]):
    """Pictures by number. Reads only the latent that is asked for; each process of a loader opens the files itself.

    An item has `latents` [channels, height, width]; `original_size`, `crop_top_left` and `target_size`, (height, width)
    or (top, left) in pixels; and `name`, the picture's file.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("part-*.safetensors"))
        self.places: list[tuple[int, int]] = []
        """Shard and row of each picture."""
        self.sizes: list[tuple[int, ...]] = []
        """Shape of each picture's latent."""
        self.names: list[str] = []
        self._files: dict[int, Any] = {}
        for shard, path in enumerate(self.paths):
            with safe_open(path, "pt") as file:
                rows, *shape = file.get_slice("latents").get_shape()
                self.names += json.loads(file.metadata()["vaeserve.names"])
            self.places += [(shard, row) for row in range(rows)]
            self.sizes += [tuple(shape)] * rows

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Item:
        shard, row = self.places[number]
        file = self._open(shard)

        def read(key: str) -> Tensor:
            value: Tensor = file.get_slice(key)[row : row + 1][0]
            return value

        mirrored = "_flip" if "latents_flip" in file.keys() and torch.rand(()) < 0.5 else ""  # noqa: SIM118
        latents = read(f"latents{mirrored}")
        if f"log_variance{mirrored}" in file.keys():  # noqa: SIM118, another draw at every visit
            deviation = (0.5 * read(f"log_variance{mirrored}").float()).exp()
            latents = latents.float() + deviation * torch.randn_like(deviation)
        sizes = {key: read(key) for key in ("original_size", "crop_top_left", "target_size")}
        return {"latents": latents, "name": self.names[number], **sizes}

    def _open(self, shard: int) -> Any:  # noqa: ANN401, safetensors has no type for it
        if shard not in self._files:
            self._files[shard] = safe_open(self.paths[shard], "pt")
        return self._files[shard]


class BucketBatches(Sampler[list[int]]):
    """Batches of pictures of one size: all of them once an epoch, in an order that the seed and the epoch decide."""

    def __init__(self, latents: CachedLatents, batch: int, seed: int = 0, *, drops_last: bool = False) -> None:
        self.epoch = 0
        self._batch, self._seed, self._drops_last = batch, seed, drops_last
        self._buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, size in enumerate(latents.sizes):
            self._buckets[size].append(number)

    def __len__(self) -> int:
        ends = 0 if self._drops_last else self._batch - 1
        return sum((len(numbers) + ends) // self._batch for numbers in self._buckets.values())

    def __iter__(self) -> Iterator[list[int]]:
        random = torch.Generator().manual_seed(self._seed + self.epoch)
        batches = []
        for numbers in self._buckets.values():
            shuffled = [numbers[place] for place in torch.randperm(len(numbers), generator=random).tolist()]
            batches += [shuffled[start : start + self._batch] for start in range(0, len(shuffled), self._batch)]
        if self._drops_last:
            batches = [batch for batch in batches if len(batch) == self._batch]
        for place in torch.randperm(len(batches), generator=random).tolist():
            yield batches[place]


def main() -> None:
    """Reads two epochs, and says what came."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of an encode job: safetensors, of pictures of many sizes")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=0, help="processes that read")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as in the processes of a loader: latents are small
    latents = CachedLatents(options.folder)
    batches = BucketBatches(latents, options.batch)
    statistics = torch.load(options.folder / "latents_stats.pt", weights_only=True)
    loader = DataLoader(latents, batch_sampler=batches, num_workers=options.workers)
    for batches.epoch in range(2):
        began, pictures, shapes = time.perf_counter(), 0, set[tuple[int, ...]]()
        for batch in loader:
            normal = (batch["latents"].float() - statistics["mean"]) / statistics["std"]  # what a trainer is fed
            pictures += len(normal)
            shapes.add(tuple(normal.shape[1:]))
        rate = pictures / (time.perf_counter() - began)
        print(f"epoch {batches.epoch}: {pictures} pictures in {len(batches)} batches, {rate:,.0f} a second")
    print("shapes:", *sorted(shapes))
    first = latents[0]
    print(first["name"], *(f"{key} {value.tolist()}" for key, value in first.items() if "_" in key))


if __name__ == "__main__":
    main()
