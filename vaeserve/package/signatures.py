"""Signatures: what every graph of a package takes and gives, by the graph's name."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from vaeserve.package.sizes import Axes

Tensors = Mapping[str, tuple[str, Axes]]
"""Dtype, and axes of a row, by tensor name."""


class Signature(NamedTuple):
    """What one graph takes and gives."""

    inputs: Tensors
    """These and no others."""
    outputs: Tensors
    """These, and perhaps others."""


def pair_signatures(
    data: tuple[str, Axes],
    latent_shape: Axes,
    parameters_shape: Axes,
    posterior: Literal["gaussian", "none"],
    *,
    has_codes: bool = False,
) -> dict[str, Signature]:
    """Returns the signatures of encoder, decoder and likelihood.

    Args:
        data: dtype and axes of a row of data.
        latent_shape: of one row's latent.
        parameters_shape: of the parameters that the decoder gives the likelihood for one row.
        posterior: as the manifest says.
        has_codes: whether latents are codes.
    """
    latent, expectation, parameters = _floats(latent_shape), _floats(data[1]), _floats(parameters_shape)
    moments = ("mean", "log_variance") if posterior == "gaussian" else ("mean",)
    codes: Tensors = {"codes": ("uint16", latent_shape)} if has_codes else {}
    return {
        "encoder": Signature({"data": data}, {**dict.fromkeys(moments, latent), **codes}),
        "decoder": Signature({"latent": latent}, {"data": data, "expectation": expectation}),
        "likelihood": Signature({"data": data, "parameters": parameters}, {"log_likelihood": _floats()}),
    }


def prior_signatures(name: str, noise_size: int | None, latent_shape: Axes) -> dict[str, Signature]:
    """Returns the signatures of a prior and its density. Noise of no size of its own has the latent's shape."""
    latent, noise = _floats(latent_shape), _floats(latent_shape if noise_size is None else (noise_size,))
    return {
        f"prior.{name}": Signature({"noise": noise, "temperature": _floats()}, {"latent": latent}),
        f"density.{name}": Signature({"latent": latent}, {"log_prior": _floats()}),
    }


def _floats(shape: Axes = ()) -> tuple[str, Axes]:
    return "float32", shape
