"""Families: the classes of diffusers that are known, and their networks as a graph needs them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

Autoencoder = Any
"""A module of one of the classes below; diffusers has no types."""
Config = Mapping[str, Any]
"""A configuration as diffusers has it: the file's values and the defaults of the class."""


class Family(NamedTuple):
    """One class of autoencoders."""

    posterior: Literal["gaussian", "none"]
    blocks: str
    """The configuration's key for the channels of each block; all blocks but one halve the picture."""
    scaling_factor: float = 1.0
    """What the class takes where a configuration names none."""
    patch: Callable[[Config], int] = lambda config: 1
    """How many places of the networks' own latent, along a side, make one of the pipeline's."""

    def factor(self, config: Config) -> int:
        """Returns how many pixels of a side lie below one place of the latent."""
        return int(2 ** (len(config[self.blocks]) - 1) * self.patch(config))


FAMILIES = {
    "AutoencoderKL": Family("gaussian", "block_out_channels", 0.18215),
    "AutoencoderTiny": Family("none", "encoder_block_out_channels"),
    "AutoencoderDC": Family("none", "encoder_block_out_channels"),
    "AutoencoderKLFlux2": Family("gaussian", "block_out_channels", patch=lambda config: int(config["patch_size"][0])),
}
"""By the name of the class."""


class EncoderNet(nn.Module):
    """Pixels [batch, channels, height, width] in [-1, 1] -> what becomes of them: a latent, or mean and log-variance.

    Args:
        module: an autoencoder of diffusers.
        patch: as `Family.patch` returns it.
    """

    def __init__(self, module: Autoencoder, patch: int) -> None:
        super().__init__()
        self.encoder: nn.Module = module.encoder
        self.quant_conv: nn.Module | None = getattr(module, "quant_conv", None)
        self.patch = patch

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns [batch, channels or twice as many, height / factor, width / factor]."""
        answer: Tensor = self.encoder(pixels)
        if self.quant_conv is not None:
            answer = self.quant_conv(answer)
        return answer if self.patch == 1 else functional.pixel_unshuffle(answer, self.patch)


class DecoderNet(nn.Module):
    """A raw latent -> pixels [batch, channels, height, width] of about [-1, 1].

    Args:
        module: an autoencoder of diffusers.
        patch: as `Family.patch` returns it.
    """

    def __init__(self, module: Autoencoder, patch: int) -> None:
        super().__init__()
        self.decoder: nn.Module = module.decoder
        self.post_quant_conv: nn.Module | None = getattr(module, "post_quant_conv", None)
        self.patch = patch

    def forward(self, latent: Tensor) -> Tensor:
        """Returns pixels, which are not clipped."""
        if self.patch != 1:
            latent = functional.pixel_shuffle(latent, self.patch)
        if self.post_quant_conv is not None:
            latent = self.post_quant_conv(latent)
        pixels: Tensor = self.decoder(latent)
        return pixels
