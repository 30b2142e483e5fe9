"""What a model is."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from training.networks.pair import Networks
from training.objective import Step, TermWeights
from training.settings.config import Config

Objective = Callable[[Networks, Tensor, Tensor, Tensor, TermWeights], Step]
"""(networks, *Inputs, weights) -> Step."""


class Model(NamedTuple):
    """What is learned with a pair of networks."""

    title: str
    """For people."""
    posterior: Literal["gaussian", "none"]
    """What the encoder answers."""
    step: Objective | None = None
    """What a gradient step lowers."""
    draws: Callable[[Config], int] = lambda _: 1
    """Latents drawn a row and step."""
    fit: Callable[[Networks, Tensor], None] | None = None
    """Where it is fitted at once instead: sets the networks' weights from all training rows."""
