"""Models: what is learned with a pair of networks, one file a model.

    model      what a model is
    pca        principal components, fitted at once
    linear_ae  linear autoencoder: finds the same subspace by gradient steps
    ae         autoencoder: reconstruction alone, its latents follow no prior
    vae        variational autoencoder: the ELBO
    iwae       the same networks trained on the importance-weighted bound

To add a model, write a file with a constant `MODEL` of that kind and add a line to MODELS. Its formulas go to
`training.objective`, where all of them stand beside one another.
"""

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from training.models.model import Model

MODELS: dict[str, dict[str, object]] = {  # each in the file of that name, and the settings without which it is another
    "pca": {"network": "linear", "likelihood": "gaussian"},
    "linear-ae": {"network": "linear", "likelihood": "gaussian"},
    "ae": {},
    "vae": {},
    "iwae": {},
}


def model_of(name: str) -> "Model":
    """Returns a model by its name, one of MODELS."""
    return cast("Model", import_module(f"training.models.{name.replace('-', '_')}").MODEL)
