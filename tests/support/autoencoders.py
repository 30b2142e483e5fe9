"""Tiny autoencoders of diffusers with random weights, saved as folders."""

import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import diffusers
import torch

_KL: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "block_out_channels": (4, 8),
    "norm_num_groups": 2,
    "latent_channels": 4,
    "sample_size": 48,
}
_FLUX2 = {"layers_per_block": 1, "mid_block_add_attention": False}
_TINY = {
    "encoder_block_out_channels": (4, 4),
    "decoder_block_out_channels": (4, 4),
    "num_encoder_blocks": (1, 1),
    "num_decoder_blocks": (1, 1),
}
_BLOCKS = ("ResBlock", "EfficientViTBlock")
_DC: dict[str, Any] = {
    "latent_channels": 4,
    "attention_head_dim": 4,
    "encoder_block_types": _BLOCKS,
    "decoder_block_types": _BLOCKS,
    "encoder_block_out_channels": (4, 8),
    "decoder_block_out_channels": (4, 8),
    "encoder_layers_per_block": (1, 1),
    "decoder_layers_per_block": (1, 1),
    "encoder_qkv_multiscales": ((), (5,)),
    "decoder_qkv_multiscales": ((), (5,)),
    "scaling_factor": 0.41407,
}
_STATISTICS = [0.3, -0.2, 0.1, 0.0] * 4


def make(kind: str, **changes: object) -> Any:  # noqa: ANN401, diffusers has no types
    """Returns an autoencoder: kl, kl_plain (no quant convolutions, shift and scale), tiny, dc or flux2."""
    torch.manual_seed(0)
    match kind:
        case "kl":
            module = diffusers.AutoencoderKL(**_KL | changes)
        case "kl_plain":
            plain = {
                "use_quant_conv": False,
                "use_post_quant_conv": False,
                "mid_block_add_attention": False,
                "scaling_factor": 1.5,
                "shift_factor": 0.06,
            }
            module = diffusers.AutoencoderKL(**_KL | plain | changes)
        case "tiny":
            module = diffusers.AutoencoderTiny(**_TINY | changes)
        case "dc":
            module = diffusers.AutoencoderDC(**_DC | changes)
        case "flux2":
            module = diffusers.AutoencoderKLFlux2(**_KL | _FLUX2 | changes)
            module.bn.running_mean.copy_(torch.tensor(_STATISTICS))
            module.bn.running_var.copy_(torch.linspace(0.5, 2, 16))
        case _:
            raise AssertionError(kind)
    return module.eval()


def save(directory: Path, kind: str, **changes: object) -> Path:
    """Writes an autoencoder's folder."""
    module = make(kind, **changes)
    module.save_pretrained(directory)
    return directory
