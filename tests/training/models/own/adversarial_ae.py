"""Adversarial autoencoder (Makhzani et al., "Adversarial Autoencoders", 2016), as a user would add it: in one file.

A critic tells latents from draws of N(0, I). The encoder learns to mislead it, so latents come to follow the prior.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.optim import AdamW

from training.models.kind import Kind
from training.models.optimizers import Rates, adamw
from training.networks import mlp
from training.networks.pair import Blueprint, Networks
from training.objective import LOSS, Step, TermWeights


class WithCritic(Networks):
    """The pair and a critic: latents -> the log-odds [batch] that they are draws from the prior."""

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.critic = mlp.encoder((blueprint.latent_size,), 1, blueprint.sizes)


def adversarial(networks: WithCritic, seen: Tensor, data: Tensor, noise: Tensor, _weights: TermWeights) -> Step:
    """Returns the pair's loss, -log p(x|z) - log D(z), and the critic's, -log D(prior) - log(1 - D(z))."""
    mean = networks.encoder(seen).mean
    reconstruction = -networks.decoder.likelihood(data, networks.decoder.parameters_of(mean))
    on_latents, on_prior = networks.critic(mean).squeeze(1), networks.critic(noise[0]).squeeze(1)
    misled = softplus(-on_latents)
    critic = softplus(-on_prior) + softplus(on_latents)
    figures = {"critic_nats": critic, "critic_is_right": ((on_latents < 0).float() + (on_prior > 0).float()) / 2}
    return Step(reconstruction + misled, reconstruction, torch.zeros_like(misled), mean, figures)


def two(networks: WithCritic, rates: Rates) -> dict[str, AdamW]:
    """Returns an optimizer for the pair and one for the critic, each of which lowers its own loss."""
    return {
        LOSS: adamw(networks.encoder, networks.decoder, rates=rates),
        "critic_nats": adamw(networks.critic, rates=rates, betas=(0.5, 0.9)),
    }


KIND = Kind(title="adversarial autoencoder", posterior="none", step=adversarial, networks=WithCritic, optimizers=two)
