"""The likelihood of the family that a spec names."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.bring.spec import Spec
from training.likelihoods import FAMILIES, likelihood_of
from training.likelihoods.likelihood import Likelihood
from training.scaling import Scaling, scaling_of
from vaeserve.errors import TrainingError

_MINIMUM_PROBABILITY = 1e-6  # expectations are clamped to it before their logit is taken


class OfExpectation(nn.Module):
    """A family's likelihood where the decoder only answers the expectation, which takes the parameters' place."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, data: Tensor, parameters: Tensor) -> Tensor:
        """Returns the log-likelihood [batch] of rows given expectations, in nats."""
        if self.likelihood.family == "gaussian":
            return self.likelihood(data, self.likelihood.scaled(parameters))  # type: ignore[no-any-return]
        probability = parameters / self.likelihood.data.maximum
        probability = probability.clamp(_MINIMUM_PROBABILITY, 1 - _MINIMUM_PROBABILITY)
        return self.likelihood(data, torch.log(probability) - torch.log1p(-probability))  # type: ignore[no-any-return]


def family_of(spec: Spec, decoder_roles: Sequence[str]) -> Likelihood | None:
    """Returns the likelihood that the spec names; None where it names none.

    Raises:
        TrainingError: it is unknown, or does not fit the data or the decoder's outputs.
    """
    if "logits" in decoder_roles and spec.likelihood not in ("bernoulli", "binomial"):
        raise TrainingError("likelihood: must be bernoulli or binomial, because the decoder answers logits")
    if spec.likelihood is None:
        return None
    if spec.likelihood not in FAMILIES:
        raise TrainingError(
            f"likelihood: {spec.likelihood} is not one of {', '.join(FAMILIES)}: provide its graph, or leave it out"
        )
    if spec.likelihood.startswith("logistic") and "parameters" not in decoder_roles:
        raise TrainingError(
            f"likelihood: {spec.likelihood} needs scales too, and the decoder only answers the expectation"
        )
    if spec.likelihood == "gaussian" and spec.likelihood_scale is None:
        raise TrainingError("likelihood_scale: must be given for a gaussian likelihood")
    scaling = Scaling(torch.tensor(spec.center), torch.tensor(spec.scale))
    if spec.likelihood.startswith("logistic"):  # their parameters always refer to levels between -1 and 1
        scaling = scaling_of(spec.data, torch.empty(0), spec.likelihood)
    try:
        likelihood = likelihood_of(spec.likelihood, spec.data, scaling)
    except TrainingError as exc:
        raise TrainingError(str(exc).removeprefix("--")) from exc
    if spec.likelihood_scale is not None:
        likelihood.set_scale(spec.likelihood_scale)  # type: ignore[operator]
    return likelihood.requires_grad_(False)
