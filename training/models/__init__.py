"""Models: what is learned with a pair of networks, one file a model.

    model      what a model is
    pca        principal components, fitted at once
    linear_ae  linear autoencoder: finds the same subspace by gradient steps
    ae         autoencoder: reconstruction alone, its latents follow no prior
    vae        variational autoencoder: the ELBO
    iwae       the same networks trained on the importance-weighted bound

To add a model, write a file with a constant `MODEL` of that kind and add a line to MODELS. The line says which settings
mean something to it, of those that do not to every model: given with another one, they are refused. Its formulas go to
`training.objective`, where all of them stand beside one another.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from training.models.model import Model


class Entry(NamedTuple):
    """What settings are to a model."""

    fixed: dict[str, object]
    """Those without which it is another model."""
    uses: tuple[str, ...]
    """Those that it uses and another model does not. What no model lists, all of them use."""


_STEPS = (
    *("epochs", "batch_size", "learning_rate", "learning_rate_warmup", "weight_decay", "gradient_norm"),
    *("average_decay", "input_noise", "precision", "compile", "checkpoint_epochs", "tensorboard"),
)
_POSTERIOR = ("samples", "beta", "target_rate", "kl_warmup", "evaluation_rows", "evaluation_samples")
_LINEAR: dict[str, object] = {"network": "linear", "likelihood": "gaussian"}

MODELS = {  # each in the file of that name
    "pca": Entry(_LINEAR, ()),
    "linear-ae": Entry(_LINEAR, _STEPS),
    "ae": Entry({}, _STEPS),
    "vae": Entry({}, (*_STEPS, *_POSTERIOR, "free_bits")),
    "iwae": Entry({}, (*_STEPS, *_POSTERIOR)),
}


def model_of(name: str) -> "Model":
    """Returns a model by its name, one of MODELS."""
    return cast("Model", import_module(f"training.models.{name.replace('-', '_')}").MODEL)
