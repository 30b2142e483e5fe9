"""Networks: the layers of encoders and decoders, one file a network (`--network`), and the pair around them.

    pair       Encoder, Decoder, and both as Networks: scaling, clamping and casts around the layers
    prior      a prior as modules, and the mixture of Gaussians
    discriminator  tells rows of data from decoded ones, for adversarial kinds
    linear     one linear map each way
    mlp        perceptrons with SiLU
    gated_mlp  perceptrons whose layers are gated by a sigmoid
    conv       residual convolutions without norms, nearest-neighbour resizing
    pca_conv   probabilistic PCA, and convolutions that correct it
    pyramid    linear maps of pictures, a level for each halving
    places     how many latents each place of each level has
    grid_levels  one level of the network grid
    grid       that pyramid, and convolutions that correct it: latents at every place of several levels

To add a network, write a file with these two functions and add a line to NETWORKS. The line lists the settings that
have an effect on this network but not on every network; a user who gives one of them to another network is refused.

    encoder(row_shape, outputs, sizes)         -> module: scaled rows [batch, *row_shape] -> [batch, outputs]
    decoder(latent_size, outputs_shape, sizes) -> module: latent [batch, latent_size] -> [batch, *outputs_shape]

A third function is optional:

    begin(networks, rows, mirrors)             sets first weights of a pair from all training rows, and mirrored ones

They initialise their weights from PyTorch's global generator, which the run's seed sets. A row's answer must depend on
that row alone, so nothing may normalise over the batch.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

NETWORKS: dict[str, tuple[str, ...]] = {  # each in the file of that name, imported on demand; the settings that it uses
    "linear": (),
    "mlp": ("hidden_sizes",),
    "gated-mlp": ("hidden_sizes",),
    "conv": ("hidden_sizes", "blocks"),
    "pca-conv": ("hidden_sizes", "blocks"),
    "grid": ("hidden_sizes", "blocks"),
}


class Sizes(NamedTuple):
    """How large a network is."""

    hidden: tuple[int, ...]
    """Widths of the encoder's hidden layers, or of a convolution's levels; a decoder mirrors them."""
    blocks: int = 1
    """Residual blocks a level of a convolution has."""
    channels: int = 1
    """Length of a row's last axis; a decoder's outputs may have several for each."""
    latent: int = 1
    """Values in a latent; an encoder may answer several numbers for each."""


def network_of(name: str) -> ModuleType:
    """Returns the file of a network, one of NETWORKS."""
    return import_module(f"training.networks.{name.replace('-', '_')}")
