"""Importance-weighted autoencoder (Burda et al., "Importance Weighted Autoencoders", 2016)."""

from training.models.kind import Kind
from training.objective import negative_iwae_bound

KIND = Kind(
    title="importance-weighted autoencoder",
    posterior="gaussian",
    step=negative_iwae_bound,
    takes_samples=True,
)
