"""Autoencoders of diffusers, imported and served, against diffusers: five sizes of pictures, one to eight in a call.

The weights are random, because no others can be had here. The architectures are those of SD, FLUX.1, FLUX.2, TAESD and
Sana, with fewer channels but for TAESD's. Answers come over gRPC. What diffusers answers is scaled by the pipelines'
own formulas, which are written down here once more.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import serve
from benchmarks.printing import claim, table
from vaeserve import Client

os.environ["HF_HUB_OFFLINE"] = "1"

SIZES = ((64, 64), (64, 128), (160, 96), (256, 256), (320, 192))  # height, width
ROWS = (1, 2, 3, 5, 8)
KL: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (32, 64, 64, 64),
    "layers_per_block": 1,
    "norm_num_groups": 8,  # of four channels and more, as in the originals
}
DC: dict[str, Any] = {
    "encoder_block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3,
    "decoder_block_types": ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3,
    "encoder_block_out_channels": (16, 32, 64, 64, 64, 64),
    "decoder_block_out_channels": (16, 32, 64, 64, 64, 64),
    "encoder_layers_per_block": (1,) * 6,
    "decoder_layers_per_block": (1,) * 6,
    "encoder_qkv_multiscales": ((), (), (), (5,), (5,), (5,)),
    "decoder_qkv_multiscales": ((), (), (), (5,), (5,), (5,)),
    "scaling_factor": 0.41407,
}


class Reference(NamedTuple):
    """What diffusers answers, in a pipeline's own terms."""

    module: Any
    encode: Callable[[Any], Any]
    """Pixels in [-1, 1] -> the latents that the diffusion model sees."""
    decode: Callable[[Any], Any]
    """Those latents -> pixels in [-1, 1]."""


def references() -> dict[str, Reference]:
    """Returns a pair of each class, by name."""
    import torch

    diffusers: Any = import_module("diffusers")  # it has few types, and wrong ones
    torch.manual_seed(0)
    sd = diffusers.AutoencoderKL(**KL, latent_channels=4, scaling_factor=0.18215)
    plain = {"use_quant_conv": False, "use_post_quant_conv": False, "shift_factor": 0.1159, "scaling_factor": 0.3611}
    flux = diffusers.AutoencoderKL(**KL, latent_channels=16, **plain)
    flux2 = diffusers.AutoencoderKLFlux2(**KL, latent_channels=32)
    flux2.bn.running_mean.uniform_(-0.5, 0.5)
    flux2.bn.running_var.uniform_(0.5, 2)
    mean = flux2.bn.running_mean.view(1, -1, 1, 1)
    std = (flux2.bn.running_var.view(1, -1, 1, 1) + flux2.config.batch_norm_eps).sqrt()
    tiny, dc = diffusers.AutoencoderTiny(), diffusers.AutoencoderDC(**DC)

    def patchify(z: Any) -> Any:  # noqa: ANN401, torch is imported late
        rows, channels, height, width = z.shape
        cut = z.view(rows, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        return cut.reshape(rows, channels * 4, height // 2, width // 2)

    def unpatchify(z: Any) -> Any:  # noqa: ANN401
        rows, channels, height, width = z.shape
        cut = z.reshape(rows, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        return cut.reshape(rows, channels // 4, height * 2, width * 2)

    return {
        "AutoencoderKL, SD": Reference(
            sd, lambda x: sd.encode(x).latent_dist.mean * 0.18215, lambda z: sd.decode(z / 0.18215).sample
        ),
        "AutoencoderKL, FLUX.1": Reference(
            flux,
            lambda x: (flux.encode(x).latent_dist.mean - 0.1159) * 0.3611,
            lambda z: flux.decode(z / 0.3611 + 0.1159).sample,
        ),
        "AutoencoderKLFlux2": Reference(
            flux2,
            lambda x: (patchify(flux2.encode(x).latent_dist.mean) - mean) / std,
            lambda z: flux2.decode(unpatchify(z * std + mean)).sample,
        ),
        "AutoencoderTiny": Reference(tiny, lambda x: tiny.encode(x).latents, lambda z: tiny.decode(z).sample),
        "AutoencoderDC": Reference(
            dc, lambda x: dc.encode(x).latent * 0.41407, lambda z: dc.decode(z / 0.41407).sample
        ),
    }


class Gap(NamedTuple):
    """The worst that was seen of one pair."""

    latent: float
    """Largest difference, over the range of the latents."""
    cosine: float
    """Of a row's latent, the least."""
    pixels: float
    """Largest difference, over the range of pixels."""


def measure(package: Path, reference: Reference) -> Gap:
    """Compares the answers of a service with those of diffusers."""
    import torch

    random = np.random.default_rng(0)
    gaps = []
    with serve(package, cores=(0, 1)) as server, Client(server.target) as client, torch.inference_mode():
        for height, width in SIZES:
            pictures = _pictures(random, max(ROWS), height, width)
            pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() * 2 / 255 - 1
            latents = reference.encode(pixels)
            decoded = (reference.decode(latents) / 2 + 0.5).permute(0, 2, 3, 1).numpy() * 255
            for rows in ROWS:
                encoded = client.encode(pictures[:rows]).latent
                answered = client.decode(latents[:rows].numpy(), output="expectation").output
                gaps.append(_gap(encoded, latents[:rows].numpy(), answered - decoded[:rows]))
    return Gap(max(gap.latent for gap in gaps), min(gap.cosine for gap in gaps), max(gap.pixels for gap in gaps))


def _pictures(random: np.random.Generator, rows: int, height: int, width: int) -> np.ndarray:
    """Returns smooth pictures with some noise, uint8 [rows, height, width, 3]."""
    y, x = np.mgrid[0:height, 0:width] / 64
    waves = random.uniform(0.5, 3, (rows, 3, 2, 1, 1))
    smooth = np.sin(waves[:, :, 0] * y) * np.cos(waves[:, :, 1] * x)
    noisy = np.rint(127.5 + 100 * smooth + random.normal(0, 10, smooth.shape))
    pictures: np.ndarray = np.clip(noisy, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return pictures


def _gap(encoded: np.ndarray, latents: np.ndarray, pixels: np.ndarray) -> Gap:
    flat, expected = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (encoded, latents))
    cosine = (flat * expected).sum(1) / np.linalg.norm(flat, axis=1) / np.linalg.norm(expected, axis=1)
    return Gap(
        float(np.abs(flat - expected).max() / np.ptp(expected)), float(cosine.min()), float(np.abs(pixels).max() / 255)
    )


def main() -> None:
    """Imports each pair, serves it, and prints how close its answers are."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    gaps = {}
    with TemporaryDirectory() as place:
        for number, (name, reference) in enumerate(references().items()):
            folder, package = Path(place, f"folder{number}"), Path(place, f"package{number}")
            reference.module.eval().save_pretrained(folder)
            importing = [sys.executable, "-m", "vaeserve", "import", str(folder), "--out", str(package)]
            subprocess.run([*importing, "--name", f"pair{number}"], check=True, stdout=subprocess.DEVNULL)
            gaps[name] = measure(package, reference)
    table("pair", "latent", "1 - cosine", "pixels", rows=[(name, g[0], 1 - g[1], g[2]) for name, g in gaps.items()])
    claim("largest difference over the range", max(max(gap[0], gap[2]) for gap in gaps.values()), 1e-4, is_limit=True)
    claim("least cosine of a row's latent", min(gap.cosine for gap in gaps.values()), 0.99999)


if __name__ == "__main__":
    main()
