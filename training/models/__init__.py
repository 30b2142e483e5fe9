"""Models: what is learned, one file a kind (`--model`).

    kind        what a kind is
    optimizers  parameter groups, and the optimizers over them
    pca         principal components, fitted at once
    linear_ae   linear autoencoder: finds the same subspace by gradient steps
    ae          autoencoder: reconstruction alone; its latents follow no prior
    vae         variational autoencoder: the ELBO
    iwae        the same networks, trained on the importance-weighted bound
    vamp_vae    VAE whose prior is the mean of the posteriors of learned rows
    fsq         autoencoder whose latents are codes: each value is one of a few levels
    vae_gan     a VAE whose decoder also misleads a discriminator, in whose features rows are compared
    gan         generative adversarial network, with an encoder that is trained afterwards

To add a kind, write a file with a constant `KIND` and add a line to MODELS. The line lists the settings that have an
effect on this kind but not on every kind; a user who gives one of them to another kind is refused. Formulas that more
than one kind uses go to `training.objective`. docs/extending.md has an example with a third network.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from training.models.kind import Kind


class Entry(NamedTuple):
    """What settings are to a kind, and what the rule for pictures asks about it."""

    fixed: dict[str, object]
    """Settings that define it: with other values it would be another kind."""
    uses: tuple[str, ...]
    """Settings that have an effect on it but not on every kind. Settings that no kind lists affect all of them."""
    begins_as_pca: bool = False
    """Whether it gains by a network that begins as probabilistic PCA: then the rule for pictures chooses one."""
    picture_likelihood: str | None = None
    """The likelihood that the rule for pictures chooses; None: by the pictures' values."""
    step_cost: float = 1.0
    """Operations of a step, as a multiple of those of encoder and decoder alone; the rule for pictures counts them."""


_STEPS = (
    *("epochs", "steps", "keep", "patience", "batch_size", "learning_rate", "learning_rate_warmup"),
    *("weight_decay", "gradient_norm", "average_decay", "input_noise", "mirror"),
    *("precision", "compile", "checkpoint_epochs", "tensorboard"),
)
MIXTURE = ("mixture_components",)
STEPS = (*_STEPS, *MIXTURE)
_KL = ("beta", "target_rate", "kl_warmup", "evaluation_rows", "evaluation_samples")
POSTERIOR = ("samples", *_KL)
# torch.compile takes no second derivative, which the discriminator's penalty needs; validation rows say nothing.
_ADVERSARIAL = tuple(name for name in STEPS if name not in ("compile", "input_noise", "keep", "patience"))
_FOLLOWS_RESIDUAL = "gaussian"  # its scale does, also when the decoder no longer lowers the likelihood
_LINEAR: dict[str, object] = {"network": "linear", "likelihood": "gaussian"}

MODELS = {  # each in the file of that name
    "pca": Entry(_LINEAR, MIXTURE),
    "linear-ae": Entry(_LINEAR, STEPS),
    "ae": Entry({}, STEPS, begins_as_pca=True),
    "vae": Entry({}, (*STEPS, *POSTERIOR, "free_bits"), begins_as_pca=True),
    "iwae": Entry({}, (*STEPS, *POSTERIOR), begins_as_pca=True),
    "vamp-vae": Entry({}, (*STEPS, *POSTERIOR, "pseudo_inputs")),
    "fsq": Entry({}, (*_STEPS, "levels")),
    "vae-gan": Entry(
        {"binarised": False},
        (*_ADVERSARIAL, *_KL, "input_noise", "feature_weight", "adversarial_start"),
        picture_likelihood=_FOLLOWS_RESIDUAL,
        step_cost=5.3,
    ),
    "gan": Entry({"binarised": False}, _ADVERSARIAL, picture_likelihood=_FOLLOWS_RESIDUAL, step_cost=2.7),
}


def kind_named(name: str) -> "Kind":
    """Returns a kind by its name, one of MODELS; PyTorch is imported here, not before."""
    return cast("Kind", import_module(f"training.models.{name.replace('-', '_')}").KIND)
