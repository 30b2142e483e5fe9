"""Networks: what an encoder and a decoder do between scaled data and what the pair makes of it.

    pair       Encoder, Decoder and the two as Networks: scaling, clamping and casts around a network
    linear     one linear map each way
    mlp        perceptrons with SiLU
    gated_mlp  perceptrons whose layers are gated by a sigmoid
    conv       residual convolutions without norms, nearest-neighbour resizing

To add a network, write a file with these two functions and add a line to NETWORKS, with the settings that it uses of
those that not every network does; given with another one, they are refused:

    encoder(row_shape, outputs, config)         -> module: scaled rows [batch, *row_shape] -> [batch, outputs]
    decoder(latent_size, outputs_shape, config) -> module: latent [batch, latent_size] -> [batch, *outputs_shape]

They initialise their weights from PyTorch's global generator, which the run's seed sets. A row's answer must depend on
that row alone, so nothing may normalise over the batch.
"""

from importlib import import_module
from types import ModuleType

NETWORKS: dict[str, tuple[str, ...]] = {  # each in the file of that name, imported when asked for; what it uses
    "linear": (),
    "mlp": ("hidden_sizes",),
    "gated-mlp": ("hidden_sizes",),
    "conv": ("hidden_sizes", "blocks"),
}


def network_of(name: str) -> ModuleType:
    """Returns the file of a network, one of NETWORKS."""
    return import_module(f"training.networks.{name.replace('-', '_')}")
