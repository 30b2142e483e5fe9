"""VAE with a VampPrior (Tomczak and Welling, "VAE with a VampPrior", 2018): the prior is learned.

It is the mean of the posteriors of pseudo-inputs, which are rows of data that are learned with the networks.
"""

from math import log, pi

import torch
from torch import Generator, Tensor, nn

from training.models.kind import Kind
from training.networks.pair import Blueprint, DiagonalGaussian, Networks
from training.networks.prior import PriorModules, diagonal_mixture
from training.objective import Step, TermWeights, draw, kl_by_dimension, log_density, log_likelihoods

MARGIN = 0.05  # of first pseudo-inputs to the ends of the data's range, as a share of it: clipped values do not learn
ANCHOR = 0.01  # weight of the components' KL to N(0, I)
SPREAD = 0.01  # of first pseudo-inputs around the mean row, in the encoder's units


class WithPseudoInputs(Networks):
    """The pair and the pseudo-inputs, scaled as the encoder scales data."""

    low: Tensor
    high: Tensor

    def __init__(self, blueprint: Blueprint, pseudo_inputs: int) -> None:
        super().__init__(blueprint)
        data = blueprint.likelihood.data
        bounds_shape = data.shape if data.kind == "table" else ()
        self.pseudo_inputs = nn.Parameter(torch.zeros(pseudo_inputs, *data.shape))
        self.register_buffer("low", torch.full(bounds_shape, data.minimum))
        self.register_buffer("high", torch.full(bounds_shape, data.maximum))

    def components(self) -> DiagonalGaussian:
        """Returns the posteriors of the pseudo-inputs, which are clipped to the range of the training rows."""
        encoder = self.encoder
        posterior: DiagonalGaussian = encoder(
            (encoder.center + encoder.scale * self.pseudo_inputs).clamp(self.low, self.high)
        )
        return posterior


def log_mixture(latent: Tensor, components: DiagonalGaussian) -> Tensor:
    """Returns log p(z) [..., batch] under components of equal weight.

    (z - m)^2 / v is multiplied out, so that two products of matrices give every component's density. They are float32
    in every run, because in bfloat16 the parts would not cancel.
    """
    with torch.autocast(latent.device.type, enabled=False):
        mean, log_variance = components
        precision = torch.exp(-log_variance)
        flat = latent.flatten(0, -2)
        constants = (mean**2 * precision + log_variance + log(2 * pi)).sum(1)
        squares = flat**2 @ precision.T - 2 * flat @ (mean * precision).T + constants
        return (torch.logsumexp(-0.5 * squares, 1) - log(len(mean))).reshape(latent.shape[:-1])


def negative_elbo(networks: WithPseudoInputs, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns the negative ELBO; its KL is estimated by the draws too, because a mixture's has no closed form.

    In training, a small KL pulls the components towards N(0, I). Nothing else says where a dimension without
    information lies, or how wide it is. It may shrink until steps overshoot and the loss explodes, as on MNIST after
    152 epochs. At the optimum this costs about the square of the small weight.
    """
    posterior, components = networks.encoder(seen), networks.components()
    latent = draw(posterior, noise)
    reconstruction = -log_likelihoods(networks, data, latent).mean(0)
    kl = (log_density(posterior, noise) - log_mixture(latent, components)).mean(0)
    loss = reconstruction + weights.kl * kl
    if torch.is_grad_enabled():
        loss = loss + ANCHOR * kl_by_dimension(components).sum(1).mean()
    return Step(loss, reconstruction, kl, posterior.mean)


def begin(networks: WithPseudoInputs, rows: Tensor, generator: Generator) -> None:
    """Sets the pseudo-inputs to the mean of the training rows, with a little noise."""
    encoder, pseudo_inputs = networks.encoder, networks.pseudo_inputs
    if networks.low.ndim:
        networks.low.copy_(rows.amin(0))
        networks.high.copy_(rows.amax(0))
    margin = MARGIN * (networks.high - networks.low)
    mean = rows.double().mean(0).float().to(pseudo_inputs.device).clamp(networks.low + margin, networks.high - margin)
    noise = torch.randn(pseudo_inputs.shape, generator=generator, device=pseudo_inputs.device)
    with torch.no_grad():
        pseudo_inputs.copy_((mean - encoder.center) / encoder.scale + SPREAD * noise)


def learned(networks: WithPseudoInputs, _rows: Tensor) -> PriorModules:
    """Returns the prior of trained networks."""
    with torch.no_grad():
        return diagonal_mixture(*networks.components())


KIND = Kind(
    title="VAE with a VampPrior",
    posterior="gaussian",
    step=negative_elbo,
    takes_samples=True,
    networks=WithPseudoInputs,
    network_settings=("pseudo_inputs",),
    begin=begin,
    prior=learned,
)
