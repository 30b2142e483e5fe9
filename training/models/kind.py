"""What a kind of model is: all that the training loop and the package ask about it."""

from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple

from torch import Generator, Tensor
from torch.optim import AdamW

from training.models.optimizers import Rates, one_optimizer
from training.networks.pair import Networks
from training.networks.prior import PriorModules
from training.objective import Step, TermWeights

Objective = Callable[[Any, Tensor, Tensor, Tensor, TermWeights], Step]
"""(networks, *StepInputs, weights) -> Step. Any: a kind's step takes the networks that the kind itself builds."""


class Kind(NamedTuple):
    """What `--model` names: what is learned, with which networks, and by which optimizers.

    Encoder and decoder are exported, and the prior if the kind learns one. Other networks are in the checkpoint alone.
    """

    title: str
    """For people."""
    posterior: Literal["gaussian", "none"]
    """What the encoder answers. The package's manifest and the evidence follow from it."""
    step: Objective | None = None
    """What a gradient step lowers; None if the kind has no steps."""
    takes_samples: bool = False
    """Whether a step draws `--samples` latents a row; otherwise it draws `draws`."""
    draws: int = 1
    """Number of standard normals that a step draws for each value of a row's latent."""
    validates: bool = True
    """Whether the loss on validation rows says which epoch is the best; otherwise it is not measured, and the last is
    exported.
    """
    loss_title: str = "loss, nats per row"
    """Title of the loss's axis in a picture."""
    likelihood: bool = True
    """Whether rows are given a likelihood. Without one the decoder answers data and its expectation alone."""
    encoder_afterwards: bool = False
    """Whether the decoder is trained first, on draws from N(0, I), and the encoder afterwards: see the manifest.

    Such latents are not standardised, and N(0, I) is the default prior although there is no posterior.
    """
    networks: Callable[..., Networks] = Networks
    """Builds what it is made of from a `Blueprint`: the pair, or a subclass of `Networks` that has more beside it."""
    network_settings: tuple[str, ...] = ()
    """Names of the settings that `networks` takes as arguments too."""
    optimizers: Callable[[Any, Rates], dict[str, AdamW]] = one_optimizer
    """Makes an optimizer for each loss of a step, by the loss's name, from the kind's networks."""
    lowers: Callable[[float], Collection[str]] | None = None
    """Returns the names of the losses that are lowered once a share of the steps is done; None: all of them, always."""
    begin: Callable[[Any, Tensor, Generator], None] | None = None
    """Sets first weights from the training rows, once, before the first step; the generator draws what is random."""
    fit: Callable[[Networks, Tensor], None] | None = None
    """Sets the networks' weights from all training rows at once, for a kind without steps."""
    prior: Callable[[Any, Tensor], PriorModules] | None = None
    """Returns the prior that the kind learned, from its trained networks and the training rows.

    None: it learns none, p(z) is N(0, I).
    """
