"""Generative adversarial network (Goodfellow et al., "Generative adversarial nets", 2014), with an encoder.

The decoder is the generator: it maps draws from N(0, I) to rows that the discriminator cannot tell from data. Such a
model has no encoder. One is trained afterwards, on pairs of a latent and what it decodes to, while the generator rests.
"""

import torch
from torch import Tensor
from torch.optim import AdamW

from training.models.kind import Kind
from training.models.optimizers import Rates, adamw
from training.networks.discriminator import Adversaries, losses_of
from training.objective import LOSS, Step, TermWeights

GENERATOR_SHARE = 0.8  # of the steps; in the others the encoder is trained
BETAS = (0.0, 0.9)  # of the adversaries' optimizers
DISCRIMINATOR, ENCODER = "discriminator_nats", "encoder_nats"


def adversarial(networks: Adversaries, _seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns the losses of generator, discriminator and encoder.

    The encoder's is -log N(z; E(G(z)), I) without its constant, for a draw z, the generator G and the encoder's mean E.
    """
    generates, records, latent = float(weights.progress) < GENERATOR_SHARE, torch.is_grad_enabled(), noise[0]
    with torch.set_grad_enabled(records and generates):
        decoded = networks.decoder.expectation_of(latent)
        game = losses_of(networks.discriminator(data), networks.discriminator(decoded))
    with torch.set_grad_enabled(records and not generates):
        regression = (networks.encoder(decoded).mean - latent).square().sum(1) / 2
    with torch.no_grad():
        mean = networks.encoder(data).mean
    figures = {"discriminator_is_right": game.is_right, DISCRIMINATOR: game.discriminator, ENCODER: regression}
    nothing = torch.zeros_like(regression)
    return Step(game.generator, nothing, nothing, mean, figures)


def three(networks: Adversaries, rates: Rates) -> dict[str, AdamW]:
    """Returns an optimizer for each network."""
    return {
        LOSS: adamw(networks.decoder, rates=rates, betas=BETAS),
        DISCRIMINATOR: adamw(networks.discriminator, rates=rates, betas=BETAS),
        ENCODER: adamw(networks.encoder, rates=rates),
    }


def lowers(progress: float) -> tuple[str, ...]:
    """Returns the losses of the generator and its discriminator, then that of the encoder alone."""
    return (LOSS, DISCRIMINATOR) if progress < GENERATOR_SHARE else (ENCODER,)


KIND = Kind(
    title="generative adversarial network",
    posterior="none",
    step=adversarial,
    networks=Adversaries,
    optimizers=three,
    lowers=lowers,
    validates=False,
    loss_title="loss of the generator",
    likelihood=False,
    encoder_afterwards=True,
)
