"""Importance-weighted autoencoder (Burda et al., "Importance Weighted Autoencoders", 2016)."""

from training.models.model import Model
from training.objective import negative_iwae_bound

MODEL = Model(
    title="importance-weighted autoencoder",
    posterior="gaussian",
    step=negative_iwae_bound,
    draws=lambda config: config.samples,
)
