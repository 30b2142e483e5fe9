"""Signatures: what every graph of a package takes and gives, by the graph's name."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

RowShape = tuple[int, ...]
Tensors = Mapping[str, tuple[str, RowShape]]
"""Dtype, and shape of a row, by tensor name."""


class Signature(NamedTuple):
    """What one graph takes and gives."""

    inputs: Tensors
    """These and no others."""
    outputs: Tensors
    """These, and perhaps others."""


def pair_signatures(
    data: tuple[str, RowShape],
    latent_shape: RowShape,
    parameters_shape: RowShape,
    posterior: Literal["gaussian", "none"],
) -> dict[str, Signature]:
    """Returns the signatures of encoder, decoder and likelihood.

    Args:
        data: dtype and shape of a row of data.
        latent_shape: of one row's latent.
        parameters_shape: of the parameters that the decoder gives the likelihood for one row.
        posterior: as the manifest says.
    """
    latent, expectation, parameters = _floats(latent_shape), _floats(data[1]), _floats(parameters_shape)
    moments = ("mean", "log_variance") if posterior == "gaussian" else ("mean",)
    return {
        "encoder": Signature({"data": data}, dict.fromkeys(moments, latent)),
        "decoder": Signature({"latent": latent}, {"data": data, "expectation": expectation}),
        "likelihood": Signature({"data": data, "parameters": parameters}, {"log_likelihood": _floats()}),
    }


def prior_signatures(name: str, noise_size: int, latent_shape: RowShape) -> dict[str, Signature]:
    """Returns the signatures of a prior and its density."""
    latent, noise = _floats(latent_shape), _floats((noise_size,))
    return {
        f"prior.{name}": Signature({"noise": noise, "temperature": _floats()}, {"latent": latent}),
        f"density.{name}": Signature({"latent": latent}, {"log_prior": _floats()}),
    }


def _floats(shape: RowShape = ()) -> tuple[str, RowShape]:
    return "float32", shape
