"""VAE-GAN (Larsen et al., "Autoencoding beyond pixels using a learned similarity metric", 2016).

A VAE whose decoder is also the generator of a GAN. Reconstructions are compared with their rows in the discriminator's
features, not value by value. The discriminator tells rows from what is decoded from the posterior and from the prior.

- The encoder lowers KL + L, where L = -log N(features of the row; features of its reconstruction, I).
- The decoder lowers w L + the generator's loss, where w is the weight of the features. In the generator's loss,
  reconstructions and samples count alike.
- The discriminator lowers its own loss.

At first, encoder and decoder lower the negative ELBO, and the discriminator learns beside them. Later only what the
likelihood itself learns, a Gaussian's scale, still follows the residual.
"""

import torch
from torch import Tensor
from torch.optim import AdamW

from training.models.kind import Kind
from training.models.optimizers import Rates, adamw
from training.networks.discriminator import Adversaries, losses_of
from training.objective import LOSS, Step, TermWeights, draw, kl_by_dimension

DECODER, DISCRIMINATOR = "decoder_nats", "discriminator_nats"


def adversarial(networks: Adversaries, seen: Tensor, data: Tensor, noise: Tensor, weights: TermWeights) -> Step:
    """Returns the losses of encoder, decoder and discriminator. One draw is for the posterior, one for the prior."""
    posterior, decoder, judge = networks.encoder(seen), networks.decoder, networks.discriminator
    parameters, sampled = (decoder.parameters_of(latent) for latent in (draw(posterior, noise[0]), noise[1]))
    on_data, on_again, on_sampled = map(
        judge, (data, decoder.likelihood.expectation(parameters), decoder.likelihood.expectation(sampled))
    )
    game = losses_of(on_data, on_again, on_sampled)

    kl = kl_by_dimension(posterior).sum(1)
    reconstruction = -decoder.likelihood(data, parameters)
    features = (on_data.features - on_again.features).square().sum(1) / 2
    scale = -decoder.likelihood(data, parameters.detach())  # its gradient reaches what the likelihood learns, no more
    begun = torch.as_tensor(weights.progress >= weights.adversarial_start)
    figures = {
        "discriminator_is_right": game.is_right,
        DECODER: torch.where(begun, weights.features * features + game.generator + scale, reconstruction),
        DISCRIMINATOR: game.discriminator,
        "features_nats": features,
    }
    loss = weights.kl * kl + torch.where(begun, features, reconstruction)
    return Step(loss, reconstruction, kl, posterior.mean, figures)


def three(networks: Adversaries, rates: Rates) -> dict[str, AdamW]:
    """Returns an optimizer for each network."""
    return {
        LOSS: adamw(networks.encoder, rates=rates),
        DECODER: adamw(networks.decoder, rates=rates, betas=(0.5, 0.9)),
        DISCRIMINATOR: adamw(networks.discriminator, rates=rates, betas=(0.5, 0.9)),
    }


KIND = Kind(
    title="VAE-GAN",
    posterior="gaussian",
    step=adversarial,
    draws=2,
    validates=False,
    loss_title="loss of the encoder",
    networks=Adversaries,
    optimizers=three,
)
